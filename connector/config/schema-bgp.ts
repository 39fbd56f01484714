/** The part of the configuration that is about BGP (docs/bgp.md). */
import { z } from 'zod'
import * as leaf from './leaf.ts'
import { bfdTimers } from './schema-bfd.ts'
import { secret } from './schema-secret.ts'

const ROLES = ['provider', 'customer', 'peer', 'route-server', 'route-server-client'] as const
const MAX_AS = 4_294_967_295

function asNumber(description: string, why: string) {
  return leaf.integer({ description, why, examples: [64512] }, { min: 1, max: MAX_AS })
}

function policyName(description: string) {
  return leaf
    .patternText(
      'name',
      {
        description,
        why: 'Without one a neighbour of another AS gives us nothing, or gets nothing (RFC 8212); one of our AS needs none.',
        computed: 'none',
      },
      leaf.NAME,
      'the name of a policy; write one that stands under bgp.policies',
    )
    .optional()
}

const bfd = leaf.section(bfdTimers, {
  description: 'BFD with the neighbour (RFC 5880, 5881, 5882); `{}` for the defaults.',
  why: 'A path that is cut is noticed in a second instead of the hold time.',
  computed: 'none: no BFD',
})

const maxPrefixes = leaf.section(
  {
    limit: leaf.integer(
      {
        description: 'Prefixes of each family beyond which the session is closed.',
        why: 'A neighbour that leaks a full table must not fill ours.',
        examples: [1000],
      },
      { min: 1, max: 10_000_000 },
    ),
    restart: leaf
      .durationText(
        {
          description: 'Time after which it may come back.',
          why: 'off: when somebody has looked, and starts the connector again.',
        },
        { min: 1_000, max: 86_400_000, off: true },
      )
      .prefault('15m'),
  },
  { description: 'A limit for what the neighbour announces.', why: 'It warns at 80 % of it.', computed: 'none' },
)

const neighbour = leaf.section(
  {
    peer: leaf.patternText(
      'name',
      {
        description: 'The peer whose tunnel leads to it.',
        why: 'Sessions run inside the tunnels.',
        examples: ['cloud'],
      },
      leaf.NAME,
      'the name of a peer; write one that stands under peers',
    ),
    address: leaf.addressText({
      description: 'Its address inside the tunnel.',
      why: 'Clouds give a /30 of 169.254.0.0/16 to each tunnel: theirs is one of the two.',
      examples: ['169.254.10.1'],
    }),
    as: asNumber('Its AS number.', 'Another one is refused, with a word to the neighbour.'),
    passive: leaf
      .flag({ description: 'Wait for its connection instead of calling it.', why: 'Both ends may call.' })
      .default(false),
    hold: leaf
      .durationText(
        {
          description: 'Silence after which the session is lost; the smaller of both ends counts.',
          why: 'As most speakers have it; BFD is what makes it fast.',
        },
        { min: 3_000, max: 65_535_000 },
      )
      .prefault('90s'),
    connect_retry: leaf
      .durationText(
        { description: 'Pause between two attempts to connect.', why: 'A neighbour that is back is found soon.' },
        { min: 1_000, max: 3_600_000 },
      )
      .prefault('10s'),
    families: leaf
      .list(
        leaf.choice({ description: 'An address family.', why: 'See the list.' }, ['ipv4', 'ipv6']),
        'family',
        {
          description: 'What is exchanged.',
          why: 'Each needs an address of its family in `inside` of the peer.',
          computed: 'those of which the peer has an `inside` address',
        },
        2,
      )
      .optional(),
    password: secret(
      'Where the key of TCP MD5 signatures (RFC 2385) is found, 1 to 80 bytes.',
      'none: no signatures',
    ).optional(),
    ttl_security: leaf
      .flag({
        description: 'Take only packets that come from the neighbour itself, by their TTL of 255 (RFC 5082).',
        why: 'Both ends must do it; inside a tunnel strangers are kept out anyway.',
      })
      .default(false),
    role: leaf
      .choice(
        {
          description: 'What we are to it (RFC 9234): leaks are then found by themselves.',
          why: 'Both ends must agree.',
          computed: 'none',
        },
        ROLES,
      )
      .optional(),
    strict_role: leaf
      .flag({ description: 'Refuse a neighbour that tells no role.', why: 'Old speakers know none.' })
      .default(false),
    max_prefixes: maxPrefixes.optional(),
    import: policyName('The policy for what it announces.'),
    export: policyName('The policy for what it is told.'),
    accept_default: leaf
      .flag({
        description: 'Take a default route from it.',
        why: 'It takes all traffic that has no better route, so it must be asked for.',
      })
      .default(false),
    allow_as_in: leaf
      .integer(
        {
          description: 'How often our AS may be in a path.',
          why: '1 for sites that share an AS and meet at a hub; loops are found otherwise.',
        },
        { min: 0, max: 10 },
      )
      .default(0),
    next_hop_self: leaf
      .flag({ description: 'To neighbours of our AS, be the next hop ourselves.', why: 'They may not know the other.' })
      .default(false),
    damping: leaf
      .flag({ description: 'Hold back prefixes that flap (RFC 7196).', why: 'Off, as it slows honest changes too.' })
      .default(false),
    graceful_restart: leaf
      .flag({
        description: 'Keep its routes while it restarts (RFC 4724).',
        why: 'Its forwarding mostly goes on meanwhile.',
      })
      .default(true),
    bfd: bfd.optional(),
  },
  { description: 'One BGP neighbour.', why: 'Peer, address, AS and two policies are all that is needed.' },
)

/** What is below it is checked by `bgp-policies.ts`, which names every fault itself. */
function plain(type: string, doc: leaf.KeyDoc) {
  const wanted = 'a mapping of names; docs/bgp.md shows one'
  return z
    .record(z.string(), z.unknown(), { error: () => wanted })
    .meta(leaf.annotations(type, doc))
    .optional()
}

export const bgp = leaf.section(
  {
    as: asNumber('Our AS number.', 'One of 64512 to 65534 or 4200000000 to 4294967294 needs nobody to assign it.'),
    router_id: leaf
      .patternText(
        'IPv4 address',
        {
          description: 'Our BGP identifier, written as an IPv4 address.',
          why: 'Unique within our AS.',
          computed: '`address` of the site where that is IPv4',
          examples: ['10.1.0.1'],
        },
        /^(?!0\.0\.0\.0$)((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(?!$)|$)){4}$/,
        'an identifier; write one like 10.1.0.1',
      )
      .optional(),
    networks: leaf
      .list(leaf.prefixText({ description: 'A network of ours.', why: 'See the list.' }), 'network', {
        description: 'Networks that we announce, as far as export policies let us.',
        why: 'Those of the site, mostly.',
        computed: '`networks` of the site',
      })
      .optional(),
    max_paths: leaf
      .integer(
        {
          description: 'Routes of equal worth that are used beside each other.',
          why: 'Tunnels of one group with weights share the flows; else the first one carries all, and the others take over at once.',
        },
        { min: 1, max: 8 },
      )
      .default(4),
    neighbours: leaf.named(neighbour, 'neighbour', {
      description: 'The BGP neighbours, by a name of your choice.',
      why: 'The name is how logs, metrics and the command line call it.',
    }),
    policies: plain('policies by name', {
      description: 'What is taken and told, by rules (docs/bgp.md).',
      why: 'The first rule that matches decides.',
      computed: 'none',
    }),
    prefix_lists: plain('lists by name', {
      description: 'Lists of prefixes that policies refer to.',
      why: 'One place for what several rules need.',
      computed: 'none',
    }),
  },
  {
    description: 'Dynamic routing through the tunnels (docs/bgp.md).',
    why: 'Clouds expect it, and it fails over.',
    computed: 'none',
  },
)

export type BgpConfig = z.output<typeof bgp>
export type BgpNeighbourConfig = BgpConfig['neighbours'][string]
