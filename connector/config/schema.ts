/** The whole of `isthmus.yaml`: every key once, with type, unit, default and reason. The docs and the JSON Schema come from here. */
import type { z } from 'zod'
import { MAX_RESOURCES } from '../core/resource.ts'
import * as leaf from './leaf.ts'
import { bgp } from './schema-bgp.ts'
import { groups, refuse, steering } from './schema-paths.ts'
import { peer } from './schema-peer.ts'

const tun = leaf.section(
  {
    name: leaf
      .patternText(
        'name',
        { description: 'Name of the TUN device.', why: 'One device carries all tunnels; the engine tells them apart.' },
        /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/,
        'a device name; write 1 to 15 letters, digits, dots, dashes or underscores, like isthmus0',
      )
      .prefault('isthmus0'),
    mtu: leaf
      .integer(
        {
          description: 'MTU of the TUN device.',
          unit: 'bytes',
          why: 'Hosts keep their usual 1500: the engine clamps TCP and fragments or answers per tunnel, so that one small path does not slow the others.',
        },
        { min: 1280, max: 9216 },
      )
      .default(1500),
    addresses: leaf
      .list(
        leaf.addressText({
          description: 'An address of the gateway itself.',
          why: 'Traffic of the gateway itself needs a source inside the networks.',
        }),
        'IP address',
        {
          description: "Addresses that the TUN device gets, for example the gateway's address in the site's network.",
          why: 'Only traffic of the gateway itself needs one; forwarded traffic does not.',
          computed: 'none',
          examples: ['10.1.0.1'],
        },
        16,
      )
      .optional(),
  },
  {
    description: 'The TUN device through which packets enter and leave.',
    why: 'The defaults suit one connector per host.',
  },
)

const ports = leaf.section(
  {
    ike: leaf
      .integer(
        { description: 'UDP port for IKE.', why: 'RFC 7296 fixes 500; another only when both ends agree.' },
        { min: 1, max: 65_535 },
      )
      .default(500),
    nat: leaf
      .integer(
        {
          description: 'UDP port for IKE and ESP behind NAT.',
          why: 'RFC 3948 fixes 4500; another only when both ends agree.',
        },
        { min: 1, max: 65_535 },
      )
      .default(4500),
  },
  { description: 'The ports that we receive on.', why: 'Change them only when something else holds 500 or 4500.' },
)

const metrics = leaf.section(
  {
    enabled: leaf
      .flag({ description: 'Serve metrics and health over HTTP.', why: 'A tunnel that nobody watches fails unseen.' })
      .default(true),
    address: leaf
      .addressText({
        description: 'Address to serve on.',
        why: 'There is no login on this port: keep it local, or in a network that only your monitoring reaches.',
      })
      .prefault('127.0.0.1'),
    port: leaf
      .integer(
        { description: 'TCP port to serve on.', why: 'Free of the usual Prometheus exporters.' },
        { min: 1, max: 65_535 },
      )
      .default(9700),
  },
  {
    description: 'Prometheus metrics at /metrics, health at /healthz and /readyz.',
    why: 'Described in docs/metrics.md.',
  },
)

const log = leaf.section(
  {
    level: leaf
      .choice({ description: 'Least severe level that is written.', why: 'info tells each change of state once.' }, [
        'trace',
        'debug',
        'info',
        'warn',
        'error',
        'silent',
      ])
      .default('info'),
    format: leaf
      .choice(
        {
          description: 'One JSON object per line, or text for people.',
          why: 'auto: text on a terminal, JSON when a log collector reads.',
        },
        ['auto', 'text', 'json'],
      )
      .default('auto'),
  },
  { description: 'The log, on standard output.', why: 'Under systemd and in containers that is where logs belong.' },
)

const limits = leaf.section(
  {
    retransmit: leaf
      .durationText(
        {
          description: 'First wait for an answer before an IKE request is sent again.',
          why: "Longer than a round trip round the world plus the peer's arithmetic.",
        },
        { min: 100, max: 60_000 },
      )
      .prefault('1s'),
    retransmit_factor: leaf
      .decimal(
        { description: 'Growth of that wait from one try to the next.', why: 'Backs off without stalling.' },
        { min: 1, max: 4 },
      )
      .default(1.5),
    retransmit_tries: leaf
      .integer(
        {
          description: 'Times that a request is sent before the peer counts as dead.',
          why: 'With the defaults about 49 s of silence: long enough for a reboot of a router in between.',
        },
        { min: 1, max: 20 },
      )
      .default(8),
    retry: leaf
      .durationText(
        {
          description: 'Pause before the next attempt to connect after a failure; doubles each time.',
          why: 'Quick after a blip.',
        },
        { min: 100, max: 3_600_000 },
      )
      .prefault('1s'),
    retry_max: leaf
      .durationText(
        { description: 'Longest such pause.', why: 'A peer that is back is found within a minute.' },
        { min: 100, max: 86_400_000 },
      )
      .prefault('1m'),
    cookie_threshold: leaf
      .integer(
        {
          description: 'Half-open connections before cookies are demanded (RFC 7296 section 2.6).',
          why: 'Costs an honest peer one round trip, a flooder with forged addresses everything.',
        },
        { min: 0, max: 100_000 },
      )
      .default(32),
    max_half_open: leaf
      .integer(
        { description: 'Half-open connections before new ones are refused.', why: 'Bounds memory under a flood.' },
        { min: 1, max: 100_000 },
      )
      .default(256),
  },
  {
    description: 'Patience with peers, and protection from strangers.',
    why: 'The defaults suit links with loss and delay.',
  },
)

/** After it parses, `checks.ts` holds what spans keys and `plan-of.ts` makes the plan. */
export const configSchema = leaf
  .section(
    {
      site: leaf.patternText(
        'name',
        {
          description: 'Name of this site, for logs, metrics and status.',
          why: 'You will read it on every line.',
          examples: ['hq'],
        },
        leaf.NAME,
        'a name for this site; write 1 to 63 letters, digits, dots, dashes or underscores, like hq',
      ),
      address: leaf.addressText({
        description: 'Our outer address: the one of our own interface that faces the peers, also behind a NAT.',
        why: 'The connector binds it, so that answers leave from where the peers expect them.',
        examples: ['192.0.2.1', '2001:db8::1'],
      }),
      id: leaf
        .identityText({
          description: 'Our IKE identity (RFC 7296 section 3.5); `keyid:` and `dn:` take hex.',
          why: 'Behind a NAT write what the peers expect, mostly the public address or a name.',
          computed: '`address`',
          examples: ['192.0.2.1', 'hq.example.net', 'keyid:0a0b0c'],
        })
        .optional(),
      networks: leaf.list(
        leaf.prefixText({ description: 'A network at this site.', why: 'See `networks`.' }),
        'network',
        {
          description: 'Networks at this site that the peers reach.',
          why: 'They become our traffic selectors: what may enter the tunnels here.',
          examples: ['[10.1.0.0/16]'],
        },
        16,
      ),
      peers: leaf.named(peer, 'peer', {
        description: 'The other sites, by a name of your choice.',
        why: 'The name is how logs, metrics and the command line call it.',
      }),
      bgp: bgp.optional(),
      groups: groups.optional(),
      steering: steering.optional(),
      refuse,
      tun: tun.prefault({}),
      workers: leaf
        .integerOrAuto(
          {
            description:
              'Packet workers: threads that carry packets side by side, each with Child SAs of its own where the peer can do so too (RFC 9611).',
            why: 'auto: half of the cores that the connector may run on, at most 8. The flows are spread over the workers; one flow never goes faster than one worker, and each costs some 26 MB of memory, more with large tables (docs/decisions/0012-packet-workers.md).',
          },
          { min: 1, max: MAX_RESOURCES },
        )
        .default('auto'),
      ports: ports.prefault({}),
      metrics: metrics.prefault({}),
      log: log.prefault({}),
      limits: limits.prefault({}),
      state_directory: leaf
        .pathText({
          description: 'Directory for what must survive a crash: the routes to clean up at the next start.',
          why: 'Small, and safe to delete while the connector is down.',
        })
        .prefault('/var/lib/isthmus'),
      control_socket: leaf
        .pathText(
          {
            description: 'Unix socket through which `isthmus status` and the other verbs talk to the connector.',
            why: 'Mode 0600: who may open it may steer the tunnels. A path has at most 107 bytes.',
          },
          107,
        )
        .prefault('/run/isthmus/control.sock'),
      key_log: leaf
        .pathText({
          description: 'Debug file that receives the session keys, for `isthmus decode --keys`.',
          why: 'Whoever reads it can decrypt the recorded traffic: only for the length of a search for a fault.',
          computed: 'none: no keys leave the process',
        })
        .optional(),
    },
    {
      description: 'Configuration of one Isthmus connector.',
      why: 'Site, address, networks and a peer are all that is needed.',
    },
  )
  .meta({ title: 'isthmus.yaml' })

export type Config = z.output<typeof configSchema>
export type PeerConfig = Config['peers'][string]
