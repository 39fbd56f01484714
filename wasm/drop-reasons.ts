/** Names of the drop reasons of `abi.ts`, in order: metric labels, `status` and docs all take them from here. */
export const DROP_NAMES = [
  'not_ip',
  'truncated',
  'bad_header',
  'no_route',
  'no_sa',
  'selector_out',
  'too_big',
  'hard_limit',
  'outbox_full',
  'unknown_spi',
  'replayed',
  'too_old',
  'auth_failed',
  'bad_padding',
  'bad_next_header',
  'bad_inner',
  'selector_in',
  'ecn',
  'fragment_overlap',
  'fragment_limit',
  'fragment_timeout',
  'oversized',
  'icmp_rate',
  'event_overflow',
] as const

export type DropName = (typeof DROP_NAMES)[number]
