/** Every row of the table by a message that breaks its rule: what the NOTIFICATION would say, and what follows. */
import { describe, expect, it } from 'vitest'
import { negotiate } from '../negotiate.ts'
import type { SessionConfig } from '../session-types.ts'
import { CONFIG } from '../testing/driven.ts'
import {
  type BgpFault,
  type Consequence,
  decodeMessage,
  FAULTS,
  type FaultName,
  isBgpFault,
  strongest,
} from './codec.ts'
import { bgpFault } from './faults.ts'
import type { DecodeOptions, UpdateMessage } from './types.ts'

const EXTERNAL: DecodeOptions = { fourOctetAs: true, extendedMessages: false, internal: false, families: [4, 6] }
const INTERNAL: DecodeOptions = { ...EXTERNAL, internal: true }
const OLD: DecodeOptions = { ...EXTERNAL, fourOctetAs: false }

/** Well formed: 10.0.0.0/8 by 192.0.2.1 through AS 65001. */
const ORIGIN = '40010100'
const AS_PATH = '4002060201 0000fde9'
const NEXT_HOP = '400304 c0000201'
const NLRI = '080a'
const GOOD = `${ORIGIN}${AS_PATH}${NEXT_HOP}`
const OPEN = '04 fde9 00b4 c0000201'

interface Example {
  readonly message: string
  readonly options?: DecodeOptions
  /** Of an OPEN that is wrong only for whoever is configured so. */
  readonly config?: Partial<SessionConfig>
  readonly code: number
  readonly subcode: number
  readonly consequence: Consequence
  /** Of the NOTIFICATION; hex. */
  readonly data?: string
}

const reset = (code: number, subcode: number, data?: string) => outcome(code, subcode, 'session-reset', data)
const withdraw = (subcode: number, data?: string) => outcome(3, subcode, 'treat-as-withdraw', data)
const discard = (subcode: number, data?: string) => outcome(3, subcode, 'attribute-discard', data)

const EXAMPLES: Readonly<Record<FaultName, readonly Example[]>> = {
  'header-marker': [{ message: `${'ff'.repeat(15)}fe001304`, ...reset(1, 1) }],
  'header-length': [
    { message: framed(4, '', 18), ...reset(1, 2, '0012') },
    { message: framed(4, '00'), ...reset(1, 2, '0014') },
    { message: framed(1, '04fde900b4c00002'), ...reset(1, 2, '001b') },
    { message: framed(2, '000000'), ...reset(1, 2, '0016') },
    { message: framed(3, '06'), ...reset(1, 2, '0014') },
    { message: framed(5, '000100'), ...reset(1, 2, '0016') },
    { message: framed(2, '00'.repeat(4078)), ...reset(1, 2, '1001') },
    { message: framed(1, '00'.repeat(4078)), options: { ...EXTERNAL, extendedMessages: true }, ...reset(1, 2, '1001') },
    { message: framed(9, '', 5000), ...reset(1, 2, '1388') },
  ],
  'header-type': [
    { message: framed(0, ''), ...reset(1, 3, '00') },
    { message: framed(6, '0000'), ...reset(1, 3, '06') },
  ],
  'open-version': [
    { message: framed(1, '03 fde9 00b4 c0000201 00'), ...reset(2, 1, '0004') },
    { message: framed(1, '05 fde9 00b4 c0000201 00'), ...reset(2, 1, '0004') },
  ],
  'open-peer-as': [
    { message: framed(1, '04 0000 00b4 c0000201 00'), ...reset(2, 2) },
    { message: framed(1, `${OPEN} 08 0206 4104 00000000`), ...reset(2, 2) },
  ],
  'open-identifier': [{ message: framed(1, '04 fde9 00b4 00000000 00'), ...reset(2, 3) }],
  'open-parameter': [{ message: framed(1, `${OPEN} 02 0100`), ...reset(2, 4) }],
  'open-parameter-malformed': [
    { message: framed(1, `${OPEN} 01`), ...reset(2, 0) },
    { message: framed(1, `${OPEN} 00 00`), ...reset(2, 0) },
    { message: framed(1, `${OPEN} 01 02`), ...reset(2, 0) },
    { message: framed(1, `${OPEN} 02 0201`), ...reset(2, 0) },
    { message: framed(1, `${OPEN} 03 0201 01`), ...reset(2, 0) },
    { message: framed(1, `${OPEN} 04 0202 0102`), ...reset(2, 0) },
    { message: framed(1, `${OPEN} 05 0203 010100`), ...reset(2, 0) },
    { message: framed(1, `${OPEN} 04 0202 0900`), ...reset(2, 0) },
    { message: framed(1, `${OPEN} 05 0203 400178`), ...reset(2, 0) },
  ],
  'open-hold-time': [
    { message: framed(1, '04 fde9 0001 c0000201 00'), ...reset(2, 6) },
    { message: framed(1, '04 fde9 0002 c0000201 00'), ...reset(2, 6) },
  ],
  'open-role': [
    {
      message: framed(1, `${OPEN} 00`),
      config: { localAs: 65_009, peerAs: 65_001, role: 'peer', strictRole: true },
      ...reset(2, 11),
    },
    {
      message: framed(1, `${OPEN} 05 0203 090103`),
      config: { localAs: 65_009, peerAs: 65_001, role: 'peer' },
      ...reset(2, 11),
    },
  ],
  'open-capability': [
    {
      message: framed(1, `${OPEN} 00`),
      config: { localAs: 65_009, peerAs: 65_001, families: [6] },
      ...reset(2, 7, '0104 00020001'),
    },
  ],
  'refresh-length': [{ message: framed(5, '0001 01 01 00'), ...reset(7, 1, framed(5, '0001 01 01 00')) }],
  'field-lengths': [
    { message: framed(2, '0005 0000'), ...reset(3, 1) },
    { message: framed(2, '0000 0005 40010100'), ...reset(3, 1) },
    { message: framed(2, '0003 080a00'), ...reset(3, 1) },
    { message: framed(2, 'ffff ffff'), ...reset(3, 1) },
  ],
  'withdrawn-syntax': [
    { message: framed(2, '0002 210a 0000'), ...reset(3, 10) },
    { message: framed(2, '0002 100a 0000'), ...reset(3, 10) },
  ],
  'nlri-syntax': [
    { message: update(GOOD, '210a000000ff'), ...reset(3, 10) },
    { message: update(GOOD, '180a00'), ...reset(3, 10) },
  ],
  'attribute-overrun': [
    { message: update(`${GOOD}40`, NLRI), ...withdraw(1) },
    { message: update(`${GOOD}8004`, NLRI), ...withdraw(1) },
    { message: update(`${GOOD}900400`, NLRI), ...withdraw(1) },
    { message: update(`${GOOD}80040400`, NLRI), ...withdraw(1) },
    // Without prefixes nobody knows whether they were found.
    { message: update(`${GOOD}40`), ...reset(3, 1) },
  ],
  'attribute-flags': [
    { message: update('c0010100'.concat(AS_PATH, NEXT_HOP), NLRI), ...withdraw(4, 'c0010100') },
    { message: update(`${GOOD}000600`, NLRI), ...withdraw(4, '000600') },
    { message: update(`${GOOD}400404 00000001`, NLRI), ...withdraw(4, '40040400000001') },
    { message: update(`${GOOD}800804 00000001`, NLRI), ...withdraw(4, '80080400000001') },
    { message: update('c0010100'), ...reset(3, 4, 'c0010100') },
  ],
  'attribute-unknown': [{ message: update(`${GOOD}40c80100`, NLRI), ...reset(3, 2, '40c80100') }],
  'attribute-missing': [
    { message: update(`${AS_PATH}${NEXT_HOP}`, NLRI), ...withdraw(3, '01') },
    { message: update(`${ORIGIN}${NEXT_HOP}`, NLRI), ...withdraw(3, '02') },
    { message: update(`${ORIGIN}${AS_PATH}`, NLRI), ...withdraw(3, '03') },
    { message: update(`${mpReach6()}${AS_PATH}`), ...withdraw(3, '01') },
    { message: update(mpReach6().concat(ORIGIN)), ...withdraw(3, '02') },
  ],
  'attribute-repeated': [
    { message: update(`${GOOD}40010102`, NLRI), ...discard(1) },
    { message: update(`${GOOD}c0c80100c0c80101`, NLRI), ...discard(1) },
  ],
  'mp-repeated': [
    { message: update(`${GOOD}${mpReach6()}${mpReach6()}`), ...reset(3, 1) },
    { message: update('800f03000201 800f03000201'), ...reset(3, 1) },
  ],
  'mp-syntax': [
    { message: update('800e04 00020100'), ...reset(3, 9, '800e0400020100') },
    { message: update('800f02 0002'), ...reset(3, 9, '800f020002') },
    { message: update('800f04 000201 81'), ...reset(3, 9, '800f0400020181') },
    { message: update('800f04 000201 08'), ...reset(3, 9, '800f0400020108') },
    { message: update('800f05 000101 2100'), ...reset(3, 9, '800f050001012100') },
    { message: update('c00f03 000201'), ...reset(3, 9, 'c00f03000201') },
    { message: update(mpReach6('20010db8000000000000000000000001', '8120')), ...reset(3, 9, '*') },
  ],
  'mp-next-hop-length': [
    { message: update(mpReach6('c0000201')), ...reset(3, 9, '*') },
    { message: update('800e14 000201 10 20010db8000000000000000000000001'), ...reset(3, 9, '*') },
  ],
  'mp-next-hop': [
    { message: update(`${ORIGIN}${AS_PATH}${mpReach6('ff02000000000000 0000000000000001')}`), ...withdraw(9, '*') },
    { message: update(`${ORIGIN}${AS_PATH}${mpReach6('0000000000000000 0000000000000000')}`), ...withdraw(9, '*') },
    { message: update(`${ORIGIN}${AS_PATH}${mpReach6('0000000000000000 0000000000000001')}`), ...withdraw(9, '*') },
  ],
  'mp-family': [
    { message: update('800f03 000180'), ...discard(9, '800f03000180') },
    { message: update('800f03 000201'), options: { ...EXTERNAL, families: [4] }, ...discard(9, '800f03000201') },
    { message: update(`${ORIGIN}${AS_PATH}800e05 0019410000`), ...discard(9, '800e050019410000') },
  ],
  'origin-length': [
    { message: update(`400100${AS_PATH}${NEXT_HOP}`, NLRI), ...withdraw(5, '400100') },
    { message: update(`4001020000${AS_PATH}${NEXT_HOP}`, NLRI), ...withdraw(5, '4001020000') },
  ],
  'origin-value': [{ message: update(`40010103${AS_PATH}${NEXT_HOP}`, NLRI), ...withdraw(6, '40010103') }],
  'as-path': [
    // An unknown segment type, confederation segments, an empty one, an overrun, an underrun.
    { message: update(`${ORIGIN}4002060501 0000fde9${NEXT_HOP}`, NLRI), ...withdraw(11) },
    { message: update(`${ORIGIN}4002060301 0000fde9${NEXT_HOP}`, NLRI), ...withdraw(11) },
    { message: update(`${ORIGIN}4002060401 0000fde9${NEXT_HOP}`, NLRI), ...withdraw(11) },
    { message: update(`${ORIGIN}4002020200${NEXT_HOP}`, NLRI), ...withdraw(11) },
    { message: update(`${ORIGIN}4002060202 0000fde9${NEXT_HOP}`, NLRI), ...withdraw(11) },
    { message: update(`${ORIGIN}4002070201 0000fde902${NEXT_HOP}`, NLRI), ...withdraw(11) },
  ],
  'as-path-zero': [{ message: update(`${ORIGIN}4002060201 00000000${NEXT_HOP}`, NLRI), ...withdraw(11) }],
  'as-set': [
    { message: update(`${ORIGIN}4002060101 0000fde9${NEXT_HOP}`, NLRI), ...withdraw(11) },
    { message: update(`${ORIGIN}40020c0201 0000fde9 0101 0000fdea${NEXT_HOP}`, NLRI), ...withdraw(11) },
    { message: old('c011060101 0000fde9'), options: OLD, ...withdraw(11) },
    // A set of a confederation's members in AS4_PATH is one as well.
    { message: old('c011060401 0000fde9'), options: OLD, ...withdraw(11) },
  ],
  'as-path-first': [
    { message: update(GOOD, NLRI), options: { ...EXTERNAL, firstAs: 65_002 }, ...withdraw(11) },
    { message: update(`${ORIGIN}400200${NEXT_HOP}`, NLRI), options: { ...EXTERNAL, firstAs: 65_001 }, ...withdraw(11) },
  ],
  'next-hop-length': [
    { message: update(`${ORIGIN}${AS_PATH}400303c00002`, NLRI), ...withdraw(5, '400303c00002') },
    { message: update(`${ORIGIN}${AS_PATH}400300`, NLRI), ...withdraw(5, '400300') },
  ],
  'next-hop': ['00000000', '7f000001', 'e0000001', 'ffffffff'].map((hop) => ({
    message: update(`${ORIGIN}${AS_PATH}400304${hop}`, NLRI),
    ...withdraw(8, `400304${hop}`),
  })),
  'med-length': [{ message: update(`${GOOD}800403000000`, NLRI), ...withdraw(5, '800403000000') }],
  'local-pref-external': [{ message: update(`${GOOD}400504 00000064`, NLRI), ...discard(9, '40050400000064') }],
  'local-pref-length': [
    { message: update(`${GOOD}400500`, NLRI), options: INTERNAL, ...withdraw(5, '400500') },
    { message: update(`${GOOD}4005050000000064`, NLRI), options: INTERNAL, ...withdraw(5, '4005050000000064') },
  ],
  'atomic-aggregate-length': [{ message: update(`${GOOD}40060101`, NLRI), ...discard(5, '40060101') }],
  'aggregator-length': [
    { message: update(`${GOOD}c00706fde9c0000201`, NLRI), ...discard(5, 'c00706fde9c0000201') },
    {
      message: update(`${ORIGIN}4002040201fde9${NEXT_HOP}c007080000fde9c0000201`, NLRI),
      options: OLD,
      ...discard(5, 'c007080000fde9c0000201'),
    },
  ],
  'aggregator-zero': [
    { message: update(`${GOOD}c0070800000000c0000201`, NLRI), ...discard(9, 'c0070800000000c0000201') },
  ],
  'communities-length': [
    { message: update(`${GOOD}c00800`, NLRI), ...withdraw(5, 'c00800') },
    { message: update(`${GOOD}c008050000000100`, NLRI), ...withdraw(5, 'c008050000000100') },
  ],
  'originator-id-external': [{ message: update(`${GOOD}800904c0000201`, NLRI), ...discard(9, '800904c0000201') }],
  'originator-id-length': [
    { message: update(`${GOOD}800903c00002`, NLRI), options: INTERNAL, ...withdraw(5, '800903c00002') },
  ],
  'cluster-list-external': [{ message: update(`${GOOD}800a04c0000201`, NLRI), ...discard(9, '800a04c0000201') }],
  'cluster-list-length': [
    { message: update(`${GOOD}800a00`, NLRI), options: INTERNAL, ...withdraw(5, '800a00') },
    { message: update(`${GOOD}800a06c0000201c000`, NLRI), options: INTERNAL, ...withdraw(5, '800a06c0000201c000') },
  ],
  'extended-communities-length': [
    { message: update(`${GOOD}c01000`, NLRI), ...withdraw(5, 'c01000') },
    { message: update(`${GOOD}c0100400020001`, NLRI), ...withdraw(5, 'c0100400020001') },
  ],
  'ipv6-extended-communities-length': [
    { message: update(`${GOOD}c0190400020001`, NLRI), ...withdraw(5, 'c0190400020001') },
  ],
  'large-communities-length': [
    { message: update(`${GOOD}c02000`, NLRI), ...withdraw(5, 'c02000') },
    { message: update(`${GOOD}c020080000fde900000001`, NLRI), ...withdraw(5, 'c020080000fde900000001') },
  ],
  'otc-length': [{ message: update(`${GOOD}c02302fde9`, NLRI), ...withdraw(5, 'c02302fde9') }],
  'as4-path': [
    { message: old('c01100'), options: OLD, ...discard(9, 'c01100') },
    { message: old('c011060501 0000fde9'), options: OLD, ...discard(9, 'c0110605010000fde9') },
    { message: old('c011060202 0000fde9'), options: OLD, ...discard(9, 'c0110602020000fde9') },
    { message: old('c011060200 02010001'), options: OLD, ...discard(9, 'c011060200 02010001') },
  ],
  'as4-path-zero': [{ message: old('c011060201 00000000'), options: OLD, ...discard(9, 'c011060201 00000000') }],
  'as4-aggregator-length': [{ message: old('c01206fde9c0000201'), options: OLD, ...discard(9, 'c01206fde9c0000201') }],
  'as4-aggregator-zero': [
    { message: old('c0120800000000c0000201'), options: OLD, ...discard(9, 'c0120800000000c0000201') },
  ],
  'as4-from-new-speaker': [
    { message: update(`${GOOD}c011060201 0000fde9`, NLRI), ...discard(9, 'c0110602010000fde9') },
    { message: update(`${GOOD}c012080000fde9c0000201`, NLRI), ...discard(9, 'c012080000fde9c0000201') },
  ],
}

it('has an example for each row', () => expect(Object.keys(EXAMPLES).sort()).toEqual(Object.keys(FAULTS).sort()))

describe.each(Object.entries(EXAMPLES))('%s', (name, examples) => {
  it('is told by a message at least', () => expect(examples.length).toBeGreaterThan(0))

  it.each(examples.map((example, index) => [index, example] as const))('example %d', (_index, example) => {
    const found = faultsOf(example)
    expect(found.map(({ fault }) => fault)).toContain(name)
    const { code, subcode, consequence, data, reason } = found.find(({ fault }) => fault === name)!
    expect({ code, subcode, consequence }).toEqual({
      code: example.code,
      subcode: example.subcode,
      consequence: example.consequence,
    })
    const hex = Buffer.from(data).toString('hex')
    if (example.data === '*') expect(hex).toMatch(/^800[ef]/)
    else expect(hex).toBe((example.data ?? '').replaceAll(' ', ''))
    expect(reason).toMatch(/^[A-Z].*\.$/)
  })

  it('has the consequence of its row where section 5.2 does not forbid it', () => {
    const row = FAULTS[name as FaultName]
    expect(examples.map(({ consequence }) => consequence)).toContain(row.consequence)
    for (const example of examples) expect([example.code, example.subcode]).toEqual([row.code, row.subcode])
  })
})

describe('several faults in one UPDATE', () => {
  it('have the strongest consequence (RFC 7606 section 3h)', () => {
    const one = (fault: FaultName) => bgpFault(fault, 'It is wrong.')
    expect(strongest([])).toBeUndefined()
    expect(strongest([one('aggregator-length')])).toBe('attribute-discard')
    expect(strongest([one('med-length'), one('aggregator-length')])).toBe('treat-as-withdraw')
    expect(strongest([one('med-length'), one('mp-syntax'), one('aggregator-length')])).toBe('session-reset')
  })

  it('discards and withdraws: the prefixes are withdrawn and both are told', () => {
    const found = decoded(update(`${GOOD}40060101 800403000000`, NLRI))
    expect(found.reach).toEqual([])
    expect(found.faults.map(({ fault }) => fault)).toEqual(['atomic-aggregate-length', 'med-length'])
    expect(found.withdrawn).toEqual([{ family: 4, lengths: Uint8Array.of(8), words: Uint32Array.of(0x0a000000) }])
    expect(found.attributes).toBeUndefined()
  })

  it('shows what a message says that is refused for a set alone (RFC 9774 section 3)', () => {
    const set = '40020c0201 0000fde9 0101 0000fdea'
    const found = decoded(update(`${ORIGIN}${set}${NEXT_HOP}`, NLRI))
    expect(found).toMatchObject({
      reach: [],
      withdrawn: [{ family: 4 }],
      attributes: { asPath: [{}, { type: 'set' }] },
    })
    expect(decoded(update(`${ORIGIN}${set}${NEXT_HOP}800403000000`, NLRI)).attributes).toBeUndefined()
  })

  it('tells the repetition of one type once, however often it occurs', () => {
    const found = decoded(update(`${GOOD}${'40010102'.repeat(500)}`, NLRI))
    expect(found.faults).toHaveLength(1)
    expect(found.attributes?.origin).toBe(0)
  })

  it('withdraws both families where an attribute of both is wrong', () => {
    const found = decoded(update(`${mpReach6()}${GOOD}800403000000`, NLRI))
    expect(found.withdrawn.map(({ family }) => family)).toEqual([6, 4])
  })
})

function outcome(code: number, subcode: number, consequence: Consequence, data = '') {
  return { code, subcode, consequence, data }
}

function faultsOf({ message, options = EXTERNAL, config }: Example): readonly BgpFault[] {
  const found = decodeMessage(bytes(message), options)
  if (isBgpFault(found)) return [found]
  if (config !== undefined && found.type === 'OPEN')
    return [negotiate({ ...CONFIG, ...config }, found)].filter(isBgpFault)
  return found.type === 'UPDATE' ? found.faults : []
}

function decoded(message: string): UpdateMessage {
  const found = decodeMessage(bytes(message), EXTERNAL)
  if ('fault' in found || found.type !== 'UPDATE') throw new Error('not an UPDATE that can be read')
  return found
}

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

function framed(type: number, body: string, length = 19 + bytes(body).length): string {
  const field = (value: number, digits: number) => value.toString(16).padStart(digits, '0')
  return `${'ff'.repeat(16)}${field(length, 4)}${field(type, 2)}${body}`.replaceAll(' ', '')
}

function update(attributes: string, nlri = ''): string {
  const size = bytes(attributes).length.toString(16).padStart(4, '0')
  return framed(2, `0000${size}${attributes}${nlri}`)
}

/** From an old speaker: AS_PATH in two octets. */
function old(attributes: string): string {
  return update(`${ORIGIN}4002040201fde9${NEXT_HOP}${attributes}`, NLRI)
}

function mpReach6(hop = '20010db8000000000000000000000001', nlri = '2020010db8'): string {
  const value = `000201${bytes(hop).length.toString(16).padStart(2, '0')}${hop}00${nlri}`
  return `800e${bytes(value).length.toString(16).padStart(2, '0')}${value}`
}
