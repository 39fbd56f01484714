/** What only tests use: two tunnels to one cloud. */
import type { DocumentExternal, ExternalRouting } from '../../../../protocol/control/external.ts'
import type { OpenedKey } from '../externals.ts'

interface Which {
  readonly id: string
  readonly name: string
  readonly side: number
}

export const ONE: Which = { id: `ext_${'1'.repeat(20)}`, name: 'aws-1', side: 0 }
export const TWO: Which = { id: `ext_${'2'.repeat(20)}`, name: 'aws-2', side: 1 }

const BGP: Extract<ExternalRouting, { kind: 'bgp' }> = {
  kind: 'bgp',
  localAs: 65_010,
  peerAs: 64_512,
  advertise: ['10.1.0.0/16'],
  accept: ['10.9.0.0/16'],
  maxPrefixes: 100,
  holdTimeS: 30,
}

/** By static routes, unless `changes` say otherwise. */
export function sampleExternal({ id, name, side }: Which, changes: Partial<DocumentExternal> = {}): DocumentExternal {
  return {
    id,
    name,
    peer: { address: `203.0.113.${side + 1}` },
    initiate: true,
    ike: ['aes256gcm16-prfsha384-ecp384'],
    esp: ['aes256gcm16-ecp384-noesn'],
    ikeLifetimeS: 28_800,
    childLifetimeS: 3_600,
    dpdS: 10,
    replayWindow: 1_024,
    inside: { local: `169.254.20.${4 * side + 2}`, peer: `169.254.20.${4 * side + 1}` },
    routing: { kind: 'static', prefixes: ['10.9.0.0/16'] },
    group: 'cloud',
    drained: false,
    keys: [{ id: 'k1', fingerprint: '0123456789abcdef', secret: 'a..b.c.d' }],
    generation: 0,
    ...changes,
  }
}

export function bgpExternal(
  which: Which,
  routing: Partial<typeof BGP> = {},
  changes: Partial<DocumentExternal> = {},
): DocumentExternal {
  return sampleExternal(which, { routing: { ...BGP, ...routing }, ...changes })
}

/** All of them opened: each key is its own name. */
export function openedKeys(externals: readonly DocumentExternal[]): ReadonlyMap<string, OpenedKey> {
  const names = externals.flatMap(({ id, keys }) => keys.map((key) => `${id}/${key.id}`))
  return new Map(names.map((name) => [name, { psk: new TextEncoder().encode(name) }]))
}
