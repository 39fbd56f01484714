/** BGP messages by chance, of all that a codec can write. */
import fc from 'fast-check'
import {
  afiOf,
  blockOf,
  type Capability,
  joined,
  type NextHop,
  type OpenMessage,
  type PathAttributes,
  type PrefixBlock,
} from '../../connector/core/bgp/wire/codec.ts'
import { address, type Family, formatAddress, parsePrefix } from '../../protocol/net.ts'

const u8 = fc.integer({ min: 0, max: 0xff })
const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffffffff })
const asn = fc.oneof(fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 0x10000, max: 0xffffffff }))
const bytes = (most: number) => fc.uint8Array({ maxLength: most })

const flags: readonly Capability[] = [
  { type: 'route-refresh' },
  { type: 'enhanced-route-refresh' },
  { type: 'extended-message' },
]

const capability: fc.Arbitrary<Capability> = fc.oneof(
  fc.record({ type: fc.constant('multiprotocol' as const), afi: u16, safi: u8 }),
  fc.record({ type: fc.constant('four-octet-as' as const), asn }),
  fc.record({ type: fc.constant('role' as const), role: u8 }),
  fc.constantFrom(...flags),
  fc.record({
    type: fc.constant('graceful-restart' as const),
    restarting: fc.boolean(),
    notification: fc.boolean(),
    restartTime: fc.integer({ min: 0, max: 4095 }),
    families: fc.array(fc.record({ afi: u16, safi: u8, forwarding: fc.boolean() }), { maxLength: 5 }),
  }),
  fc.record({ type: fc.constant('unknown' as const), code: fc.integer({ min: 128, max: 255 }), value: bytes(80) }),
)

export const arbitraryOpen: fc.Arbitrary<OpenMessage> = fc.record({
  type: fc.constant('OPEN' as const),
  version: fc.constant(4),
  myAs: fc.integer({ min: 1, max: 0xffff }),
  holdTime: fc.oneof(fc.constant(0), fc.integer({ min: 3, max: 0xffff })),
  bgpIdentifier: fc.integer({ min: 1, max: 0xffffffff }),
  capabilities: fc.array(capability, { maxLength: 12 }),
})

function prefix(family: Family) {
  const size = family === 4 ? 4 : 16
  return fc
    .tuple(fc.uint8Array({ minLength: size, maxLength: size }), fc.integer({ min: 0, max: 8 * size }))
    .map(([octets, bits]) => parsePrefix(`${formatAddress(octets)}/${bits}`)!)
}

export function arbitraryBlock(family: Family, most: number): fc.Arbitrary<PrefixBlock> {
  return fc.array(prefix(family), { minLength: 1, maxLength: most, size: 'max' }).map((all) => blockOf(family, all))
}

export function arbitraryNextHop(family: Family): fc.Arbitrary<NextHop> {
  if (family === 4) return fc.constantFrom('192.0.2.1', '169.254.1.1', '223.255.255.255').map(nextHop)
  const linkLocal = address('fe80::1')
  return fc.constantFrom(
    nextHop('2001:db8::1'),
    { address: address('2001:db8::1'), linkLocal },
    { address: linkLocal, linkLocal },
  )
}

function nextHop(text: string): NextHop {
  return { address: address(text) }
}

/** Without sets, which are refused (RFC 9774). */
const asPath = fc.array(asn, { maxLength: 20 }).map((asns) => joined([{ type: 'sequence', asns }]))

const large = fc.tuple(u32, u32, u32)

const known = fc.record(
  {
    med: u32,
    localPref: u32,
    atomicAggregate: fc.constant(true as const),
    aggregator: fc.record({ asn, routerId: u32 }),
    communities: fc.uniqueArray(u32, { minLength: 1, maxLength: 20 }).map((all) => all.sort((a, b) => a - b)),
    extendedCommunities: fc.array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { minLength: 1, maxLength: 5 }),
    largeCommunities: fc
      .uniqueArray(large, { minLength: 1, maxLength: 5, selector: String })
      .map((all) => all.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2])),
    originatorId: u32,
    clusterList: fc.array(u32, { minLength: 1, maxLength: 5 }),
    onlyToCustomer: u32,
    unknown: fc
      .uniqueArray(
        fc.record({ flags: fc.constant(0xe0), type: fc.integer({ min: 200, max: 250 }), value: bytes(300) }),
        { minLength: 1, maxLength: 3, selector: ({ type }) => type },
      )
      .map((all) => all.sort((a, b) => a.type - b.type)),
  },
  { requiredKeys: [] },
)

export const arbitraryAttributes: fc.Arbitrary<PathAttributes> = fc
  .tuple(fc.integer({ min: 0, max: 2 }), asPath, known)
  .map(([origin, path, rest]) => ({ origin, asPath: path, ...rest }))

export const arbitraryFamily: fc.Arbitrary<Family> = fc.constantFrom(4, 6)
export const arbitraryAfiSafi = fc.oneof(arbitraryFamily.map(afiOf), fc.record({ afi: u16, safi: u8 }))
