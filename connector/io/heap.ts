/** How the JavaScript heap of this process is collected. */
import { setFlagsFromString } from 'node:v8'

/** Of V8: the first that is known to have the flag. An engine without it would say so on stderr. */
const SINCE = 14

/**
 * Buffers of network data count as part of the heap. Otherwise V8 collects the whole heap for each 64 MB of them that
 * come, which is several times a second for one fast stream, and costs more than its encryption. Idempotent.
 */
export function accountBuffersWithHeap(): void {
  const major = Number(process.versions.v8.split('.')[0])
  if (major >= SINCE) setFlagsFromString('--external-memory-accounted-in-global-limit')
}
