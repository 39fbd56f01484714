/** Real messages with some bytes changed, before and after authentication: never a crash, never a table that grows. */
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { parseIkeProposal } from './names.ts'
import { offerEsp, offerIke } from './negotiate.ts'
import { selectorPayloads } from './selectors.ts'
import { forgeBytes } from './testing/forge.ts'
import { childConfig, Pair, seededUint32 } from './testing/pair.ts'
import type { IkeProposal } from './types.ts'
import { EXCHANGE, encodePayloads, NOTIFY, type Payload, PROTOCOL } from './wire/codec.ts'

const GROUPS = ['modp2048', 'ecp256', 'ecp384', 'ecp521', 'x25519']

describe('IKE_SA_INIT', () => {
  test.each(GROUPS)('requests and responses in group %s', (group) => {
    const proposals = [parseIkeProposal(`aes128gcm16-prfsha256-${group}`) as IkeProposal]
    const sides = { a: { proposals }, b: { proposals } }
    const pair = new Pair({ crypto: nodeCrypto, ...sides, limits: { maxHalfOpen: 40, cookieThreshold: 40 } })
    pair.input('a', { type: 'initiate', connection: 'peer' })
    const request = pair.take('a')
    const mutate = mutator(group.length)
    for (let i = 0; i < 150; i++) pair.deliver({ ...request, bytes: mutate(request.bytes) })
    expect(pair.b.endpoint.ikeSas()).toEqual([])
    pair.inFlight.length = 0
    pair.advance(31_000, false)
    pair.inFlight.length = 0
    pair.deliver(request)
    const response = pair.take('b')
    for (let i = 0; i < 40; i++) pair.deliver({ ...response, bytes: mutate(response.bytes) })
    pair.inFlight.length = 0
    expect(pair.a.endpoint.ikeSas().length).toBeLessThanOrEqual(1)
  })
})

describe('authentic requests', () => {
  const [config] = [childConfig('a')]
  const spi = Uint8Array.of(9, 9, 9, 9)
  const nonce: Payload = { type: 'NONCE', data: new Uint8Array(32).fill(7) }
  const ke: Payload = { type: 'KE', group: 31, data: nodeCrypto.generate(31).publicValue }
  const esp: Payload = { type: 'SA', proposals: offerEsp(config.proposals, spi, 'CREATE_CHILD_SA') }
  const ike = offerIke([parseIkeProposal('aes128gcm16-prfsha256-x25519') as IkeProposal], new Uint8Array(8).fill(3))
  const requests: [string, number, Payload[]][] = [
    ['new child', EXCHANGE.CREATE_CHILD_SA, [esp, nonce, ke, ...selectorPayloads(config, 'initiator')]],
    ['IKE rekey', EXCHANGE.CREATE_CHILD_SA, [{ type: 'SA', proposals: ike }, nonce, ke]],
    [
      'informational',
      EXCHANGE.INFORMATIONAL,
      [
        { type: 'D', protocol: PROTOCOL.ESP, spis: [spi, spi] },
        { type: 'N', protocol: 0, spi: new Uint8Array(0), notify: NOTIFY.SET_WINDOW_SIZE, data: new Uint8Array(4) },
      ],
    ],
  ]

  test.each(requests)('%s', (_name, exchange, payloads) => {
    const { firstPayload, bytes } = encodePayloads(payloads)
    const mutate = mutator(exchange)
    let answered = 0
    for (let round = 0; round < 40; round++) {
      const pair = new Pair({ crypto: nodeCrypto, seed: round + 1 })
      pair.input('a', { type: 'initiate', connection: 'peer' })
      pair.flush()
      for (let i = 0; i < 10 && pair.a.endpoint.connection('peer')!.session !== undefined; i++) {
        pair.deliver(forgeBytes(pair, 'a', nodeCrypto, exchange, firstPayload, mutate(bytes)))
        answered += pair.inFlight.splice(0).length
      }
      expect(pair.b.engine.faults).toEqual([])
      expect(pair.b.engine.installed.size).toBeLessThanOrEqual(64)
    }
    expect(answered).toBeGreaterThan(40)
  })
})

function mutator(seed: number): (bytes: Uint8Array) => Uint8Array {
  const next = seededUint32(seed)
  return (bytes) => {
    const out = bytes.slice(0, next() % 20 === 0 ? next() % (bytes.length + 1) : bytes.length)
    for (let n = 1 + (next() % 3); n > 0 && out.length > 0; n--) out[next() % out.length] = next() & 0xff
    return out
  }
}
