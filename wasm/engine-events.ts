/** Events out of the module's queue, as the host sees them. */
import { formatAddress, type SocketAddress } from '../protocol/net.ts'
import {
  EVENT_FIRST_PACKET,
  EVENT_HARD_LIMIT,
  EVENT_NO_SA,
  EVENT_PEER_MOVED,
  EVENT_SOFT_LIMIT,
  EVENT_UNKNOWN_SPI,
} from './abi.ts'
import type { RawExports } from './engine-exports.ts'
import type { EngineEvent } from './packet-engine.ts'

/** The oldest event that waits, taken out of the queue. `bytes` are all of the module's memory. */
export function takeEvent(raw: RawExports, bytes: Uint8Array): EngineEvent | undefined {
  const type = raw.takeEvent()
  const subject = raw.takenSubject() >>> 0
  switch (type) {
    case EVENT_SOFT_LIMIT:
      return { type: 'soft-limit', sa: subject }
    case EVENT_HARD_LIMIT:
      return { type: 'hard-limit', sa: subject }
    case EVENT_PEER_MOVED:
      return { type: 'peer-moved', sa: subject, remote: takenRemote(raw, bytes) }
    case EVENT_UNKNOWN_SPI:
      return { type: 'unknown-spi', spi: subject, remote: takenRemote(raw, bytes) }
    case EVENT_NO_SA:
      return { type: 'no-sa', tunnel: subject }
    case EVENT_FIRST_PACKET:
      return { type: 'first-packet', sa: subject }
    default:
      return undefined
  }
}

function takenRemote(raw: RawExports, bytes: Uint8Array): SocketAddress {
  const at = raw.takenAddress()
  const length = raw.takenFamily() === 6 ? 16 : 4
  return { address: formatAddress(bytes.slice(at, at + length)), port: raw.takenPort() }
}
