/** Requests that an honest peer seldom or never sends, and new Child SAs that cross other exchanges. */
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { offerEsp } from './negotiate.ts'
import { selectorPayloads } from './selectors.ts'
import { forgeRequest, reveal } from './testing/forge.ts'
import { childConfig, type Name, Pair } from './testing/pair.ts'
import type { EspProposal } from './types.ts'
import { EXCHANGE, NOTIFY, type Payload, PROTOCOL } from './wire/codec.ts'

describe('answers to odd requests', () => {
  test('an unknown critical payload is named in the answer, and the IKE SA stays', () => {
    const pair = up()
    const odd: Payload = { type: 'UNKNOWN', payloadType: 200, critical: true, body: Uint8Array.of(1, 2) }
    const answer = ask(pair, EXCHANGE.INFORMATIONAL, [odd])
    expect(answer).toMatchObject([{ notify: NOTIFY.UNSUPPORTED_CRITICAL_PAYLOAD, data: Uint8Array.of(200) }])
    expect(pair.b.endpoint.ikeSas()).toHaveLength(1)
  })

  test('an unknown payload that is not critical is ignored', () => {
    const pair = up()
    const odd: Payload = { type: 'UNKNOWN', payloadType: 200, critical: false, body: Uint8Array.of(1, 2) }
    expect(ask(pair, EXCHANGE.INFORMATIONAL, [odd])).toEqual([])
  })

  test('SIGNATURE_HASH_ALGORITHMS and notifications that nobody knows are ignored', () => {
    const pair = up()
    const notify = (type: number): Payload => ({
      type: 'N',
      protocol: 0,
      spi: new Uint8Array(0),
      notify: type,
      data: Uint8Array.of(0, 2),
    })
    expect(ask(pair, EXCHANGE.INFORMATIONAL, [notify(NOTIFY.SIGNATURE_HASH_ALGORITHMS), notify(60_000)])).toEqual([])
  })

  test('CREATE_CHILD_SA without what it needs is INVALID_SYNTAX', () => {
    const pair = up()
    const nonce: Payload = { type: 'NONCE', data: new Uint8Array(32) }
    expect(ask(pair, EXCHANGE.CREATE_CHILD_SA, [nonce])).toMatchObject([{ notify: NOTIFY.INVALID_SYNTAX }])
  })

  test('DELETE of Child SAs that nobody has, and of AH, is answered empty', () => {
    const pair = up()
    const spis = [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5, 6, 7, 8)]
    expect(ask(pair, EXCHANGE.INFORMATIONAL, [{ type: 'D', protocol: PROTOCOL.ESP, spis }])).toEqual([])
    expect(ask(pair, EXCHANGE.INFORMATIONAL, [{ type: 'D', protocol: PROTOCOL.AH, spis }])).toEqual([])
    expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  })

  test('DELETE names our half in the answer', () => {
    const pair = up()
    const [sa] = [...pair.b.engine.installed.values()]
    const spi = (value: number) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
    const answer = ask(pair, EXCHANGE.INFORMATIONAL, [
      { type: 'D', protocol: PROTOCOL.ESP, spis: [spi(sa!.outbound.spi)] },
    ])
    expect(answer).toEqual([{ type: 'D', protocol: PROTOCOL.ESP, spis: [spi(sa!.inbound.spi)] }])
    expect(pair.b.engine.installed.size).toBe(0)
  })

  test('exchanges that do not belong on an SA that is up are counted and not answered', () => {
    const pair = up()
    const before = pair.b.endpoint.counters().malformed
    for (const exchange of [EXCHANGE.IKE_AUTH, EXCHANGE.IKE_INTERMEDIATE, 200])
      pair.deliver(forgeRequest(pair, 'a', nodeCrypto, exchange, []))
    expect(pair.inFlight).toEqual([])
    expect(pair.b.endpoint.counters().malformed - before + pair.b.endpoint.counters().replayed).toBe(3)
  })

  test('no more than 64 Child SAs, however often the peer asks', () => {
    const proposals: EspProposal[] = [{ encryption: 'aes128gcm16', esn: true }]
    const children = (name: Name) => [childConfig(name, { proposals })]
    const pair = new Pair({ crypto: nodeCrypto, a: { children: children('a') }, b: { children: children('b') } })
    pair.establish()
    const [config] = children('a')
    const answers = Array.from({ length: 70 }, (_, i) =>
      ask(pair, EXCHANGE.CREATE_CHILD_SA, [
        { type: 'SA', proposals: offerEsp(proposals, Uint8Array.of(9, 9, 9, i), 'CREATE_CHILD_SA') },
        { type: 'NONCE', data: new Uint8Array(32).fill(i) },
        ...selectorPayloads(config!, 'initiator'),
      ]),
    )
    expect(answers.filter((answer) => answer.some((payload) => payload.type === 'SA'))).toHaveLength(63)
    expect(answers.at(-1)).toMatchObject([{ notify: NOTIFY.NO_ADDITIONAL_SAS }])
    expect(pair.b.engine.installed.size).toBe(64)
  })
})

describe('a new Child SA', () => {
  test.each(['a', 'b'] as const)('child_create collision_ike_rekey: %s makes one while the other rekeys all', (who) => {
    const pair = twoChildren()
    loseSecond(pair, who)
    pair.rekeyIke(other(who))
    const ike = pair.take(other(who))
    const child = pair.take(who)
    // both get TEMPORARY_FAILURE and try again
    pair.deliver(child)
    pair.deliver(ike)
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 2 })).toEqual([])
    expect(pair.a.event('ike-rekeyed')).toBeDefined()
  })

  test('child_create collision_ike_delete: the other end deletes all meanwhile', () => {
    const pair = twoChildren()
    loseSecond(pair, 'a')
    pair.a.endpoint.connection('peer')!.wanted = false
    pair.input('b', { type: 'terminate', connection: 'peer' })
    const [child, deletion] = [pair.take('a'), pair.take('b')]
    pair.deliver(child)
    pair.deliver(deletion)
    pair.settle()
    expect(pair.disagreements({ ike: 0, children: 0 })).toEqual([])
  })

  test('both ends make the missing child at once: one of the two stays', () => {
    const pair = twoChildren()
    loseSecond(pair, 'a')
    const fromA = pair.take('a')
    pair.advance(6_000, false)
    const fromB = pair.inFlight.find((datagram) => datagram.from === 'b')!
    pair.inFlight.length = 0
    pair.deliver(fromA)
    pair.deliver(fromB)
    pair.settle()
    expect(pair.disagreements({ ike: 1, children: 2 })).toEqual([])
  })
})

describe('secrets', () => {
  test('the keys of an IKE SA are zero when it is gone', () => {
    const pair = up()
    const { keys } = pair.a.endpoint.connection('peer')!.session!.current!.secrets!
    expect(keys.skD.some((byte) => byte !== 0)).toBe(true)
    pair.input('a', { type: 'terminate', connection: 'peer' })
    pair.mustCarry = undefined
    pair.settle()
    for (const key of [keys.skD, keys.skEi, keys.skEr, keys.skPi, keys.skPr])
      expect(key.every((byte) => byte === 0)).toBe(true)
  })
})

function up(): Pair {
  return new Pair({ crypto: nodeCrypto }).establish()
}

/** What b answers to a request of a. */
function ask(pair: Pair, exchange: number, payloads: readonly Payload[]): readonly Payload[] {
  pair.mustCarry = undefined
  pair.deliver(forgeRequest(pair, 'a', nodeCrypto, exchange, payloads))
  return reveal(pair, 'a', nodeCrypto, pair.take('b'))
}

function twoChildren(): Pair {
  const children = (name: Name) => [0, 64].map((subnet) => childConfig(name, { name: `net${subnet}` }, subnet))
  const pair = new Pair({
    crypto: nodeCrypto,
    a: { children: children('a') },
    b: { children: children('b'), initiate: true },
  })
  pair.establish()
  pair.mustCarry = undefined
  return pair
}

/** The second child ends on both sides, and `who` is the one to ask for a new one. */
function loseSecond(pair: Pair, who: Name): void {
  const { outbound } = pair.a.engine.sender('net64')!
  pair.input('a', { type: 'child-limit', connection: 'peer', spi: outbound.spi, hard: true })
  const early = pair.inFlight.splice(0)
  for (const datagram of early) pair.deliver(datagram)
  pair.pass('b')
  if (who === 'a') return
  pair.inFlight.length = 0
  const retries = pair.a.endpoint.connection('peer')!.session!
  retries.childRetries.set('net64', { at: Number.POSITIVE_INFINITY, pause: 1000 })
  const { outstanding } = retries.current!
  retries.current!.outstanding = undefined
  if (outstanding !== undefined) retries.current!.nextRequestId--
  pair.advance(6_000, false)
}

function other(name: Name): Name {
  return name === 'a' ? 'b' : 'a'
}
