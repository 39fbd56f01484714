/** Traffic selectors (RFC 4301 section 4.4.1, RFC 7296 section 3.13) against packets. */
import { addressBytes, familyOf } from '../../protocol/net.ts'
import { MAX_SELECTORS } from '../abi.ts'
import { EngineError, type TrafficSelector } from '../packet-engine.ts'
import { compareBytes } from './bytes.ts'
import { type IpPacket, portsOf } from './ip.ts'

export interface Selector {
  readonly protocol: number
  readonly startPort: number
  readonly endPort: number
  readonly startAddress: Uint8Array
  readonly endAddress: Uint8Array
}

/** The selectors of one SA as the packet's source and destination see them. */
export interface SelectorPair {
  readonly source: readonly Selector[]
  readonly destination: readonly Selector[]
}

/** 'unknown': a fragment, where only the whole datagram tells (RFC 4301 section 7). */
export type Match = 'yes' | 'no' | 'unknown'

/** Checked and in bytes. Throws EngineError on ranges that are none, and on more than MAX_SELECTORS. */
export function compileSelectors(selectors: readonly TrafficSelector[]): Selector[] {
  if (selectors.length > MAX_SELECTORS)
    throw new EngineError(`more than ${MAX_SELECTORS} traffic selectors on one side`)
  return selectors.map(compileSelector)
}

function compileSelector(selector: TrafficSelector): Selector {
  const { protocol, startPort, endPort } = selector
  if (!isInteger(protocol, 0xff) || !isInteger(startPort, 0xffff) || !isInteger(endPort, 0xffff)) {
    throw new EngineError('traffic selector with a protocol or port out of range')
  }
  if (familyOf(selector.startAddress) !== familyOf(selector.endAddress)) {
    throw new EngineError('traffic selector from one address family to the other')
  }
  const startAddress = addressBytes(selector.startAddress)
  const endAddress = addressBytes(selector.endAddress)
  if (compareBytes(startAddress, endAddress) > 0) throw new EngineError('traffic selector whose range runs backwards')
  return { protocol, startPort, endPort, startAddress, endAddress }
}

function isInteger(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max
}

/** Whether the answer for a fragment depends on ports, which only the whole datagram shows (RFC 4301 section 7). */
export function readsPorts(pair: SelectorPair): boolean {
  return [...pair.source, ...pair.destination].some((selector) => !takesAnyPort(selector))
}

/** Source and destination are tried apart: one selector of each list has to take its side of the packet. */
export function matchPacket(pair: SelectorPair, packet: IpPacket): Match {
  const ports = portsOf(packet)
  const whole = packet.fragment !== undefined && readsPorts(pair)
  const takes = (selector: Selector, address: Uint8Array, port: number | undefined) =>
    takesAddress(selector, packet, address) && (whole || takesPort(selector, port))
  const source = pair.source.some((selector) => takes(selector, packet.source, ports?.source))
  const destination = pair.destination.some((selector) => takes(selector, packet.destination, ports?.destination))
  if (!source || !destination) return 'no'
  return whole ? 'unknown' : 'yes'
}

function takesAddress(selector: Selector, packet: IpPacket, address: Uint8Array): boolean {
  if (selector.startAddress.length !== address.length) return false
  if (selector.protocol !== 0 && selector.protocol !== packet.protocol) return false
  return compareBytes(address, selector.startAddress) >= 0 && compareBytes(address, selector.endAddress) <= 0
}

function takesPort(selector: Selector, port: number | undefined): boolean {
  if (takesAnyPort(selector)) return true
  if (port === undefined) return isOpaque(selector)
  return port >= selector.startPort && port <= selector.endPort
}

function takesAnyPort(selector: Selector): boolean {
  return selector.startPort === 0 && selector.endPort === 0xffff
}

/** Takes what has no port in sight (RFC 4301 section 4.4.1.1). */
function isOpaque(selector: Selector): boolean {
  return selector.startPort === 0xffff && selector.endPort === 0
}
