import { describe, expect, it } from 'vitest'
import { asPathLength, decodeAsPath, encodeAsPath, joined, mergeAs4Path } from './as-path.ts'
import { decodeMessage, isBgpFault, type PathAttributes } from './codec.ts'
import type { AsPath } from './types.ts'

const seq = (...asns: number[]): AsPath => [{ type: 'sequence', asns }]
const set = (...asns: number[]): AsPath => [{ type: 'set', asns }]
const TRANS = 23_456

describe('AS_PATH', () => {
  it('of more than 255 numbers goes in several segments and comes back as one', () => {
    const path = seq(...Array.from({ length: 600 }, (_, index) => index + 1))
    const bytes = encodeAsPath(path, 4)
    expect(bytes.length).toBe(3 * 2 + 600 * 4)
    expect(decodeAsPath(bytes, 4, 'refuse')).toEqual(path)
  })

  it('counts a set as one', () => {
    expect(asPathLength([...seq(1, 2), ...set(3, 4, 5), ...seq(6)])).toBe(4)
    expect(asPathLength([])).toBe(0)
  })

  it('joins neighbouring sequences and drops empty segments', () => {
    expect(joined([...seq(1), ...seq(2), ...set(3), ...set(4), ...seq(), ...seq(5)])).toEqual([
      ...seq(1, 2),
      ...set(3),
      ...set(4),
      ...seq(5),
    ])
  })
})

describe('AS4_PATH beside AS_PATH (RFC 6793 section 4.2.3)', () => {
  it.each<[string, AsPath, AsPath, AsPath]>([
    ['replaces one of equal length', seq(TRANS, 2), seq(70_000, 2), seq(70_000, 2)],
    ['leaves in front what old speakers prepended', seq(10, 11, TRANS, 2), seq(70_000, 2), seq(10, 11, 70_000, 2)],
    ['is ignored when it is longer', seq(TRANS), seq(70_000, 2), seq(TRANS)],
    ['counts a set as one', [...seq(10), ...set(11, 12)], set(70_000, 12), [...seq(10), ...set(70_000, 12)]],
    ['keeps a leading set whole', [...set(10, 11), ...seq(TRANS)], seq(70_000), [...set(10, 11), ...seq(70_000)]],
  ])('%s', (_name, asPath, as4Path, merged) => expect(mergeAs4Path(asPath, as4Path)).toEqual(merged))
})

describe('attributes of an old speaker', () => {
  const path = '40020602025ba00002'
  const as4Path = 'c0110a0202 00011170 00000002'.replaceAll(' ', '')

  it('AS4_PATH and AS4_AGGREGATOR stand for AS_TRANS', () => {
    expect(attributes(`${path}c007065ba0c0000201${as4Path}c0120800011170c0000201`)).toMatchObject({
      asPath: seq(70_000, 2),
      aggregator: { asn: 70_000, routerId: 0xc0000201 },
    })
  })

  it('an aggregator that is not AS_TRANS makes both void', () => {
    expect(attributes(`${path}c007060009c0000201${as4Path}c0120800011170c0000201`)).toMatchObject({
      asPath: seq(TRANS, 2),
      aggregator: { asn: 9, routerId: 0xc0000201 },
    })
  })

  it('AS4_AGGREGATOR alone means nothing', () => {
    const found = attributes(`${path}${as4Path}c0120800011170c0000201`)
    expect(found.asPath).toEqual(seq(70_000, 2))
    expect(found.aggregator).toBeUndefined()
  })

  it('confederation segments of AS4_PATH are left out', () => {
    const confederation = 'c011100301 00000001 0202 00011170 00000002'.replaceAll(' ', '')
    expect(attributes(`${path}${confederation}`).asPath).toEqual(seq(70_000, 2))
  })
})

/** Of an UPDATE from an old speaker with these attributes beside ORIGIN and NEXT_HOP. */
function attributes(hex: string): PathAttributes {
  const all = Buffer.from(`40010100400304c0000201${hex.replaceAll(' ', '')}`, 'hex')
  const message = Buffer.concat([
    Buffer.alloc(16, 0xff),
    Buffer.from([0, 0, 2, 0, 0, 0, all.length]),
    all,
    Buffer.from('080a', 'hex'),
  ])
  message.writeUInt16BE(message.length, 16)
  const options = { fourOctetAs: false, extendedMessages: false, internal: false, families: [4] } as const
  const found = decodeMessage(message, options)
  if (isBgpFault(found) || found.type !== 'UPDATE' || found.attributes === undefined)
    throw new Error('nothing is announced')
  expect(found.faults).toEqual([])
  return found.attributes
}
