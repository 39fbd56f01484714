/** Timers of BFD, which BGP neighbours and peers with static routes have alike (docs/bfd.md). */
import * as leaf from './leaf.ts'

export const bfdTimers = {
  interval: leaf
    .durationText(
      {
        description: 'Time between our packets, and the least between those that we take.',
        why: '300 ms three times loses nothing on shared hosts, where 100 ms flaps.',
      },
      { min: 10, max: 60_000 },
    )
    .prefault('300ms'),
  multiplier: leaf
    .integer(
      {
        description: 'Packets in a row that are missed before the path counts as lost.',
        why: 'One or two get lost.',
      },
      { min: 1, max: 255 },
    )
    .default(3),
  adapt_max: leaf
    .durationText(
      {
        description: 'Longest interval that a noisy host may lead to (docs/bfd.md).',
        why: 'Slower detection is better than a session that flaps; the same as `interval`: never slower.',
      },
      { min: 10, max: 60_000 },
    )
    .prefault('2s'),
}

/** Of a peer with static routes. */
export const bfd = leaf.section(
  {
    address: leaf
      .addressText({
        description: 'The address at the other end of the tunnel.',
        why: 'Clouds give a /30 to each tunnel: theirs is one of the two.',
        computed: 'the other one of the /30, /31, /126 or /127 in `inside`',
        examples: ['169.254.10.1'],
      })
      .optional(),
    ...bfdTimers,
  },
  {
    description:
      'BFD with the other end of the tunnel, without BGP (RFC 5880, 5881, 5882); `{}` for the defaults. Needs `inside`.',
    why: 'A path that is cut is noticed in a second, and other tunnels take the static routes over.',
    computed: 'none: no BFD',
  },
)
