/** The part of the configuration that each peer has. */
import * as leaf from './leaf.ts'
import { bfd } from './schema-bfd.ts'
import { probe } from './schema-paths.ts'
import { esp, ike } from './schema-sas.ts'
import { secret } from './schema-secret.ts'

const network = leaf.prefixText({ description: 'A network.', why: 'See the list.' })

const child = leaf.section(
  {
    local: leaf
      .list(
        network,
        'network',
        {
          description: 'Networks on our side.',
          why: 'Narrower than the site where only a part may talk.',
          computed: '`networks` of the site',
        },
        16,
      )
      .optional(),
    remote: leaf
      .list(
        network,
        'network',
        {
          description: "Networks on the peer's side.",
          why: "Narrower than the peer's where only a part may talk.",
          computed: '`networks` of the peer',
        },
        16,
      )
      .optional(),
    protocol: leaf
      .choice(
        { description: 'IP protocol that this child carries.', why: 'One child for everything is the usual case.' },
        ['any', 'icmp', 'tcp', 'udp', 'gre', 'icmpv6', 'ospf', 'sctp'],
      )
      .default('any'),
    local_ports: leaf
      .portsText({
        description: 'Ports on our side; only with tcp, udp or sctp.',
        why: 'For peers that insist on them.',
        computed: 'all',
      })
      .optional(),
    remote_ports: leaf
      .portsText({
        description: "Ports on the peer's side; only with tcp, udp or sctp.",
        why: 'For peers that insist on them.',
        computed: 'all',
        examples: [443, '8000-8010'],
      })
      .optional(),
  },
  { description: 'One Child SA.', why: 'Several let different traffic have keys of its own.' },
)

const ports = leaf.section(
  {
    ike: leaf
      .integer({ description: "The peer's UDP port for IKE.", why: 'RFC 7296 fixes 500.' }, { min: 1, max: 65_535 })
      .default(500),
    nat: leaf
      .integer({ description: "The peer's UDP port behind NAT.", why: 'RFC 3948 fixes 4500.' }, { min: 1, max: 65_535 })
      .default(4500),
  },
  { description: 'The ports that the peer receives on.', why: 'Only where both ends agreed on others.' },
)

export const peer = leaf.section(
  {
    address: leaf
      .addressText({
        description: "The peer's outer address.",
        why: 'Leave it out for a peer whose address changes: it then has to call us, and needs an `id`.',
        computed: 'any; the peer calls us',
        examples: ['198.51.100.7'],
      })
      .optional(),
    id: leaf
      .identityText({
        description: 'The identity that the peer must prove.',
        why: 'A peer behind a NAT often sends its inner address or a name.',
        computed: '`address` of the peer',
        examples: ['198.51.100.7', 'branch.example.net'],
      })
      .optional(),
    local_address: leaf
      .addressText({
        description: 'Our outer address towards this peer.',
        why: 'For hosts with several uplinks or both families.',
        computed: '`address` of the site',
      })
      .optional(),
    local_id: leaf
      .identityText({
        description: 'Our identity towards this peer.',
        why: 'For peers that insist on one.',
        computed: '`id` of the site',
      })
      .optional(),
    networks: leaf
      .list(
        network,
        'network',
        {
          description: 'Networks behind the peer.',
          why: "They become the peer's traffic selectors, and routes to the tunnel.",
          computed: 'none; needed unless every child has `remote`',
          examples: ['[10.2.0.0/16]'],
        },
        16,
      )
      .optional(),
    inside: leaf
      .list(
        leaf.insideText({
          description: 'An address of ours inside the tunnel, with its length.',
          why: 'See the list.',
        }),
        'address with length',
        {
          description: 'Our addresses inside the tunnel to this peer; the rest of each network is at the peer.',
          why: 'Clouds give a /30 to each tunnel, for BGP and for checks.',
          computed: 'none',
          examples: ['[169.254.10.2/30]'],
        },
        2,
      )
      .optional(),
    routes: leaf
      .listOr(network, 'network', 'bgp', {
        description: 'Networks that are routed to this peer, or `bgp`: those that BGP learns.',
        why: 'Narrower than the selectors where those are 0.0.0.0/0, as clouds like them.',
        computed: 'all remote networks of the children',
      })
      .optional(),
    secret: secret('Where the pre-shared key is found.'),
    initiate: leaf
      .flag({
        description: 'Call the peer at start and whenever the tunnel is lost.',
        why: 'Both ends may: the one that is up first wins.',
        computed: 'true where the peer has an `address`',
      })
      .optional(),
    probe,
    bfd: bfd.optional(),
    transit: leaf
      .flag({
        description: 'Packets that come by this tunnel may leave by another one that has this too.',
        why: 'A hub passes them on by itself, without the kernel; others never do.',
      })
      .default(false),
    reverse_path: leaf
      .choice(
        {
          description:
            'Which sources are taken from the peer (RFC 3704): those that our routes lead back by this tunnel (`strict`), or into any tunnel (`loose`), or all that the selectors let pass (`off`).',
          why: 'Where BGP chooses the way, the selectors let everything pass.',
          computed: '`loose` with `routes: bgp`, else `off`',
        },
        ['off', 'loose', 'strict'],
      )
      .optional(),
    encapsulation: leaf
      .choice(
        {
          description: 'ESP inside UDP always (`udp`), or only where a NAT is found (`auto`).',
          why: "UDP passes every network and gets the kernel's segmentation offload; plain ESP saves 8 bytes per packet but is blocked by many routers and firewalls.",
        },
        ['udp', 'auto'],
      )
      .default('udp'),
    path_mtu: leaf
      .integer(
        {
          description: 'Largest packet that the path to the peer carries, outer headers included.',
          unit: 'bytes',
          why: 'Ethernet; 1492 for PPPoE, less in some mobile networks.',
        },
        { min: 576, max: 9216 },
      )
      .default(1500),
    clamp_mss: leaf
      .flag({
        description: 'Lower the MSS of TCP handshakes to what fits the tunnel.',
        why: 'Hosts then never send what would have to be fragmented, also where ICMP is filtered.',
      })
      .default(true),
    copy_dscp: leaf
      .flag({
        description: 'Copy the DSCP of inner packets to the outer ones.',
        why: 'Keeps voice ahead of bulk on the way. Switch it off where an observer must not see classes of traffic.',
      })
      .default(true),
    dpd: leaf
      .durationText(
        {
          description: 'Silence from the peer before a liveness check (RFC 7296 section 2.4).',
          why: 'A dead peer is noticed before users call.',
        },
        { min: 1000, max: 3_600_000, off: true },
      )
      .prefault('10s'),
    nat_keepalive: leaf
      .durationText(
        {
          description: 'Silence from us before a keepalive through a NAT (RFC 3948 section 4).',
          why: 'Many NATs forget a mapping after 30 s.',
        },
        { min: 1000, max: 3_600_000, off: true },
      )
      .prefault('20s'),
    fragment_size: leaf
      .integer(
        {
          description:
            'Largest IKE datagram, IP and UDP headers included, before it is sent in fragments (RFC 7383); 0: never.',
          unit: 'bytes',
          why: 'Fits every IPv6 path, and firewalls that drop IP fragments.',
        },
        { min: 0, max: 9216 },
      )
      .refine((value) => value === 0 || value >= 576, {
        error: 'the size is 576 to 9216 bytes, or 0; choose for example 1280',
      })
      .default(1280),
    ports: ports.prefault({}),
    ike: ike.prefault({}),
    esp: esp.prefault({}),
    children: leaf
      .named(child, 'child', {
        description: 'Child SAs with selectors of their own, by name.',
        why: 'One child called `net`, with all networks of both sides, is the usual case.',
        computed: 'one child `net`',
      })
      .optional(),
  },
  { description: 'One other site.', why: 'Address, networks and secret are all that is needed.' },
)
