/** Traffic selectors (RFC 4301 section 4.4.1, RFC 7296 section 3.13.1) against the parsed packet. */
import { PACKET } from './ip'
import { SELECTOR_BYTES, SELECTORS } from './reserve'
import { Sa } from './sa'

/** SELECTOR_BYTES; addresses and ranges as in `Packet`. The selectors of one side form a chain. */
@unmanaged
export class Selector {
  startHigh: u64
  startLow: u64
  endHigh: u64
  endLow: u64
  version: u8
  protocol: u8
  startPort: u16
  endPort: u16
  /** Number of the next one, 0 at the end. */
  next: u32
}

if (offsetof<Selector>() > SELECTOR_BYTES) ERROR('selector too long')

let freeSelectors: u32 = 0
let unusedSelectors: u32 = 1

// @ts-ignore: decorator
@inline
export function selectorAt(number: u32): Selector {
  return changetype<Selector>(SELECTORS + <usize>(number - 1) * SELECTOR_BYTES)
}

/** Number of a cleared selector. There is one for every SA's every selector. */
export function takeSelector(): u32 {
  const number = freeSelectors
  if (number == 0) return unusedSelectors++
  freeSelectors = selectorAt(number).next
  selectorAt(number).next = 0
  return number
}

export function giveSelectors(first: u32): void {
  while (first != 0) {
    const selector = selectorAt(first)
    const next = selector.next
    selector.next = freeSelectors
    freeSelectors = first
    first = next
  }
}

export function selectorReadsPorts(selector: Selector): bool {
  return selector.startPort != 0 || selector.endPort != 65535
}

/** Whether an outbound SA takes the packet: source in `local`, destination in `remote`. */
export function takesOutbound(sa: Sa, ignorePorts: bool): bool {
  return (
    sideTakes(sa.localSelectors, PACKET.sourceHigh, PACKET.sourceLow, PACKET.sourcePort, ignorePorts) &&
    sideTakes(sa.remoteSelectors, PACKET.destinationHigh, PACKET.destinationLow, PACKET.destinationPort, ignorePorts)
  )
}

/** Whether an inbound SA may carry the packet: source in `remote`, destination in `local`. */
export function takesInbound(sa: Sa, ignorePorts: bool): bool {
  return (
    sideTakes(sa.remoteSelectors, PACKET.sourceHigh, PACKET.sourceLow, PACKET.sourcePort, ignorePorts) &&
    sideTakes(sa.localSelectors, PACKET.destinationHigh, PACKET.destinationLow, PACKET.destinationPort, ignorePorts)
  )
}

function sideTakes(first: u32, high: u64, low: u64, port: u32, ignorePorts: bool): bool {
  for (let number = first; number != 0; number = selectorAt(number).next) {
    const selector = selectorAt(number)
    if (selector.version != PACKET.version) continue
    if (selector.protocol != 0 && selector.protocol != PACKET.protocol) continue
    if (below(high, low, selector.startHigh, selector.startLow)) continue
    if (below(selector.endHigh, selector.endLow, high, low)) continue
    if (ignorePorts || portTakes(selector, port)) return true
  }
  return false
}

function portTakes(selector: Selector, port: u32): bool {
  const start: u32 = selector.startPort
  const end: u32 = selector.endPort
  if (start == 0 && end == 65535) return true
  if (PACKET.hasPorts) return port >= start && port <= end
  // OPAQUE: the packet must have no ports to look at.
  return start == 65535 && end == 0
}

// @ts-ignore: decorator
@inline
function below(leftHigh: u64, leftLow: u64, rightHigh: u64, rightLow: u64): bool {
  return leftHigh < rightHigh || (leftHigh == rightHigh && leftLow < rightLow)
}
