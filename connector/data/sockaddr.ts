/** Linux `sockaddr_in` and `sockaddr_in6` to and from `SocketAddress`. */
import { addressBytes, familyOf, formatAddress, type SocketAddress } from '../../protocol/net.ts'

export const AF_INET = 2
export const AF_INET6 = 10
export const SOCKADDR_IN_BYTES = 16
export const SOCKADDR_IN6_BYTES = 28

/** Writes at `offset` and returns the length of the structure: 16 or 28. Link-local scope is left 0. */
export function writeSockaddr(view: DataView, offset: number, value: SocketAddress): number {
  const bytes = addressBytes(value.address)
  view.setUint16(offset + 2, value.port, false)
  const target = new Uint8Array(view.buffer, view.byteOffset + offset)
  if (familyOf(value.address) === 4) {
    view.setUint16(offset, AF_INET, true)
    target.fill(0, 8, SOCKADDR_IN_BYTES)
    target.set(bytes, 4)
    return SOCKADDR_IN_BYTES
  }
  view.setUint16(offset, AF_INET6, true)
  target.fill(0, 4, SOCKADDR_IN6_BYTES)
  target.set(bytes, 8)
  return SOCKADDR_IN6_BYTES
}

/** The address that the kernel wrote at `offset`, or undefined if it is of neither family. */
export function readSockaddr(view: DataView, offset: number): SocketAddress | undefined {
  const family = view.getUint16(offset, true)
  const port = view.getUint16(offset + 2, false)
  const start = view.byteOffset + offset
  if (family === AF_INET) return { address: formatAddress(new Uint8Array(view.buffer, start + 4, 4)), port }
  if (family === AF_INET6) return { address: formatAddress(new Uint8Array(view.buffer, start + 8, 16)), port }
  return undefined
}
