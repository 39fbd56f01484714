import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { address, type SocketAddress } from '../../../protocol/net.ts'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { detectNat, natDetectionHash, natDetectionNotifies } from './nat.ts'
import type { NotifyPayload } from './wire/types.ts'

const initiatorSpi = new Uint8Array(8).fill(1)
const responderSpi = new Uint8Array(8).fill(2)
const left: SocketAddress = { address: address('192.0.2.1'), port: 500 }
const right: SocketAddress = { address: address('198.51.100.7'), port: 4500 }
const translated: SocketAddress = { address: address('203.0.113.9'), port: 31_000 }

/** What the receiver finds when `sender` and `receiver` believe in different addresses. */
function find(
  sender: { local: SocketAddress; remote: SocketAddress },
  receiver: { local: SocketAddress; remote: SocketAddress },
  force = false,
) {
  const spis = { initiatorSpi, responderSpi }
  return detectNat(
    nodeCrypto,
    { ...spis, ...receiver },
    natDetectionNotifies(nodeCrypto, { ...spis, ...sender }, force),
  )
}

test('the hash is SHA-1 over SPIs, address and port', () => {
  const v4 = createHash('sha1').update(initiatorSpi).update(responderSpi).update(Buffer.from('c63364071194', 'hex'))
  expect(Buffer.from(natDetectionHash(nodeCrypto, initiatorSpi, responderSpi, right)).equals(v4.digest())).toBe(true)
  const socket = { address: address('2001:db8::1'), port: 500 }
  const bytes = Buffer.from('20010db800000000000000000000000101f4', 'hex')
  const v6 = createHash('sha1').update(initiatorSpi).update(responderSpi).update(bytes).digest()
  expect(Buffer.from(natDetectionHash(nodeCrypto, initiatorSpi, responderSpi, socket)).equals(v6)).toBe(true)
})

describe('detection', () => {
  test('no NAT', () => {
    const finding = find({ local: left, remote: right }, { local: right, remote: left })
    expect(finding).toEqual({ supported: true, localBehindNat: false, remoteBehindNat: false })
  })

  test('the sender is behind a NAT', () => {
    const finding = find({ local: left, remote: right }, { local: right, remote: translated })
    expect(finding).toEqual({ supported: true, localBehindNat: false, remoteBehindNat: true })
  })

  test('the receiver is behind a NAT', () => {
    const finding = find({ local: left, remote: translated }, { local: right, remote: left })
    expect(finding).toEqual({ supported: true, localBehindNat: true, remoteBehindNat: false })
  })

  test('a translated port alone counts', () => {
    const moved = { ...left, port: 1024 }
    expect(find({ local: left, remote: right }, { local: right, remote: moved }).remoteBehindNat).toBe(true)
  })

  test('forced: the receiver takes the sender to be behind a NAT', () => {
    const finding = find({ local: left, remote: right }, { local: right, remote: left }, true)
    expect(finding).toEqual({ supported: true, localBehindNat: false, remoteBehindNat: true })
  })

  test('one of several sources is enough', () => {
    const spis = { initiatorSpi, responderSpi }
    const own = natDetectionNotifies(nodeCrypto, { ...spis, local: left, remote: right }, false)
    const other = natDetectionNotifies(nodeCrypto, { ...spis, local: translated, remote: right }, false)
    const finding = detectNat(nodeCrypto, { ...spis, local: right, remote: left }, [other[0]!, ...own])
    expect(finding.remoteBehindNat).toBe(false)
  })

  test('without both kinds of hashes the peer does no NAT traversal', () => {
    const view = { initiatorSpi, responderSpi, local: right, remote: left }
    const sent = natDetectionNotifies(nodeCrypto, { ...view, local: left, remote: right }, false)
    const none = { supported: false, localBehindNat: false, remoteBehindNat: false }
    expect(detectNat(nodeCrypto, view, [])).toEqual(none)
    expect(detectNat(nodeCrypto, view, [sent[0]!])).toEqual(none)
    expect(detectNat(nodeCrypto, view, [sent[1]!])).toEqual(none)
  })

  test('hashes of a wrong length match nothing', () => {
    const view = { initiatorSpi, responderSpi, local: right, remote: left }
    const sent = natDetectionNotifies(nodeCrypto, { ...view, local: left, remote: right }, false)
    const cut: NotifyPayload[] = sent.map((payload) => ({ ...payload, data: payload.data.subarray(1) }))
    expect(detectNat(nodeCrypto, view, cut)).toEqual({ supported: true, localBehindNat: true, remoteBehindNat: true })
  })
})
