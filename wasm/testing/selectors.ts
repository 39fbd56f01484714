import { address } from '../../protocol/net.ts'
import type { TrafficSelector } from '../packet-engine.ts'

/** Takes every IPv4 packet. */
export const ANY4: readonly TrafficSelector[] = [
  {
    protocol: 0,
    startPort: 0,
    endPort: 65535,
    startAddress: address('0.0.0.0'),
    endAddress: address('255.255.255.255'),
  },
]
