/** NAT detection (RFC 7296 section 2.23). */
import { addressBytes, type SocketAddress } from '../../../protocol/net.ts'
import type { IkeCrypto } from './crypto.ts'
import { NOTIFY } from './wire/notify.ts'
import type { NotifyPayload, Payload } from './wire/types.ts'

/** Addresses and SPIs as the sender or receiver of one message sees them. */
export interface NatView {
  /** As in the message's header: the responder's is zero in the first request. */
  readonly initiatorSpi: Uint8Array
  readonly responderSpi: Uint8Array
  readonly local: SocketAddress
  readonly remote: SocketAddress
}

export interface NatFinding {
  /** False when the peer sent no hashes: it does not do NAT traversal. */
  readonly supported: boolean
  readonly localBehindNat: boolean
  readonly remoteBehindNat: boolean
}

/** SHA-1(SPIi | SPIr | address | port). */
export function natDetectionHash(
  crypto: IkeCrypto,
  initiatorSpi: Uint8Array,
  responderSpi: Uint8Array,
  socket: SocketAddress,
): Uint8Array {
  const port = Uint8Array.of(socket.port >> 8, socket.port & 0xff)
  return crypto.sha1(initiatorSpi, responderSpi, addressBytes(socket.address), port)
}

/**
 * The two notifications for a message that we send. `force` makes the source hash one that fits no address, so that
 * the peer takes us to be behind a NAT and encapsulates in UDP.
 */
export function natDetectionNotifies(crypto: IkeCrypto, view: NatView, force: boolean): NotifyPayload[] {
  const { initiatorSpi, responderSpi, local, remote } = view
  const source = natDetectionHash(crypto, initiatorSpi, responderSpi, local)
  // Inverted, the hash differs from that of every address unless SHA-1 collides with its own complement.
  if (force)
    source.forEach((byte, i) => {
      source[i] = byte ^ 0xff
    })
  const destination = natDetectionHash(crypto, initiatorSpi, responderSpi, remote)
  return [notify(NOTIFY.NAT_DETECTION_SOURCE_IP, source), notify(NOTIFY.NAT_DETECTION_DESTINATION_IP, destination)]
}

/** Compares the hashes of a received message with the addresses that it came with. The peer may send several sources. */
export function detectNat(crypto: IkeCrypto, view: NatView, payloads: readonly Payload[]): NatFinding {
  const { initiatorSpi, responderSpi, local, remote } = view
  const sources = hashes(payloads, NOTIFY.NAT_DETECTION_SOURCE_IP)
  const destinations = hashes(payloads, NOTIFY.NAT_DETECTION_DESTINATION_IP)
  if (sources.length === 0 || destinations.length === 0)
    return { supported: false, localBehindNat: false, remoteBehindNat: false }
  const matches = (socket: SocketAddress) => {
    const expected = natDetectionHash(crypto, initiatorSpi, responderSpi, socket)
    return (hash: Uint8Array) => crypto.equal(hash, expected)
  }
  return {
    supported: true,
    localBehindNat: !destinations.some(matches(local)),
    remoteBehindNat: !sources.some(matches(remote)),
  }
}

function hashes(payloads: readonly Payload[], type: number): Uint8Array[] {
  return payloads.flatMap((payload) => (payload.type === 'N' && payload.notify === type ? [payload.data] : []))
}

function notify(type: number, data: Uint8Array): NotifyPayload {
  return { type: 'N', protocol: 0, spi: new Uint8Array(0), notify: type, data }
}
