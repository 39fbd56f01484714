import { describe, expect, it } from 'vitest'
import { decodeMessage, isBgpFault, prefixesOf } from './codec.ts'
import type { DecodeOptions, UpdateMessage } from './types.ts'

const OPTIONS: DecodeOptions = { fourOctetAs: true, extendedMessages: false, internal: false, families: [4, 6] }
const BASE = '40010100 4002060201 0000fde9'
const HOP = '400304 c0000201'

describe('UPDATE', () => {
  it('withdraws first, then announces: a prefix in both is announced', () => {
    const found = read(update('080a', `${BASE} ${HOP}`, '080a'))
    expect(found.withdrawn.map(prefixesOf)).toEqual([['10.0.0.0/8']])
    expect(found.reach.map(({ prefixes }) => prefixesOf(prefixes))).toEqual([['10.0.0.0/8']])
  })

  it('clears bits behind the length of a prefix', () => {
    const found = read(update('', `${BASE} ${HOP}`, '0cacff 00 1fc0000203 200a000001'))
    expect(prefixesOf(found.reach[0]!.prefixes)).toEqual(['172.240.0.0/12', '0.0.0.0/0', '192.0.2.2/31', '10.0.0.1/32'])
  })

  it('carries both families at once, each with its next hop', () => {
    const found = read(update('', `${reach6('20010db8000000000000000000000001')} ${BASE} ${HOP}`, '080a'))
    expect(found.reach.map(({ nextHop, prefixes }) => [nextHop.address, ...prefixesOf(prefixes)])).toEqual([
      ['2001:db8::1', '2001:db8::/32'],
      ['192.0.2.1', '10.0.0.0/8'],
    ])
  })

  it('a family that was not negotiated stays out, IPv4 too', () => {
    const message = update('080a', `${reach6('20010db8000000000000000000000001')} ${BASE} ${HOP}`, '080a')
    expect(read(message, { ...OPTIONS, families: [6] })).toMatchObject({
      withdrawn: [],
      reach: [{ prefixes: { family: 6 } }],
    })
    const ipv4 = read(message, { ...OPTIONS, families: [4] })
    expect(ipv4.reach.map(({ prefixes }) => prefixes.family)).toEqual([4])
    expect(ipv4.faults.map(({ fault }) => fault)).toEqual(['mp-family'])
  })

  it('ends a RIB when it is empty, or has MP_UNREACH_NLRI without prefixes and nothing else', () => {
    expect(read(update('', '', '')).endOfRib).toEqual({ afi: 1, safi: 1 })
    expect(read(update('', '800f03 000201', '')).endOfRib).toEqual({ afi: 2, safi: 1 })
    expect(read(update('', '900f0003 000101', '')).endOfRib).toEqual({ afi: 1, safi: 1 })
    expect(read(update('', `800f03 000201 ${BASE}`, '')).endOfRib).toBeUndefined()
    expect(read(update('', '800f03 000201', ''), { ...OPTIONS, families: [4] }).endOfRib).toBeUndefined()
    expect(read(update('', '', ''), { ...OPTIONS, families: [6] }).endOfRib).toBeUndefined()
  })
})

describe('next hops of IPv6 (RFC 2545 section 3)', () => {
  const global = '20010db8000000000000000000000001'
  const linkLocal = 'fe800000000000000000000000000001'

  it.each([
    ['a global one', global, { address: '2001:db8::1' }],
    ['both', global + linkLocal, { address: '2001:db8::1', linkLocal: 'fe80::1' }],
    ['a link-local one alone', linkLocal, { address: 'fe80::1', linkLocal: 'fe80::1' }],
    ['a link-local one twice', linkLocal + linkLocal, { address: 'fe80::1', linkLocal: 'fe80::1' }],
    ['a link-local one behind none', '00'.repeat(16) + linkLocal, { address: 'fe80::1', linkLocal: 'fe80::1' }],
    ['a second one that is not link-local', global + global, { address: '2001:db8::1' }],
  ])('%s', (_name, hop, expected) => {
    expect(read(update('', `${reach6(hop)} ${BASE}`, '')).reach[0]!.nextHop).toEqual(expected)
  })

  it('NEXT_HOP beside MP_REACH_NLRI alone is ignored, whatever is in it (RFC 4760 section 3)', () => {
    for (const hop of ['400304 00000000', '400303 c00002', HOP]) {
      expect(read(update('', `${BASE} ${hop} ${reach6(global)}`, ''))).toMatchObject({ faults: [], reach: [{}] })
    }
    // With prefixes of its own, or with none at all, it counts.
    expect(read(update('', `${BASE} 400304 00000000 ${reach6(global)}`, '080a')).reach).toEqual([])
    const found = decodeMessage(update('', `${BASE} 400304 00000000`, ''), OPTIONS)
    expect(found).toMatchObject({ fault: 'next-hop', consequence: 'session-reset' })
  })
})

describe('attributes that no codec knows (RFC 4271 section 5)', () => {
  it('go on with Partial set where they are transitive, and end here where they are not', () => {
    const found = read(update('', `${BASE} ${HOP} c0c801aa 80c901bb d0ca0002ccdd`, '080a'))
    expect(found.attributes?.unknown).toEqual([
      { flags: 0xe0, type: 200, value: Uint8Array.of(0xaa) },
      { flags: 0xe0, type: 202, value: Uint8Array.of(0xcc, 0xdd) },
    ])
    expect(found.faults).toEqual([])
  })
})

describe('lists', () => {
  it('of communities are sorted and without repetitions', () => {
    const found = read(update('', `${BASE} ${HOP} c0080c 00020001 00010001 00020001`, '080a'))
    expect(found.attributes?.communities).toEqual([0x00010001, 0x00020001])
    const large = `${'00000002'.repeat(3)}${'00000001'.repeat(3)}${'00000002'.repeat(3)}`
    expect(read(update('', `${BASE} ${HOP} c02024 ${large}`, '080a')).attributes?.largeCommunities).toEqual([
      [1, 1, 1],
      [2, 2, 2],
    ])
  })
})

function read(message: Uint8Array, options = OPTIONS): UpdateMessage {
  const found = decodeMessage(message, options)
  if (isBgpFault(found)) throw new Error(found.reason)
  if (found.type !== 'UPDATE') throw new Error(found.type)
  return found
}

function hexBytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}

function update(withdrawn: string, attributes: string, nlri: string): Uint8Array {
  const parts = [hexBytes(withdrawn), hexBytes(attributes), hexBytes(nlri)] as const
  const message = Buffer.alloc(23 + parts[0].length + parts[1].length + parts[2].length, 0xff)
  message.writeUInt16BE(message.length, 16)
  message[18] = 2
  message.writeUInt16BE(parts[0].length, 19)
  parts[0].copy(message, 21)
  message.writeUInt16BE(parts[1].length, 21 + parts[0].length)
  parts[1].copy(message, 23 + parts[0].length)
  parts[2].copy(message, 23 + parts[0].length + parts[1].length)
  return message
}

/** MP_REACH_NLRI of 2001:db8::/32. */
function reach6(hop: string): string {
  const value = `000201${(hop.length / 2).toString(16).padStart(2, '0')}${hop}00 20 20010db8`
  return `800e${hexBytes(value).length.toString(16).padStart(2, '0')}${value}`
}
