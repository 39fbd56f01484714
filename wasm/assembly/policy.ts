/** Traffic selectors (RFC 4301 section 4.4.1, RFC 7296 section 3.13.1) against the parsed packet. */
import { SELECTOR_BYTES } from './arena'
import { PACKET } from './ip'
import { localSelectors, remoteSelectors, Sa } from './sa'

/** SELECTOR_BYTES; addresses and ranges as in `Packet`. */
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
}

export function selectorReadsPorts(selector: Selector): bool {
  return selector.startPort != 0 || selector.endPort != 65535
}

/** Whether an outbound SA takes the packet: source in `local`, destination in `remote`. */
export function takesOutbound(sa: Sa, ignorePorts: bool): bool {
  return (
    sideTakes(localSelectors(sa), sa.localCount, PACKET.sourceHigh, PACKET.sourceLow, PACKET.sourcePort, ignorePorts) &&
    sideTakes(remoteSelectors(sa), sa.remoteCount, PACKET.destinationHigh, PACKET.destinationLow, PACKET.destinationPort, ignorePorts)
  )
}

/** Whether an inbound SA may carry the packet: source in `remote`, destination in `local`. */
export function takesInbound(sa: Sa, ignorePorts: bool): bool {
  return (
    sideTakes(remoteSelectors(sa), sa.remoteCount, PACKET.sourceHigh, PACKET.sourceLow, PACKET.sourcePort, ignorePorts) &&
    sideTakes(localSelectors(sa), sa.localCount, PACKET.destinationHigh, PACKET.destinationLow, PACKET.destinationPort, ignorePorts)
  )
}

function sideTakes(selectors: usize, count: u32, high: u64, low: u64, port: u32, ignorePorts: bool): bool {
  for (let i: u32 = 0; i < count; i++) {
    const selector = changetype<Selector>(selectors + i * SELECTOR_BYTES)
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
