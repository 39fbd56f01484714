/** What goes into two engines and what is seen of them, and how it is compared. */
import { addressBytes, type SocketAddress } from '../../protocol/net.ts'
import { NAME_STRIDE, SLOT_BYTES, VERDICT_ELSEWHERE } from '../abi.ts'
import type { LanOutbox, PacketEngine, TransitList } from '../packet-engine.ts'
import type { Datagram, Onward, Opened, WirePacket } from './differential-pair.ts'

export function fillWire(engine: PacketEngine, batch: readonly Datagram[]): void {
  const { wireRx, memory } = engine
  batch.forEach(({ bytes, remote, tos, length }, slot) => {
    wireRx.slot(slot).set(bytes.subarray(0, SLOT_BYTES))
    wireRx.length[slot] = length ?? bytes.length
    wireRx.tos[slot] = tos
    new Uint8Array(memory, wireRx.names + slot * NAME_STRIDE, NAME_STRIDE).set(socketName(remote))
  })
}

/** As Linux lays out sockaddr_in and sockaddr_in6. */
export function socketName({ address, port }: SocketAddress): Uint8Array {
  const name = new Uint8Array(NAME_STRIDE)
  const bytes = addressBytes(address)
  name[0] = bytes.length === 4 ? 2 : 10
  name[2] = port >> 8
  name[3] = port & 0xff
  name.set(bytes, bytes.length === 4 ? 4 : 8)
  return name
}

export function elsewhereOf({ wireRx }: PacketEngine, count: number): (number | undefined)[] {
  return Array.from({ length: count }, (_, i) =>
    wireRx.verdict[i] === VERDICT_ELSEWHERE ? wireRx.elsewhere[i]! : undefined,
  )
}

export function contents(outbox: LanOutbox): Uint8Array[] {
  return Array.from({ length: outbox.count }, (_, i) => outbox.packet(i).slice())
}

export function leftOf(transit: TransitList, first: number, end: number): Onward['left'] {
  const entries = Array.from({ length: end - first }, (_, i) => first + i)
  return entries
    .filter((entry) => transit.handOver[entry] !== 0)
    .map((entry) => ({
      packet: transit.packet(entry).slice(),
      worker: transit.handOver[entry]! - 1,
      via: transit.via[entry]!,
    }))
}

export function probesOf({ probes }: PacketEngine): Opened['probes'] {
  return contents(probes).map((content, i) => ({ content, tunnel: probes.tunnel[i]!, tos: probes.tos[i]! }))
}

export function wireContents({ wireTx }: PacketEngine): WirePacket[] {
  return contents(wireTx).map((bytes, i) => ({ bytes, endpoint: wireTx.endpoint[i]!, tos: wireTx.tos[i]! }))
}

/** Where two plain values first differ, and how; undefined where they don't. */
export function differenceOf(left: unknown, right: unknown, path: string): string | undefined {
  if (Object.is(left, right)) return undefined
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) {
    return `${path} is ${String(left)} (${typeof left}) and ${String(right)} (${typeof right})`
  }
  if (left instanceof Uint8Array && right instanceof Uint8Array && left.length === right.length) {
    const at = left.findIndex((byte, i) => byte !== right[i])
    return at < 0 ? undefined : `${path} at byte ${at} of ${left.length}: ${hexOf(left)} and ${hexOf(right)}`
  }
  const one = left as Record<string, unknown>
  const other = right as Record<string, unknown>
  for (const key of new Set(['length', ...Object.keys(one), ...Object.keys(other)])) {
    const difference = differenceOf(one[key], other[key], `${path}.${key}`)
    if (difference !== undefined) return difference
  }
  return undefined
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 80), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
