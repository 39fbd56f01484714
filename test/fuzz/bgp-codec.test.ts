import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type BgpMessage,
  blockOf,
  CONSEQUENCES,
  type DecodeOptions,
  decodeMessage,
  type EncodeOptions,
  encodeEndOfRib,
  encodeKeepalive,
  encodeNotification,
  encodeOpen,
  encodeRefresh,
  isBgpFault,
  notification,
  packAnnouncement,
  packWithdrawal,
  prefixesOf,
  shutdownData,
  type UpdateMessage,
} from '../../connector/core/bgp/wire/codec.ts'
import { prefix } from '../../protocol/net.ts'
import {
  arbitraryAfiSafi,
  arbitraryAttributes,
  arbitraryBlock,
  arbitraryFamily,
  arbitraryNextHop,
  arbitraryOpen,
} from './bgp-arbitrary.ts'
import { mutate, random } from './ike-mutate.ts'

const SEED = 20_261_130

const arbitraryOptions: fc.Arbitrary<EncodeOptions> = fc.record({
  fourOctetAs: fc.boolean(),
  extendedMessages: fc.boolean(),
  internal: fc.constant(true),
})

describe('what is written is read', () => {
  it('OPEN, with short and with extended optional parameters', () => {
    fc.assert(
      fc.property(arbitraryOpen, (open) => {
        expect(read(encodeOpen(open))).toEqual(open)
      }),
    )
  })

  it('NOTIFICATION, ROUTE-REFRESH and KEEPALIVE', () => {
    const octet = fc.integer({ min: 0, max: 255 })
    fc.assert(
      fc.property(octet, octet, fc.uint8Array({ maxLength: 300 }), (code, subcode, data) => {
        expect(read(encodeNotification({ code, subcode, data }))).toEqual(notification(code, subcode, data))
      }),
    )
    fc.assert(
      fc.property(arbitraryAfiSafi, fc.integer({ min: 0, max: 2 }), (afiSafi, subtype) => {
        const refresh = { type: 'ROUTE-REFRESH' as const, ...afiSafi, subtype }
        expect(read(encodeRefresh(refresh))).toEqual(refresh)
      }),
    )
    expect(read(encodeKeepalive())).toEqual({ type: 'KEEPALIVE' })
  })

  it('shutdown communications, cut between characters at 128 octets (RFC 9003 section 3)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        const data = shutdownData(text)
        expect(data.length).toBeLessThanOrEqual(129)
        const { communication = '' } = notification(6, 2, data)
        expect(text.startsWith(communication)).toBe(true)
        if (Buffer.byteLength(text) <= 128) expect(communication).toBe(text)
        else expect(Buffer.byteLength(communication)).toBeGreaterThan(100)
      }),
    )
  })

  it('announcements: attributes, next hop and every prefix in its order, over as many messages as it takes', () => {
    const world = arbitraryFamily.chain((family) =>
      fc.record({
        family: fc.constant(family),
        attributes: arbitraryAttributes,
        nextHop: arbitraryNextHop(family),
        block: arbitraryBlock(family, 1500),
        options: arbitraryOptions,
      }),
    )
    fc.assert(
      fc.property(world, ({ attributes, nextHop, block, options }) => {
        // An old speaker that aggregated makes AS4_PATH void (RFC 6793 section 4.2.3).
        fc.pre(options.fourOctetAs || attributes.aggregator === undefined || attributes.aggregator.asn > 0xffff)
        const seen: string[] = []
        for (let from = 0; from < block.lengths.length; ) {
          const packed = packAnnouncement(attributes, nextHop, block, from, options)!
          expect(packed.next).toBeGreaterThan(from)
          from = packed.next
          const update = readUpdate(packed.message, options)
          expect(update).toMatchObject({ withdrawn: [], faults: [] })
          expect(update.attributes).toEqual(attributes)
          expect(update.reach.map((each) => each.nextHop)).toEqual([nextHop])
          seen.push(...prefixesOf(update.reach[0]!.prefixes))
        }
        expect(seen).toEqual(prefixesOf(block))
      }),
      { numRuns: 60 },
    )
  })

  it('withdrawals and ends of RIB', () => {
    const world = arbitraryFamily.chain((family) =>
      fc.record({ family: fc.constant(family), block: arbitraryBlock(family, 1500), options: arbitraryOptions }),
    )
    fc.assert(
      fc.property(world, ({ block, options }) => {
        const seen: string[] = []
        for (let from = 0; from < block.lengths.length; ) {
          const packed = packWithdrawal(block, from, options)
          from = packed.next
          const update = readUpdate(packed.message, options)
          expect(update).toMatchObject({ reach: [], faults: [] })
          seen.push(...update.withdrawn.flatMap(prefixesOf))
        }
        expect(seen).toEqual(prefixesOf(block))
      }),
      { numRuns: 60 },
    )
    for (const afi of [1, 2]) {
      expect(read(encodeEndOfRib({ afi, safi: 1 }))).toMatchObject({ endOfRib: { afi, safi: 1 }, reach: [] })
    }
  })

  it('attributes that leave no room for a prefix are told, not sent', () => {
    const communities = Array.from({ length: 1100 }, (_, index) => index)
    const block = blockOf(4, [prefix('192.0.2.0/24')])
    const nextHop = { address: '192.0.2.1' as never }
    const pack = (extendedMessages: boolean, count: number) =>
      packAnnouncement({ origin: 0, asPath: [], communities: communities.slice(0, count) }, nextHop, block, 0, {
        fourOctetAs: true,
        extendedMessages,
        internal: false,
      })
    expect(pack(false, 1100)).toBeUndefined()
    expect(pack(true, 1100)).toBeDefined()
    expect(pack(false, 1000)!.message.length).toBeLessThanOrEqual(4096)
    const endless = Array.from({ length: 20_000 }, (_, index) => index)
    const options = { fourOctetAs: true, extendedMessages: true, internal: false }
    expect(
      packAnnouncement({ origin: 0, asPath: [], communities: endless }, nextHop, block, 0, options),
    ).toBeUndefined()
  })

  it('to external peers no LOCAL_PREF, ORIGINATOR_ID or CLUSTER_LIST goes', () => {
    const attributes = { origin: 0, asPath: [], localPref: 1, originatorId: 2, clusterList: [3], med: 4 }
    const options = { fourOctetAs: true, extendedMessages: false, internal: false }
    const block = blockOf(4, [prefix('192.0.2.0/24')])
    const { message } = packAnnouncement(attributes, { address: '192.0.2.1' as never }, block, 0, options)!
    expect(readUpdate(message, options).attributes).toEqual({ origin: 0, asPath: [], med: 4 })
    expect(readUpdate(message, { ...options, internal: true }).attributes).toEqual({ origin: 0, asPath: [], med: 4 })
  })
})

describe('mutated messages', () => {
  it('60,000 of them: no exception, a known consequence, and what is read is whole', () => {
    const pool = seeds()
    const next = random(SEED)
    const seen = { message: 0, 'attribute-discard': 0, 'treat-as-withdraw': 0, 'session-reset': 0 }
    for (let index = 0; index < 60_000; index++) {
      const bytes = mutate(pool, next)
      // Most mutations change the length; a header that agrees lets the readers behind it see them.
      if (bytes.length >= 19 && next(8) > 0) {
        bytes.fill(0xff, 0, 16)
        new DataView(bytes.buffer).setUint16(16, bytes.length)
      }
      const options: DecodeOptions = {
        fourOctetAs: next(2) === 0,
        extendedMessages: next(2) === 0,
        internal: next(2) === 0,
        families: [[4], [6], [4, 6]][next(3)] as DecodeOptions['families'],
        ...(next(4) === 0 ? { firstAs: 65_001 } : {}),
      }
      for (const kind of check(bytes, options)) seen[kind]++
    }
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(1000)
  })
})

function check(bytes: Uint8Array, options: DecodeOptions): (keyof typeof kinds)[] {
  const before = bytes.slice()
  const found = decodeMessage(bytes, options)
  expect(bytes).toEqual(before)
  if (isBgpFault(found)) {
    expect(found.consequence).toBe('session-reset')
    expect(found.code).toBeGreaterThan(0)
    return ['session-reset']
  }
  if (found.type !== 'UPDATE') return ['message']
  for (const { consequence } of found.faults) expect(CONSEQUENCES).toContain(consequence)
  if (found.faults.some(({ consequence }) => consequence === 'treat-as-withdraw')) expect(found.reach).toEqual([])
  expect(found.attributes !== undefined).toBe(found.reach.length > 0)
  for (const { family, lengths, words } of [...found.withdrawn, ...found.reach.map(({ prefixes }) => prefixes)]) {
    expect(options.families).toContain(family)
    expect(words.length).toBe(lengths.length * (family === 4 ? 1 : 4))
    expect(lengths.every((bits) => bits <= (family === 4 ? 32 : 128))).toBe(true)
  }
  // Nothing keeps a view on the buffer, which the caller may use again.
  const text = show(found)
  bytes.fill(0xaa)
  expect(show(found)).toBe(text)
  return found.faults.length === 0 ? ['message'] : [...new Set(found.faults.map(({ consequence }) => consequence))]
}

const kinds = { message: 0, 'attribute-discard': 0, 'treat-as-withdraw': 0, 'session-reset': 0 }

function show(update: UpdateMessage): string {
  return JSON.stringify(update, (_key, value) => (ArrayBuffer.isView(value) ? Array.from(value as Uint8Array) : value))
}

/** Messages of every type, as they come from the encoders, with a fixed seed. */
function seeds(): Uint8Array[] {
  const sample = <T>(arbitrary: fc.Arbitrary<T>, count: number) => fc.sample(arbitrary, { numRuns: count, seed: SEED })
  const updates = arbitraryFamily.chain((family) =>
    fc.tuple(arbitraryAttributes, arbitraryNextHop(family), arbitraryBlock(family, 8), arbitraryOptions),
  )
  return [
    ...sample(arbitraryOpen, 20).map(encodeOpen),
    ...sample(updates, 60).map(
      ([attributes, hop, block, options]) => packAnnouncement(attributes, hop, block, 0, options)!.message,
    ),
    ...sample(fc.tuple(arbitraryBlock(6, 8), arbitraryOptions), 10).map(
      ([block, options]) => packWithdrawal(block, 0, options).message,
    ),
    encodeEndOfRib({ afi: 1, safi: 1 }),
    encodeEndOfRib({ afi: 2, safi: 1 }),
    encodeKeepalive(),
    encodeRefresh({ afi: 1, safi: 1, subtype: 1 }),
    encodeNotification({ code: 6, subcode: 2, data: shutdownData('maintenance') }),
  ]
}

const ANY: DecodeOptions = { fourOctetAs: true, extendedMessages: false, internal: true, families: [4, 6] }

function read(bytes: Uint8Array): BgpMessage {
  const found = decodeMessage(bytes, ANY)
  if (isBgpFault(found)) throw new Error(found.reason)
  return found
}

function readUpdate(bytes: Uint8Array, options: EncodeOptions): UpdateMessage {
  const found = decodeMessage(bytes, { ...options, families: [4, 6] })
  if (isBgpFault(found)) throw new Error(found.reason)
  if (found.type !== 'UPDATE') throw new Error(found.type)
  return found
}
