/** One Child SA of a worker: what it is told to install, and what is kept of it here. */
import type { SocketAddress } from '../../protocol/net.ts'
import type { ChildSaSpec } from '../core/ike/types.ts'
import type { ChildCounters, InstallChild, WireSocket } from '../data/commands.ts'
import { NONE_CARRIED, NOTHING } from './carried.ts'

export interface InstalledChild {
  readonly id: number
  readonly connection: string
  readonly child: string
  /** The packet worker that has it. */
  readonly resource: number
  readonly inboundSpi: number
  readonly outboundSpi: number
  readonly encapsulation: 'udp' | 'esp'
  readonly innerMtu: number
  /** As last reported by the worker. */
  readonly counters: ChildCounters
}

export interface MutableChild extends InstalledChild {
  localAddress: SocketAddress
  innerMtu: number
  counters: ChildCounters
}

/** What its worker is told, and the buffers of the keys, to be handed over. The key arrays of `sa` are wiped. */
export function installOf(
  sa: ChildSaSpec,
  tunnel: number,
  socket: number,
): { readonly child: InstallChild; readonly keys: readonly ArrayBuffer[] } {
  const { id, suite, esn, local, remote, replayWindow, encapsulation, remoteAddress } = sa
  const inbound = { ...moved(sa.inbound), suite, esn, replayWindow, tunnel, local, remote }
  const outbound = { ...moved(sa.outbound), suite, esn, tunnel, endpoint: 0, local, remote, ...sa.limits }
  return {
    child: { id, inbound, outbound, remote: remoteAddress, encapsulation, socket },
    keys: [inbound.key.buffer, outbound.key.buffer],
  }
}

export function childOf(sa: ChildSaSpec, innerMtu: number): MutableChild {
  const { id, connection, child, resource, inbound, outbound, encapsulation, localAddress, replayWindow } = sa
  return {
    ...{ id, connection, child, resource, encapsulation, localAddress, innerMtu },
    inboundSpi: inbound.spi,
    outboundSpi: outbound.spi,
    counters: { id, ...NONE_CARRIED, ...(replayWindow === 0 && { inbound: NOTHING }) },
  }
}

/** The index of the one that packets from `local` leave by. Throws where there is none. */
export function socketFor(sockets: readonly WireSocket[], local: SocketAddress, encapsulation: 'udp' | 'esp'): number {
  const matches = (socket: WireSocket): boolean => socket.kind === encapsulation
  const exact = sockets.findIndex((socket) => matches(socket) && socket.local.address === local.address)
  const index = exact >= 0 ? exact : sockets.findIndex(matches)
  if (index < 0) throw new Error(`no socket for ${encapsulation} on ${local.address}`)
  return index
}

/** The keys in buffers of their own, to hand over; the originals are wiped. */
function moved(keys: { spi: number; key: Uint8Array; salt: Uint8Array }) {
  const copy = { spi: keys.spi, key: new Uint8Array(keys.key), salt: new Uint8Array(keys.salt) }
  keys.key.fill(0)
  keys.salt.fill(0)
  return copy
}
