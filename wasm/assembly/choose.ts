/** Which SA carries the parsed packet: members of the group that its route leads to, then the SAs of each. */
import {
  DROP_BLACKHOLE,
  DROP_HARD_LIMIT,
  DROP_NO_ROUTE,
  DROP_NO_SA,
  DROP_PROHIBITED,
  DROP_SELECTOR_OUT,
  DROP_TRANSIT_LOOP,
  EVENT_NO_SA,
  MAX_GROUP_MEMBERS,
} from '../abi'
import { classOf, matchCount, placeIn } from './classes'
import { countDrop, countSaDrop } from './counters'
import { raise } from './events'
import { answerUnreachable } from './icmp'
import { takesOutbound } from './policy'
import { Sa } from './sa'
import { flowHash, memberCost } from './spread'
import {
  GROUP_COUNT_MASK,
  groupHead,
  groupMembers,
  groupRefusal,
  groupWeight,
  innerMtuOf,
  isWeightedGroup,
  Tunnel,
  tunnelAt,
  tunnelSa,
} from './tunnel'

const NO_SA_EVENT_MS: f64 = 1000
/** Behind all that a class prefers. */
const NO_PLACE: u32 = 0xffffffff

/** Members of a group in the order of a packet, as they stand in a group; and what the order is made of. */
const ORDER: usize = memory.data(MAX_GROUP_MEMBERS * 4, 16)
const ORDER_PLACE: usize = memory.data(MAX_GROUP_MEMBERS * 4, 16)
const ORDER_COST: usize = memory.data(MAX_GROUP_MEMBERS * 4, 16)
const ORDER_WEIGHT: usize = memory.data(MAX_GROUP_MEMBERS * 4, 16)

let now: f64 = 0
/** The tunnel through which `choose` found its SA. */
export let chosen: Tunnel = tunnelAt(0)
/** Whether another worker has handed this batch over. */
let fromInbox: bool = false
/** 1 more than the worker that `choose` found for the packet of the slot, or 0. */
export let handedTo: u32 = 0
/** 1 more than the tunnel by which the packet came, or 0 for one from the LAN; and whether it would have gone back there. */
let via: u32 = 0
let turnsBack: bool = false
/** Of the packet: an SA that takes it but is stopped, whether there is any SA at all, and the first tunnel, or -1. */
let stopped: Sa | null = null
let anySa: bool = false
let firstTunnel: i32 = -1

/** At the start of every batch call. */
export function beginChoice(time: f64, handedOver: bool): void {
  now = time
  fromInbox = handedOver
}

/**
 * From here on packets have come by tunnel `number - 1`, or with 0 from the LAN. Those of a tunnel leave by others, which
 * have to be for transit too.
 */
export function comesBy(number: u32): void {
  via = number
}

// @ts-ignore: decorator
@inline
export function isInbox(): bool {
  return fromInbox
}

/** Whether packets are another worker's; returns whether they were before. */
export function setInbox(on: bool): bool {
  const before = fromInbox
  fromInbox = on
  return before
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
  const head = groupHead(group)
  if (groupRefusal(head) != 0) {
    refuse(groupRefusal(head))
    return null
  }
  const count = head & GROUP_COUNT_MASK
  const members = matchCount == 0 && !isWeightedGroup(head) ? groupMembers(group) : orderOf(group)
  const handsOver = mayHandOver && !fromInbox
  stopped = null
  anySa = false
  firstTunnel = -1
  turnsBack = false
  let passedOver = false
  for (let i: u32 = 0; i < count; i++) {
    const number = load<u32>(members + (i << 2))
    if (tunnelAt(number).down) {
      passedOver = true
      continue
    }
    const sa = tryTunnel(number, ignorePorts, handsOver)
    if (sa != null || handedTo != 0) return sa
  }
  for (let i: u32 = 0; passedOver && i < count; i++) {
    const number = load<u32>(members + (i << 2))
    if (!tunnelAt(number).down) continue
    const sa = tryTunnel(number, ignorePorts, handsOver)
    if (sa != null || handedTo != 0) return sa
  }
  countUncarried()
  return null
}

/** Null where none of the tunnel's SAs can carry the packet; `handedTo` tells whether it is another worker's. */
// @ts-ignore: decorator
@inline
function tryTunnel(number: u32, ignorePorts: bool, handsOver: bool): Sa | null {
  const tunnel = tunnelAt(number)
  if (!tunnel.active) return null
  if (via != 0) {
    if (number + 1 == via) turnsBack = true
    if (number + 1 == via || !tunnel.transit) return null
  }
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

/** The group's members in the order of the parsed packet: those that its class prefers, then by weight or as they are. */
function orderOf(group: u32): usize {
  const members = groupMembers(group)
  const head = groupHead(group)
  const weighted = isWeightedGroup(head)
  const number = matchCount == 0 ? -1 : classOf()
  if (number < 0 && !weighted) return members
  const flow: u64 = weighted ? flowHash() : 0
  for (let i: u32 = 0; i < (head & GROUP_COUNT_MASK); i++) {
    const tunnel = load<u32>(members + (i << 2))
    const preferred = number < 0 ? 0 : placeIn(number, tunnel)
    const place = preferred == 0 ? NO_PLACE : preferred
    if (weighted) insert(i, tunnel, place, memberCost(flow, tunnel), groupWeight(group, i))
    else insert(i, tunnel, place, 0, 1)
  }
  return ORDER
}

/** Into the `count` members that are in order, behind those that are equal. */
function insert(count: u32, tunnel: u32, place: u32, cost: u32, weight: u32): void {
  let at = count << 2
  while (at != 0 && goesBefore(place, cost, weight, at - 4)) {
    store<u32>(ORDER + at, load<u32>(ORDER + at - 4))
    store<u32>(ORDER_PLACE + at, load<u32>(ORDER_PLACE + at - 4))
    store<u32>(ORDER_COST + at, load<u32>(ORDER_COST + at - 4))
    store<u32>(ORDER_WEIGHT + at, load<u32>(ORDER_WEIGHT + at - 4))
    at -= 4
  }
  store<u32>(ORDER + at, tunnel)
  store<u32>(ORDER_PLACE + at, place)
  store<u32>(ORDER_COST + at, cost)
  store<u32>(ORDER_WEIGHT + at, weight)
}

// @ts-ignore: decorator
@inline
function goesBefore(place: u32, cost: u32, weight: u32, other: u32): bool {
  const otherPlace = load<u32>(ORDER_PLACE + other)
  if (place != otherPlace) return place < otherPlace
  return <u64>cost * load<u32>(ORDER_WEIGHT + other) < <u64>load<u32>(ORDER_COST + other) * weight
}

/** Counts the parsed packet, to which no prefix leads, and answers it. */
export function refuseUnrouted(): void {
  refuse(DROP_NO_ROUTE)
}

function refuse(reason: u32): void {
  countDrop(reason)
  if (reason != DROP_BLACKHOLE) answerUnreachable(reason == DROP_PROHIBITED, now)
}

function countUncarried(): void {
  const sa = stopped
  if (turnsBack) refuse(DROP_TRANSIT_LOOP)
  else if (sa != null) countSaDrop(sa, DROP_HARD_LIMIT)
  else if (anySa) countDrop(DROP_SELECTOR_OUT)
  else {
    refuse(DROP_NO_SA)
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
