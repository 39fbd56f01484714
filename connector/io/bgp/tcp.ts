/** The TCP connections of all BGP sessions: effects of the speaker on one side, `node:net` on the other. */
import { createServer, type Server, Socket } from 'node:net'
import { type Address, parseAddress, type SocketAddress } from '../../../protocol/net.ts'
import type { ConnectionId, Transport } from '../../core/bgp/session-types.ts'
import type { SpeakerInput } from '../../core/bgp/speaker-types.ts'
import { libc } from '../ffi.ts'
import { openSocket, type Signing } from './signed-socket.ts'

export interface TcpParts {
  readonly post: (input: SpeakerInput) => void
  readonly md5Keys: ReadonlyMap<string, Uint8Array>
  /** Where each neighbour is, and we towards it. */
  readonly ends: readonly TcpEnds[]
  /** Something that the system would not do; the session goes on trying. */
  readonly onTrouble: (neighbour: string, error: unknown) => void
}

export interface TcpEnds {
  readonly neighbour: string
  readonly local: Address
  readonly remote: Address
  readonly transport: Omit<Transport, 'remote' | 'local'>
}

export class BgpTcp {
  readonly #parts: TcpParts
  readonly #sockets = new Map<string, Socket>()
  /** What we have ended, and the other end may still read. */
  readonly #closing = new Set<Socket>()
  /** By our address. */
  readonly #servers = new Map<Address, { readonly server: Server; readonly ends: readonly TcpEnds[] }>()
  #ends: readonly TcpEnds[]
  #md5Keys: ReadonlyMap<string, Uint8Array>
  readonly #welcome = new Set<string>()
  #incoming = 0
  #whenQuiet: (() => void) | undefined

  constructor(parts: TcpParts) {
    this.#parts = parts
    this.#ends = parts.ends
    this.#md5Keys = parts.md5Keys
  }

  /** These are all neighbours from now on. Connections stay. Only who listens before listens after. */
  setEnds(ends: readonly TcpEnds[], md5Keys: ReadonlyMap<string, Uint8Array>): void {
    const before = this.#md5Keys
    this.#ends = ends
    this.#md5Keys = md5Keys
    const byLocal = Map.groupBy(ends, ({ local }) => local)
    for (const [local, { server, ends: old }] of this.#servers) {
      const wanted = byLocal.get(local) ?? []
      const isSame =
        sameEnds(old, wanted) &&
        wanted.every(({ transport: { md5Key = '' } }) => {
          return sameBytes(before.get(md5Key), md5Keys.get(md5Key))
        })
      if (isSame) continue
      this.#servers.delete(local)
      server.close()
    }
    const names = new Set(ends.map(({ neighbour }) => neighbour))
    for (const name of this.#welcome) if (!names.has(name)) this.#welcome.delete(name)
    this.listen()
  }

  /** Listens on all of our addresses; one that cannot be is told, and neighbours may still be called from it. */
  listen(): void {
    const byLocal = Map.groupBy(this.#ends, ({ local }) => local)
    for (const [local, ends] of byLocal) {
      if (this.#servers.has(local)) continue
      try {
        this.#servers.set(local, { server: this.#serve(local, ends), ends })
      } catch (error) {
        this.#parts.onTrouble(ends[0]!.neighbour, error)
      }
    }
  }

  setWelcome(neighbour: string, welcome: boolean): void {
    if (welcome) this.#welcome.add(neighbour)
    else this.#welcome.delete(neighbour)
  }

  connect(neighbour: string, connection: ConnectionId, transport: Transport): void {
    let fd: number
    try {
      const local = { address: transport.local!, port: 0 }
      fd = openSocket(local, transport.gtsmHops, this.#signings(transport.md5Key, transport.remote))
    } catch (error) {
      this.#parts.onTrouble(neighbour, error)
      // Not within the call that asked for it: the session is about to go on.
      setImmediate(() => this.#parts.post({ type: 'closed', neighbour, connection }))
      return
    }
    const socket = adopt(fd)
    this.#watch(neighbour, connection, socket)
    socket.once('connect', () => this.#parts.post({ type: 'connected', neighbour, connection }))
    socket.connect({ host: transport.remote, port: transport.port })
  }

  send(neighbour: string, connection: ConnectionId, bytes: Uint8Array): void {
    const socket = this.#sockets.get(keyOf(neighbour, connection))
    // Of a connection that is gone its `closed` is on the way.
    socket?.write(bytes, () => this.#parts.post({ type: 'sent', neighbour, connection, octets: bytes.length }))
  }

  /** After what was sent before. */
  close(neighbour: string, connection: ConnectionId): void {
    const key = keyOf(neighbour, connection)
    const socket = this.#sockets.get(key)
    if (socket === undefined) return
    if (!socket.connecting) this.#closing.add(socket)
    this.#forget(key)
    if (socket.connecting) {
      socket.destroy()
      return
    }
    socket.removeAllListeners('data')
    socket.resume()
    socket.once('close', () => {
      this.#closing.delete(socket)
      this.#lookForQuiet()
    })
    // The other end closes when it has read all of it.
    socket.end()
    setTimeout(() => socket.destroy(), LINGER_MS).unref()
  }

  /** No one is let in any more; resolves when the other ends have read and closed all, or after `limitMs`. */
  async stop(limitMs: number): Promise<void> {
    for (const { server } of this.#servers.values()) server.close()
    this.#servers.clear()
    this.#welcome.clear()
    if (this.#sockets.size + this.#closing.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, limitMs)
        this.#whenQuiet = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    for (const socket of [...this.#sockets.values(), ...this.#closing]) socket.destroy()
    this.#sockets.clear()
  }

  #serve(local: Address, ends: readonly TcpEnds[]): Server {
    const { port } = ends[0]!.transport
    const signings = ends.flatMap(({ transport, remote }) => this.#signings(transport.md5Key, remote))
    const hops = ends.map(({ transport }) => transport.gtsmHops)
    // One socket for all of them: the TTL can be demanded only where all do.
    const gtsmHops = hops.every((each) => each !== undefined) ? Math.max(...hops) : undefined
    const fd = openSocket({ address: local, port } satisfies SocketAddress, gtsmHops, signings)
    const server = createServer({ pauseOnConnect: true }, (socket) => this.#enter(local, socket))
    server.on('error', (error) => this.#parts.onTrouble(ends[0]!.neighbour, error))
    server.listen({ fd })
    return server
  }

  #enter(local: Address, socket: Socket): void {
    const remote = parseAddress(socket.remoteAddress ?? '')
    const end = this.#ends.find((each) => each.local === local && each.remote === remote)
    if (end === undefined || !this.#welcome.has(end.neighbour)) {
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    const connection = `in-${++this.#incoming}`
    this.#watch(end.neighbour, connection, socket)
    this.#parts.post({ type: 'incoming', neighbour: end.neighbour, connection })
    socket.resume()
  }

  #watch(neighbour: string, connection: ConnectionId, socket: Socket): void {
    const key = keyOf(neighbour, connection)
    this.#sockets.set(key, socket)
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => {
      // One piece in each turn of the loop: Node reads 32 of them at once, and timers would wait for seconds.
      socket.pause()
      setImmediate(() => socket.resume())
      this.#parts.post({ type: 'bytes', neighbour, connection, bytes })
    })
    socket.on('error', () => {})
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      if (this.#sockets.get(key) === socket) {
        this.#forget(key)
        this.#parts.post({ type: 'closed', neighbour, connection })
      }
    })
  }

  #forget(key: string): void {
    this.#sockets.delete(key)
    this.#lookForQuiet()
  }

  #lookForQuiet(): void {
    if (this.#sockets.size + this.#closing.size === 0) this.#whenQuiet?.()
  }

  #signings(md5Key: string | undefined, peer: Address): Signing[] {
    const key = md5Key === undefined ? undefined : this.#md5Keys.get(md5Key)
    return key === undefined ? [] : [{ peer, key }]
  }
}

function sameEnds(one: readonly TcpEnds[], other: readonly TcpEnds[]): boolean {
  const text = (ends: readonly TcpEnds[]) => {
    return JSON.stringify(
      ends.map(({ remote, transport: { port, md5Key, gtsmHops } }) => [remote, port, md5Key, gtsmHops]),
    )
  }
  return text(one) === text(other)
}

/** Both are ours. */
export function sameBytes(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return one.length === other.length && one.every((byte, i) => byte === other[i])
}

/** What a neighbour that takes nothing more is given to take our last words. */
const LINGER_MS = 2_000

/** Node takes the descriptor over; it must not read before there is a connection. */
function adopt(fd: number): Socket {
  try {
    return new Socket({ fd, manualStart: true } as ConstructorParameters<typeof Socket>[0])
  } catch (error) {
    libc().close(fd)
    throw error
  }
}

function keyOf(neighbour: string, connection: ConnectionId): string {
  return `${neighbour} ${connection}`
}
