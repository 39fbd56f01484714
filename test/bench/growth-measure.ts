/** Small measuring tools of `bench:growth`. */
import { readFileSync } from 'node:fs'

/** Memory that the process has in use, in bytes. */
export function residentBytes(): number {
  globalThis.gc?.()
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
  return line === null ? process.memoryUsage().rss : Number(line[1]) * 1024
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}

/** 0 to `count - 1` in random order. */
export function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(Math.random() * (i + 1))
    const moved = order[i]!
    order[i] = order[other]!
    order[other] = moved
  }
  return order
}
