/** Traffic classes on their way into engine memory. */
import type { RawExports } from './engine-exports.ts'
import type { PortRange } from './packet-engine.ts'
import type { CheckedClass, CheckedMatch } from './steering-arguments.ts'

const ANY_PROTOCOL = 256
const ANY_DSCP = 64
const ALL_PORTS: PortRange = { start: 0, end: 0xffff }

/** Replaces all that are there. */
export function putClasses(raw: RawExports, bytes: Uint8Array, classes: readonly CheckedClass[]): void {
  raw.clearClasses()
  for (const [index, { matches, prefer }] of classes.entries()) {
    for (const match of matches) putMatch(raw, bytes, index, match)
    for (const [place, tunnel] of prefer.entries()) raw.setPreference(index, tunnel, place + 1)
  }
}

function putMatch(raw: RawExports, bytes: Uint8Array, index: number, match: CheckedMatch): void {
  const { version, source, destination, protocol = ANY_PROTOCOL, dscp = ANY_DSCP, ports } = match
  const at = raw.CONTROL_ADDRESSES.value
  bytes.fill(0, at, at + 32)
  if (source !== undefined) bytes.set(source.address, at)
  if (destination !== undefined) bytes.set(destination.address, at + 16)
  raw.addMatch(
    index,
    version,
    source?.bits ?? 0,
    destination?.bits ?? 0,
    protocol,
    dscp,
    ports === undefined ? 0 : 1,
    rangeCode(ports?.source ?? ALL_PORTS),
    rangeCode(ports?.destination ?? ALL_PORTS),
  )
}

function rangeCode({ start, end }: PortRange): number {
  return start * 0x10000 + end
}
