/** The part of the configuration that is about which tunnel traffic takes (docs/paths.md). */
import { z } from 'zod'
import { parseAddress } from '../../protocol/net.ts'
import * as leaf from './leaf.ts'
import { parseDscp, parsePercent, parseProtocol } from './words.ts'

const peerName = leaf.patternText(
  'name',
  { description: 'A peer.', why: 'See the list.' },
  leaf.NAME,
  'the name of a peer; write one that stands under peers',
)

const WEIGHT = 'a weight; write a whole number from 1 to 255'

const group = leaf.section(
  {
    weights: z
      .record(
        z.string(),
        z
          .int({ error: () => WEIGHT })
          .min(1, { error: () => WEIGHT })
          .max(255, { error: () => WEIGHT }),
        {
          error: () => 'a mapping of peers to weights; write { one: 3, other: 1 }',
        },
      )
      .meta(
        leaf.annotations('weights by peer', {
          description: 'Each peer with its share of the flows, 1 to 255; all carry traffic at once.',
          why: 'A flow stays with one tunnel; when a tunnel leaves, only its own flows move.',
          computed: 'none; needed unless there is `order`',
          unit: '1 to 255',
        }),
      )
      .optional(),
    order: leaf
      .list(
        peerName,
        'peer',
        {
          description: 'The peers, the one that carries all traffic first; the next one takes over where it fails.',
          why: 'For a second line that costs more, or is slower.',
          computed: 'none; needed unless there are `weights`',
          examples: ['[hub-a, hub-b]'],
        },
        16,
      )
      .optional(),
  },
  {
    description: 'Tunnels that lead to the same networks.',
    why: 'Only peers of one group may have the same network, so that a slip is found.',
  },
)

export const groups = leaf.named(group, 'group', {
  description: 'Tunnels that lead to the same networks and share their traffic, or stand in for each other.',
  why: 'Each peer may be in one group.',
  computed: 'none',
})

const network = (description: string) =>
  leaf.prefixText({ description, why: 'Without, any.', computed: 'any', examples: ['10.2.0.0/16'] }).optional()

const ports = (description: string) =>
  leaf
    .portsText({ description, why: 'Only with `protocol: tcp`, `udp` or `sctp`.', computed: 'all', examples: [443] })
    .optional()

function word(type: string, wanted: string, read: (text: string) => number | undefined, doc: leaf.KeyDoc) {
  return z
    .union([z.string(), z.number()], { error: () => wanted })
    .meta(leaf.annotations(type, doc))
    .transform((input, context): number => {
      const value = read(String(input))
      if (value !== undefined) return value
      context.addIssue({ code: 'custom', message: wanted, params: { wanted: true } })
      return z.NEVER
    })
    .optional()
}

const match = leaf.section(
  {
    from: network('Where the packet comes from.'),
    to: network('Where it goes to.'),
    protocol: word('protocol', 'an IP protocol; write tcp, udp, icmp or a number from 0 to 255', parseProtocol, {
      description: 'IP protocol.',
      why: 'Without, any.',
      unit: 'name, or 0 to 255',
      computed: 'any',
      examples: ['udp'],
    }),
    from_ports: ports('Port of the sender, or a range.'),
    to_ports: ports('Port of the receiver, or a range.'),
    dscp: word('DSCP', 'a DSCP; write a name like ef, af41 or cs5, or a number from 0 to 63', parseDscp, {
      description: 'Differentiated services code point.',
      why: 'How phones and conferences mark their packets.',
      unit: 'name, or 0 to 63',
      computed: 'any',
      examples: ['ef', 'af41'],
    }),
  },
  { description: 'What a packet must be; all that is written has to fit.', why: 'See the list.' },
)

const percent = (doc: leaf.KeyDoc) =>
  leaf
    .parsedText<number>('percentage', { unit: '0.1% to 100%', ...doc }, 'a percentage; write one like 2%', (text) => {
      const share = parsePercent(text)
      if (share === undefined || (share >= 0.001 && share <= 1)) return share
      return { fault: `${text} is out of range`, remedy: 'choose 0.1% to 100%' }
    })
    .optional()

const limit = (description: string, example: string) =>
  leaf
    .durationText(
      { description, why: 'Measured by probes.', computed: 'none', examples: [example] },
      { min: 1, max: 60_000 },
    )
    .optional()

const steeringClass = leaf.section(
  {
    match: leaf.list(
      match,
      'mapping',
      { description: 'What belongs to the class: whatever fits one of these.', why: 'Several make one class.' },
      64,
    ),
    prefer: leaf.list(
      peerName,
      'peer',
      {
        description: 'Tunnels in order of preference, as far as the route of a packet leads to them.',
        why: 'Tunnels that are not named come last; routes alone decide where a packet may go.',
        examples: ['[hub-a, hub-b]'],
      },
      16,
    ),
    limits: leaf
      .section(
        {
          loss: percent({
            description: 'Loss on the way there or back.',
            why: 'Measured by probes.',
            computed: 'none',
            examples: ['2%'],
          }),
          rtt: limit('Round trip.', '150ms'),
          jitter: limit('Mean deviation of the round trip.', '30ms'),
        },
        {
          description: 'A tunnel beyond one of these gives way to the next.',
          why: 'Where all are beyond, the one that exceeds least is used.',
          computed: 'none: the first that passes',
        },
      )
      .prefault({}),
    hold: leaf
      .durationText(
        {
          description: 'Time that a tunnel has to be well again before traffic returns to it.',
          why: 'A line that comes and goes moves traffic once, not each time.',
        },
        { min: 0, max: 3_600_000 },
      )
      .prefault('30s'),
  },
  {
    description: 'A class of traffic and the tunnels that it prefers.',
    why: 'Match and prefer are all that is needed.',
  },
)

export const steering = leaf.named(steeringClass, 'class', {
  description: 'Classes of traffic that prefer some tunnels; the first class that a packet fits counts.',
  why: 'Voice on the line with the least loss, backups on the cheap one.',
  computed: 'none',
})

const refusal = leaf.section(
  {
    prefix: leaf.prefixText({
      description: 'A network.',
      why: 'Networks within it that have a route are reached all the same.',
      examples: ['10.0.0.0/8'],
    }),
    answer: leaf
      .choice(
        {
          description: 'What the sender is told: by ICMP that nothing leads there or that it may not, or nothing.',
          why: 'Programs that are told give up at once instead of waiting.',
        },
        ['unreachable', 'prohibited', 'blackhole'],
      )
      .default('unreachable'),
  },
  { description: 'A network that is refused.', why: 'See the list.' },
)

export const refuse = leaf
  .list(
    refusal,
    'mapping',
    {
      description:
        'Networks of which nothing may leave in the clear: what no better route leads into a tunnel is refused.',
      why: 'A prefix that BGP withdraws would otherwise follow the default route of the host.',
      computed: 'none',
      examples: ['[{ prefix: 10.0.0.0/8 }]'],
    },
    256,
  )
  .optional()

const PROBE = 'auto, fast, off, an address, or a mapping; write one of them'
const PROBE_DOC: leaf.KeyDoc = {
  description:
    'How the path to the peer is watched: `auto`, `fast` (every 50 ms, four in a row), `off`, or a section. An address alone is what `isthmus ping` asks; the path is then watched by `auto`.',
  why: 'IKE notices a dead path after half a minute; probes within ESP measure loss, delay and path MTU too, where the peer understands them.',
  computed: '`auto`',
}

const probeKeys = {
  kind: leaf
    .choice(
      {
        description:
          'Probes within ESP (`esp`), only where the peer answers them (`auto`), ICMP echo or TCP connections to a `target` behind the peer, or none (`off`).',
        why: 'Peers of other makes drop probes within ESP without a word: for them `icmp` or `tcp`.',
      },
      ['auto', 'esp', 'icmp', 'tcp', 'off'],
    )
    .default('auto'),
  interval: leaf
    .durationText(
      { description: 'Time between two probes.', why: 'A second costs nothing; 50ms notices a cut within 300 ms.' },
      { min: 20, max: 60_000 },
    )
    .prefault('1s'),
  multiplier: leaf
    .integer(
      {
        description: 'Probes in a row without an answer before the path counts as lost.',
        why: 'Single ones get lost.',
      },
      { min: 2, max: 50 },
    )
    .default(4),
  target: leaf
    .addressText({
      description: 'An address behind the peer that answers; `isthmus ping` asks it too.',
      why: 'Best the gateway itself: a host that is switched off takes the path down.',
      computed: 'none; needed with `icmp` and `tcp`',
      examples: ['10.2.0.1'],
    })
    .optional(),
  port: leaf
    .integer(
      {
        description: 'Port of the target; a refused connection is an answer too.',
        why: 'Only with `tcp`.',
        computed: 'none',
      },
      { min: 1, max: 65_535 },
    )
    .optional(),
  mtu: leaf
    .flag({
      description: 'Measure the path MTU (RFC 8899) and follow it; `path_mtu` is where that begins.',
      why: 'Only probes within ESP can.',
      computed: 'true with `esp` and `auto`',
    })
    .optional(),
}

/** Words stand for sections; editors are told of both. */
export const probe = z
  .preprocess(
    probeSection,
    z
      .strictObject(probeKeys, { error: (issue) => (issue.code === 'invalid_type' ? PROBE : undefined) })
      .meta({ ...leaf.annotations('auto | fast | off | IP address | section', PROBE_DOC), type: ['object', 'string'] }),
  )
  .prefault('auto')

function probeSection(input: unknown): unknown {
  if (input === 'auto' || input === 'off') return { kind: input }
  if (input === 'fast') return { kind: 'auto', interval: '50ms' }
  return typeof input === 'string' && parseAddress(input) !== undefined ? { target: input } : input
}

export type ProbeConfig = z.output<typeof probe>
