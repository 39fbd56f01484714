/** How the JavaScript heap of this process is collected. */
import { setFlagsFromString } from 'node:v8'

/** Of V8: the first that is known to have these flags. An engine without it would say so on stderr. */
const SINCE = 14
/** By how much the old generation grows between two collections; V8 takes up to four times as much. */
const GROWING_PERCENT = 20

/**
 * Buffers of network data count as part of the heap. Otherwise V8 collects the whole heap for each 64 MB of them that
 * come, which is several times a second for one fast stream, and costs more than its encryption. Idempotent.
 */
export function accountBuffersWithHeap(): void {
  if (isKnown()) setFlagsFromString('--external-memory-accounted-in-global-limit')
}

/**
 * A full table of BGP lies in typed arrays; what goes by on its way in is garbage, which V8 would let grow to 200 MB beside
 * 30 MB that live. Idempotent.
 */
export function collectSooner(): void {
  if (isKnown()) setFlagsFromString(`--heap-growing-percent=${GROWING_PERCENT}`)
}

function isKnown(): boolean {
  return Number(process.versions.v8.split('.')[0]) >= SINCE
}
