/** Traffic selectors: on the wire (RFC 7296 section 3.13), narrowed (section 2.9), and in words. */
import { addressBytes, formatAddress, type Prefix, prefixRange } from '../../../protocol/net.ts'
import type { TrafficSelector } from './types.ts'
import { TS_TYPE } from './wire/constants.ts'
import type { TsPayload, WireTrafficSelector } from './wire/types.ts'

/** Most selectors that one side of a Child SA has, as in the engine's table. */
export const MAX_SELECTORS = 16

/** Our role in the exchange at hand: the initiator's traffic is TSi, the responder's TSr. */
export type ExchangeRole = 'initiator' | 'responder'

/** Bodies of the two TS payloads of one message. */
export interface SelectorOffer {
  readonly tsi: readonly WireTrafficSelector[]
  readonly tsr: readonly WireTrafficSelector[]
}

export interface SelectorPair {
  readonly local: readonly TrafficSelector[]
  readonly remote: readonly TrafficSelector[]
}

/** Everything to and from a prefix: any protocol, any port. */
export function selectorOfPrefix(value: Prefix): TrafficSelector {
  const { first, last } = prefixRange(value)
  return { protocol: 0, startPort: 0, endPort: 65535, startAddress: first, endAddress: last }
}

export function selectorToWire(selector: TrafficSelector): WireTrafficSelector {
  const { protocol, startPort, endPort } = selector
  const startAddress = addressBytes(selector.startAddress)
  const endAddress = addressBytes(selector.endAddress)
  const tsType = startAddress.length === 4 ? TS_TYPE.TS_IPV4_ADDR_RANGE : TS_TYPE.TS_IPV6_ADDR_RANGE
  return { tsType, protocol, startPort, endPort, startAddress, endAddress }
}

/**
 * Undefined for selectors that match no packet here: unknown types, reversed ranges, and OPAQUE ports (start above
 * end), which only name packets whose ports cannot be seen.
 */
export function selectorFromWire(wire: WireTrafficSelector): TrafficSelector | undefined {
  const length = addressLength(wire.tsType)
  if (length === undefined) return undefined
  const { protocol, startPort, endPort, startAddress, endAddress } = wire
  if (startAddress.length !== length || endAddress.length !== length) return undefined
  if (startPort > endPort || numeric(startAddress) > numeric(endAddress)) return undefined
  return {
    protocol,
    startPort,
    endPort,
    startAddress: formatAddress(startAddress),
    endAddress: formatAddress(endAddress),
  }
}

/** The TS payloads of a message for a pair, seen from `role`. At most `MAX_SELECTORS` each. */
export function selectorPayloads(pair: SelectorPair, role: ExchangeRole): [TsPayload, TsPayload] {
  const [tsi, tsr] = role === 'initiator' ? [pair.local, pair.remote] : [pair.remote, pair.local]
  const wire = (selectors: readonly TrafficSelector[]) => selectors.slice(0, MAX_SELECTORS).map(selectorToWire)
  return [
    { type: 'TSi', selectors: wire(tsi) },
    { type: 'TSr', selectors: wire(tsr) },
  ]
}

/**
 * What an offer and our policy have in common (RFC 7296 section 2.9), in the order of the offer, so that the
 * selectors of the packet that triggered it, which come first, stay first and are never cut off. Undefined when no
 * packet could match both: TS_UNACCEPTABLE. The result is a subset of both, and narrowing it again changes nothing.
 */
export function narrow(offered: SelectorOffer, ours: SelectorPair, role: ExchangeRole): SelectorPair | undefined {
  const [mine, theirs] = role === 'initiator' ? [offered.tsi, offered.tsr] : [offered.tsr, offered.tsi]
  const local = intersection(mine, ours.local)
  const remote = intersection(theirs, ours.remote)
  const useful = {
    local: local.filter((box) => remote.some((other) => compatible(box, other))),
    remote: remote.filter((box) => local.some((other) => compatible(box, other))),
  }
  if (useful.local.length === 0 || useful.remote.length === 0) return undefined
  return { local: useful.local.map(fromBox), remote: useful.remote.map(fromBox) }
}

/**
 * As initiator: the selectors of the responder's answer, or undefined when one of them is not within one of those
 * that we offered, or none is usable.
 */
export function acceptNarrowed(answer: SelectorOffer, ours: SelectorPair): SelectorPair | undefined {
  const local = readWithin(answer.tsi, ours.local)
  const remote = readWithin(answer.tsr, ours.remote)
  return local === undefined || remote === undefined ? undefined : { local, remote }
}

/** True when both are the same selectors in the same order. */
export function sameSelectors(left: SelectorPair, right: SelectorPair): boolean {
  const text = ({ local, remote }: SelectorPair) => JSON.stringify([local, remote])
  return text(left) === text(right)
}

/** True when each selector of `inner` lies within one of `outer`. */
export function isSubset(inner: readonly TrafficSelector[], outer: readonly TrafficSelector[]): boolean {
  const boxes = outer.map(toBox)
  return inner.map(toBox).every((box) => boxes.some((other) => contains(other, box)))
}

/** `10.0.0.0/24`, `10.0.0.1-10.0.0.9`, with `[tcp/443]` or `[17/1000-2000]` behind it where limited. */
export function selectorText(selector: TrafficSelector): string {
  const range = rangeText(selector)
  const anyPort = selector.startPort === 0 && selector.endPort === 65535
  if (selector.protocol === 0 && anyPort) return range
  const protocol = PROTOCOL_NAMES.get(selector.protocol) ?? String(selector.protocol)
  if (anyPort) return `${range}[${protocol}]`
  const { startPort, endPort } = selector
  return `${range}[${protocol}/${startPort === endPort ? startPort : `${startPort}-${endPort}`}]`
}

const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [0, 'any'],
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmpv6'],
])

/** A selector as a box of integers: `bits` is 32 or 128, by family. */
interface Box {
  readonly bits: number
  readonly protocol: number
  readonly startPort: number
  readonly endPort: number
  readonly start: bigint
  readonly end: bigint
}

function intersection(offered: readonly WireTrafficSelector[], ours: readonly TrafficSelector[]): Box[] {
  const policy = ours.map(toBox)
  let kept: Box[] = []
  for (const wire of offered) {
    const selector = selectorFromWire(wire)
    if (selector === undefined) continue
    const box = toBox(selector)
    for (const rule of policy) {
      const common = intersect(box, rule)
      if (common !== undefined) kept = absorbing(kept, common)
    }
  }
  return kept
}

/**
 * `kept` and `box` without those that lie within another; a wider box takes the place of the first it swallows.
 * Beyond `MAX_SELECTORS` boxes are left out, which also bounds the work that an offer can cause.
 */
function absorbing(kept: Box[], box: Box): Box[] {
  if (kept.some((other) => contains(other, box))) return kept
  const first = kept.findIndex((other) => contains(box, other))
  if (first < 0) return kept.length < MAX_SELECTORS ? [...kept, box] : kept
  return [...kept.slice(0, first), box, ...kept.slice(first).filter((other) => !contains(box, other))]
}

function intersect(left: Box, right: Box): Box | undefined {
  if (!compatible(left, right)) return undefined
  const startPort = Math.max(left.startPort, right.startPort)
  const endPort = Math.min(left.endPort, right.endPort)
  const { start } = left.start > right.start ? left : right
  const { end } = left.end < right.end ? left : right
  if (startPort > endPort || start > end) return undefined
  return { bits: left.bits, protocol: left.protocol || right.protocol, startPort, endPort, start, end }
}

/** Same family, and a protocol in common; 0 is any. */
function compatible(left: Box, right: Box): boolean {
  if (left.bits !== right.bits) return false
  return left.protocol === right.protocol || left.protocol === 0 || right.protocol === 0
}

function contains(outer: Box, inner: Box): boolean {
  return (
    outer.bits === inner.bits &&
    (outer.protocol === 0 || outer.protocol === inner.protocol) &&
    outer.startPort <= inner.startPort &&
    outer.endPort >= inner.endPort &&
    outer.start <= inner.start &&
    outer.end >= inner.end
  )
}

function readWithin(
  answer: readonly WireTrafficSelector[],
  ours: readonly TrafficSelector[],
): TrafficSelector[] | undefined {
  const selectors = answer.map(selectorFromWire).filter((selector) => selector !== undefined)
  if (selectors.length !== answer.length || selectors.length === 0) return undefined
  if (selectors.length > MAX_SELECTORS || !isSubset(selectors, ours)) return undefined
  return selectors
}

function toBox(selector: TrafficSelector): Box {
  const start = addressBytes(selector.startAddress)
  const { protocol, startPort, endPort } = selector
  const end = numeric(addressBytes(selector.endAddress))
  return { bits: start.length * 8, protocol, startPort, endPort, start: numeric(start), end }
}

function fromBox({ bits, protocol, startPort, endPort, start, end }: Box): TrafficSelector {
  const text = (value: bigint) => {
    const bytes = new Uint8Array(bits / 8)
    for (let i = bytes.length - 1, rest = value; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn)
    return formatAddress(bytes)
  }
  return { protocol, startPort, endPort, startAddress: text(start), endAddress: text(end) }
}

function numeric(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return value
}

function addressLength(tsType: number): 4 | 16 | undefined {
  if (tsType === TS_TYPE.TS_IPV4_ADDR_RANGE) return 4
  return tsType === TS_TYPE.TS_IPV6_ADDR_RANGE ? 16 : undefined
}

function rangeText(selector: TrafficSelector): string {
  const { bits, start, end } = toBox(selector)
  const size = end - start + 1n
  const isPrefix = (size & (size - 1n)) === 0n && (start & (size - 1n)) === 0n
  if (!isPrefix) return `${selector.startAddress}-${selector.endAddress}`
  return `${selector.startAddress}/${bits - (size.toString(2).length - 1)}`
}
