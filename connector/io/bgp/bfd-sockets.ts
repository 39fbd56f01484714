/** The UDP sockets of BFD: one that hears for each of our addresses, one that speaks for each session (RFC 5881 section 4). */
import { createSocket, type Socket } from 'node:dgram'
import { type Address, familyOf, type SocketAddress } from '../../../protocol/net.ts'
import { BFD_PORT, BFD_TTL, type BfdDatagram, type BfdEndpointEffect } from '../../core/bfd/endpoint.ts'
import { AF_INET, AF_INET6, writeSockaddr } from '../../data/sockaddr.ts'
import { errnoName, libc, O_CLOEXEC, O_NONBLOCK, Scratch, SOCK_DGRAM, setOption } from '../ffi.ts'
import { attachTtl } from '../packet-filter.ts'
import { SocketRefused } from './signed-socket.ts'

const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26

export interface BfdSocketsParts {
  readonly hear: (datagram: BfdDatagram) => void
  readonly onTrouble: (error: unknown) => void
}

export class BfdSockets {
  readonly #parts: BfdSocketsParts
  readonly #ears = new Map<Address, Socket>()
  /** By our address and port. */
  readonly #mouths = new Map<string, Socket>()

  constructor(parts: BfdSocketsParts) {
    this.#parts = parts
  }

  /** On these besides. What cannot be is told. */
  listen(locals: Iterable<Address>): void {
    for (const local of locals) {
      if (this.#ears.has(local)) continue
      try {
        this.#ears.set(local, this.#ear(local))
      } catch (error) {
        this.#parts.onTrouble(error)
      }
    }
  }

  /** On these alone. */
  listenOnly(locals: Iterable<Address>): void {
    const wanted = new Set(locals)
    for (const [local, ear] of this.#ears) {
      if (wanted.has(local)) continue
      this.#ears.delete(local)
      ear.close()
    }
    this.listen(wanted)
  }

  /** Nothing more is sent from there. */
  hush(from: SocketAddress): void {
    const key = keyOf(from)
    this.#mouths.get(key)?.close()
    this.#mouths.delete(key)
  }

  send({ from, to, bytes }: Extract<BfdEndpointEffect, { readonly kind: 'send' }>): void {
    this.#mouth(from).send(bytes, to.port, to.address, () => {})
  }

  close(): void {
    for (const socket of [...this.#ears.values(), ...this.#mouths.values()]) socket.close()
    this.#ears.clear()
    this.#mouths.clear()
  }

  #ear(local: Address): Socket {
    const socket = createSocket(typeOf(local))
    socket.on('message', (bytes, { address, port }) => {
      const from = { address: address as Address, port }
      this.#parts.hear({ kind: 'datagram', bytes, from, to: local, ttl: BFD_TTL })
    })
    socket.on('error', (error) => this.#parts.onTrouble(error))
    socket.bind({ fd: openFiltered({ address: local, port: BFD_PORT }) })
    return socket
  }

  /** Sending waits for the bind; what does not work is a packet lost, which BFD notices by itself. */
  #mouth(from: SocketAddress): Socket {
    const key = keyOf(from)
    const known = this.#mouths.get(key)
    if (known !== undefined) return known
    const socket = createSocket({ type: typeOf(from.address), reuseAddr: true })
    this.#mouths.set(key, socket)
    socket.on('error', () => {
      if (this.#mouths.get(key) !== socket) return
      this.#mouths.delete(key)
      socket.close()
    })
    socket.bind({ address: from.address, port: from.port }, () => socket.setTTL(BFD_TTL))
    return socket
  }
}

/** Node does not tell the TTL of a datagram: the kernel lets pass only those that have 255 (RFC 5881 section 5). */
function openFiltered(local: SocketAddress): number {
  const c = libc()
  const six = familyOf(local.address) === 6
  const fd = c.socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | O_NONBLOCK | O_CLOEXEC, 0)
  if (fd < 0) throw new SocketRefused('socket', errnoName(c.errno()))
  if (six) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
  const scratch = new Scratch(32)
  const length = writeSockaddr(scratch.view, 0, local)
  const isFiltered = attachTtl(fd, BFD_TTL, six ? 6 : 4)
  if (isFiltered && c.bind(fd, scratch.address, length) >= 0) return fd
  const reason = errnoName(c.errno())
  c.close(fd)
  throw new SocketRefused(isFiltered ? `UDP ${BFD_PORT}` : 'TTL filter', reason)
}

function keyOf({ address, port }: SocketAddress): string {
  return `${address} ${port}`
}

function typeOf(address: Address): 'udp4' | 'udp6' {
  return familyOf(address) === 6 ? 'udp6' : 'udp4'
}
