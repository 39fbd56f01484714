/** Whether packets come by the tunnel that leads to their source (RFC 3704 section 2). */
import { REVERSE_PATH_STRICT } from '../abi'
import { lookup } from './fib'
import { PACKET } from './ip'
import { GROUP_COUNT_MASK, groupHead, groupMembers, Tunnel } from './tunnel'

/** Whether the parsed packet may have come by the tunnel; counts it where its source leads by others alone. */
export function comesBack(tunnel: Tunnel, number: u32): bool {
  const group = lookup(PACKET.version, PACKET.sourceHigh, PACKET.sourceLow)
  if (group < 0) return false
  const count = groupHead(group) & GROUP_COUNT_MASK
  const members = groupMembers(group)
  for (let i: u32 = 0; i < count; i++) if (load<u32>(members + (i << 2)) == number) return true
  if (tunnel.reversePath == REVERSE_PATH_STRICT || count == 0) return false
  tunnel.asymmetric++
  return true
}
