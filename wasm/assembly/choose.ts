/** Which SA carries the parsed packet: members of the group that its route leads to, then the SAs of each. */
import { DROP_HARD_LIMIT, DROP_NO_SA, DROP_SELECTOR_OUT, EVENT_NO_SA } from '../abi'
import { countDrop, countSaDrop } from './counters'
import { raise } from './events'
import { takesOutbound } from './policy'
import { Sa } from './sa'
import { groupMember, groupSize, innerMtuOf, Tunnel, tunnelAt, tunnelSa } from './tunnel'

const NO_SA_EVENT_MS: f64 = 1000

let now: f64 = 0
/** The tunnel through which `choose` found its SA. */
export let chosen: Tunnel = tunnelAt(0)
/** Whether another worker has handed this batch over. */
let fromInbox: bool = false
/** 1 more than the worker that `choose` found for the packet of the slot, or 0. */
export let handedTo: u32 = 0
/** Of the packet: an SA that takes it but is stopped, whether there is any SA at all, and the first tunnel, or -1. */
let stopped: Sa | null = null
let anySa: bool = false
let firstTunnel: i32 = -1

/** At the start of every batch call. */
export function beginChoice(time: f64, handedOver: bool): void {
  now = time
  fromInbox = handedOver
}

/** At the start of every packet. */
export function clearHandedTo(): void {
  handedTo = 0
}

/**
 * The first SA of the first tunnel that takes the parsed packet; tunnels that are down come last. If a tunnel before it
 * is another worker's, or there is none, null: then `handedTo` tells whose the packet is, or it has been counted.
 */
export function choose(group: u32, ignorePorts: bool, mayHandOver: bool): Sa | null {
  const handsOver = mayHandOver && !fromInbox
  const count = groupSize(group)
  stopped = null
  anySa = false
  firstTunnel = -1
  let passedOver = false
  for (let i: u32 = 0; i < count; i++) {
    const number = groupMember(group, i)
    if (tunnelAt(number).down) {
      passedOver = true
      continue
    }
    const sa = tryTunnel(number, ignorePorts, handsOver)
    if (sa != null || handedTo != 0) return sa
  }
  for (let i: u32 = 0; passedOver && i < count; i++) {
    const number = groupMember(group, i)
    if (!tunnelAt(number).down) continue
    const sa = tryTunnel(number, ignorePorts, handsOver)
    if (sa != null || handedTo != 0) return sa
  }
  countRefused()
  return null
}

/** Null where none of the tunnel's SAs can carry the packet; `handedTo` tells whether it is another worker's. */
// @ts-ignore: decorator
@inline
function tryTunnel(number: u32, ignorePorts: bool, handsOver: bool): Sa | null {
  const tunnel = tunnelAt(number)
  if (!tunnel.active) return null
  if (firstTunnel < 0) firstTunnel = number
  for (let j: u32 = 0; j < tunnel.saCount; j++) {
    const sa = tunnelSa(tunnel, j)
    if (innerMtuOf(sa, tunnel) == 0) continue
    anySa = true
    if (!takesOutbound(sa, ignorePorts)) continue
    if (!sa.stopped) {
      chosen = tunnel
      return sa
    }
    if (stopped == null) stopped = sa
  }
  if (handsOver) handedTo = tunnel.handOver
  return null
}

function countRefused(): void {
  const sa = stopped
  if (sa != null) countSaDrop(sa, DROP_HARD_LIMIT)
  else if (anySa) countDrop(DROP_SELECTOR_OUT)
  else {
    countDrop(DROP_NO_SA)
    if (firstTunnel >= 0) reportNoSa(firstTunnel)
  }
}

function reportNoSa(number: u32): void {
  const tunnel = tunnelAt(number)
  if (tunnel.noSaRaised && now - tunnel.noSaAt < NO_SA_EVENT_MS) return
  tunnel.noSaRaised = true
  tunnel.noSaAt = now
  raise(EVENT_NO_SA, number)
}
