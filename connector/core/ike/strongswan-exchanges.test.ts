/**
 * Three IKE SAs as they went over the wire between this code and strongSwan 5.9.8: IKE_SA_INIT, IKE_AUTH (two of them
 * in fragments), a child rekey with PFS, an IKE rekey, and the delete on the new IKE SA. The Child SA keys are those
 * that strongSwan logged. Values are hex.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { address } from '../../../protocol/net.ts'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { verifyPskAuth } from './auth.ts'
import { FragmentReassembler } from './fragments.ts'
import { type DirectionKeys, deriveChildKeys, deriveIkeKeys, deriveRekeyedIkeKeys, type IkeKeys } from './keymat.ts'
import { ikeCipher, parseIkeProposal, suiteName } from './names.ts'
import { detectNat } from './nat.ts'
import { acceptEsp, acceptIke } from './negotiate.ts'
import { openMessage, sealKeys } from './protect.ts'
import type { EspProposal, IkeProposal } from './types.ts'
import { decodeMessage, isDecodeError } from './wire/codec.ts'
import type { IkeMessage, Payload } from './wire/types.ts'

interface KeyPair {
  readonly initiator: string
  readonly responder: string
}
interface Recording {
  readonly suite: string
  readonly psk: string
  readonly initiatorSpi: string
  readonly responderSpi: string
  readonly initiatorNonce: string
  readonly responderNonce: string
  readonly sharedSecret: string
  readonly initRequest: string
  readonly initResponse: string
  readonly authRequest: readonly string[]
  readonly authResponse: readonly string[]
  readonly childEncryption: EspProposal['encryption']
  readonly childKeys: KeyPair
  readonly childRekey: {
    readonly request: readonly string[]
    readonly response: readonly string[]
    readonly sharedSecret: string
    readonly keys: KeyPair
  }
  readonly ikeRekey: {
    readonly request: readonly string[]
    readonly response: readonly string[]
    readonly sharedSecret: string
    readonly initiatorSpi: string
    readonly responderSpi: string
    readonly lastRequest: readonly string[]
    readonly lastResponse: readonly string[]
  }
}

const file = new URL('./fixtures/strongswan-exchanges.json', import.meta.url)
const recordings: Recording[] = JSON.parse(readFileSync(file, 'utf8'))

test('the recordings cover three ciphers', () => {
  expect(recordings.map((it) => it.suite)).toEqual([
    'aes128gcm16-prfsha256-x25519',
    'chacha20poly1305-prfsha512-ecp521',
    'aes256-sha256-prfsha256-ecp256',
  ])
})

describe.each(recordings)('$suite', (recording) => {
  const proposal = parseIkeProposal(recording.suite) as IkeProposal
  const initiatorNonce = bytes(recording.initiatorNonce)
  const responderNonce = bytes(recording.responderNonce)
  const keys = deriveIkeKeys(nodeCrypto, {
    proposal,
    sharedSecret: bytes(recording.sharedSecret),
    initiatorNonce,
    responderNonce,
    initiatorSpi: bytes(recording.initiatorSpi),
    responderSpi: bytes(recording.responderSpi),
  })
  const initResponse = decoded(bytes(recording.initResponse))

  test('strongSwan chose the suite, sent this nonce and saw a NAT as we made it see one', () => {
    const agreed = acceptIke(find(initResponse.payloads, 'SA').proposals, [proposal], 0)
    expect(agreed && suiteName(agreed.suite)).toBe(recording.suite)
    expect(find(initResponse.payloads, 'NONCE').data).toEqual(responderNonce)
    const local = { address: address('192.168.77.1'), port: 500 }
    const remote = { address: address('192.168.77.2'), port: 500 }
    const { initiatorSpi, responderSpi } = initResponse.header
    // libipsec always encapsulates, so strongSwan makes its own source hash wrong.
    expect(detectNat(nodeCrypto, { initiatorSpi, responderSpi, local, remote }, initResponse.payloads)).toEqual({
      supported: true,
      localBehindNat: false,
      remoteBehindNat: true,
    })
  })

  test('both AUTH payloads verify, with the right key only', () => {
    const request = opened(recording.authRequest, keys, 'initiator')
    const response = opened(recording.authResponse, keys, 'responder')
    const { prf } = keys
    const sides = [
      {
        skP: keys.skPi,
        message: recording.initRequest,
        peerNonce: responderNonce,
        id: find(request, 'IDi'),
        from: request,
      },
      {
        skP: keys.skPr,
        message: recording.initResponse,
        peerNonce: initiatorNonce,
        id: find(response, 'IDr'),
        from: response,
      },
    ]
    for (const { from, message, ...side } of sides) {
      const auth = find(from, 'AUTH')
      const psk = Uint8Array.from(Buffer.from(recording.psk))
      expect(verifyPskAuth(nodeCrypto, { ...side, prf, psk, message: bytes(message) }, auth)).toBe(true)
      expect(verifyPskAuth(nodeCrypto, { ...side, prf, psk: psk.subarray(1), message: bytes(message) }, auth)).toBe(
        false,
      )
    }
  })

  test('the first Child SA has the keys that strongSwan logged', () => {
    const derived = deriveChildKeys(nodeCrypto, keys, {
      encryption: recording.childEncryption,
      initiatorNonce,
      responderNonce,
    })
    expect(texts(derived)).toEqual(recording.childKeys)
  })

  test('so has its successor, with PFS', () => {
    const { childRekey } = recording
    const request = opened(childRekey.request, keys, 'initiator')
    const response = opened(childRekey.response, keys, 'responder')
    const ours = [{ encryption: recording.childEncryption, group: 'x25519', esn: false } as const]
    expect(acceptEsp(find(response, 'SA').proposals, ours, 'CREATE_CHILD_SA')?.suite).toEqual(ours[0])
    const derived = deriveChildKeys(nodeCrypto, keys, {
      encryption: recording.childEncryption,
      initiatorNonce: find(request, 'NONCE').data,
      responderNonce: find(response, 'NONCE').data,
      sharedSecret: bytes(childRekey.sharedSecret),
    })
    expect(texts(derived)).toEqual(childRekey.keys)
  })

  test('messages on the rekeyed IKE SA open', () => {
    const { ikeRekey } = recording
    const request = opened(ikeRekey.request, keys, 'initiator')
    const response = opened(ikeRekey.response, keys, 'responder')
    const agreed = acceptIke(find(response, 'SA').proposals, [proposal], 8)
    expect(agreed?.peerSpi).toEqual(bytes(ikeRekey.responderSpi))
    const successor = deriveRekeyedIkeKeys(nodeCrypto, keys, {
      proposal,
      sharedSecret: bytes(ikeRekey.sharedSecret),
      initiatorNonce: find(request, 'NONCE').data,
      responderNonce: find(response, 'NONCE').data,
      initiatorSpi: bytes(ikeRekey.initiatorSpi),
      responderSpi: bytes(ikeRekey.responderSpi),
    })
    expect(opened(ikeRekey.lastRequest, successor, 'initiator')).toEqual([{ type: 'D', protocol: 1, spis: [] }])
    expect(opened(ikeRekey.lastResponse, successor, 'responder')).toEqual([])
    expect(() => opened(ikeRekey.lastResponse, keys, 'responder')).toThrow('integrity-failed')
  })

  function opened(messages: readonly string[], under: IkeKeys, sender: 'initiator' | 'responder'): readonly Payload[] {
    const fragments = new FragmentReassembler()
    for (const [index, text] of messages.entries()) {
      const raw = bytes(text)
      const input = {
        cipher: ikeCipher(proposal),
        keys: sealKeys(under, sender),
        bytes: raw,
        message: decoded(raw),
        fragments,
      }
      const result = openMessage(nodeCrypto, input)
      if (result.type === 'opened') return result.payloads
      if (result.type === 'failed') throw new Error(result.failure)
      expect(index).toBeLessThan(messages.length - 1)
    }
    throw new Error('the message is not complete')
  }
})

function find<Type extends Payload['type']>(
  payloads: readonly Payload[],
  type: Type,
): Extract<Payload, { type: Type }> {
  const found = payloads.find((payload) => payload.type === type)
  if (found === undefined) throw new Error(`no ${type} payload`)
  return found as Extract<Payload, { type: Type }>
}

function decoded(raw: Uint8Array): IkeMessage {
  const message = decodeMessage(raw)
  if (isDecodeError(message)) throw new Error(message.reason)
  return message
}

function texts(keys: { initiator: DirectionKeys; responder: DirectionKeys }): KeyPair {
  const text = ({ key, salt }: DirectionKeys) => Buffer.concat([key, salt]).toString('hex')
  return { initiator: text(keys.initiator), responder: text(keys.responder) }
}

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}
