/** Sends IKE messages and NAT keepalives from the main thread, by the sockets that the worker receives on. */
import type { SocketAddress } from '../../protocol/net.ts'
import { KEEPALIVE_BYTE, withMarker } from '../core/encap.ts'
import type { WireSocket } from '../data/commands.ts'
import { writeSockaddr } from '../data/sockaddr.ts'
import { libc, Scratch } from './ffi.ts'

const MSG_DONTWAIT = 0x40
const MAX_DATAGRAM = 65535
const NAME_BYTES = 32

export class IkeSocket {
  /** Datagrams that the kernel did not take: no route, message too long, buffer full. IKE sends them again. */
  failures = 0
  readonly #sockets: readonly WireSocket[]
  readonly #scratch = new Scratch(NAME_BYTES + MAX_DATAGRAM)

  constructor(sockets: readonly WireSocket[]) {
    this.#sockets = sockets.filter((socket) => socket.kind !== 'esp')
  }

  /** `bytes` is the bare message: on the NAT-traversal port the non-ESP marker is put before it. */
  send(local: SocketAddress, remote: SocketAddress, bytes: Uint8Array): void {
    const socket = this.#socketFor(local)
    if (socket === undefined) this.failures++
    else this.#sendOn(socket, remote, socket.kind === 'udp' ? withMarker(bytes) : bytes)
  }

  keepalive(local: SocketAddress, remote: SocketAddress): void {
    const socket = this.#socketFor(local)
    if (socket?.kind === 'udp') this.#sendOn(socket, remote, Uint8Array.of(KEEPALIVE_BYTE))
  }

  #sendOn(socket: WireSocket, remote: SocketAddress, datagram: Uint8Array): void {
    if (datagram.length > MAX_DATAGRAM) {
      this.failures++
      return
    }
    const { view, bytes, address } = this.#scratch
    const nameLength = writeSockaddr(view, 0, remote)
    bytes.set(datagram, NAME_BYTES)
    const data = address + NAME_BYTES
    const sent = libc().sendto(socket.fd, data, datagram.length, MSG_DONTWAIT, address, nameLength)
    if (sent < 0) this.failures++
  }

  #socketFor(local: SocketAddress): WireSocket | undefined {
    const samePort = this.#sockets.filter((socket) => socket.local.port === local.port)
    return samePort.find((socket) => socket.local.address === local.address) ?? samePort[0]
  }
}
