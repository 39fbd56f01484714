/** What is wrong with a configuration, and where: each fault names a place, a cause and a remedy. */

export interface ConfigFault {
  /** As the user named it. */
  readonly file: string
  /** Both from 1; where a key is missing, the place of the mapping that lacks it. */
  readonly line: number
  readonly column: number
  /** `peers.branch.secret.file`; empty for the document as a whole. */
  readonly path: string
  readonly message: string
  readonly remedy: string
  /** `file`: a file that could not be read, rather than a mistake in what was read. */
  readonly kind: 'config' | 'file'
}

export type ConfigPath = readonly (string | number)[]

/** A fault before its place in the text is known. */
export interface Finding {
  readonly path: ConfigPath
  readonly message: string
  readonly remedy: string
  readonly kind?: 'config' | 'file'
  /** Point at the key rather than at its value: for unknown keys. */
  readonly atKey?: boolean
}

export interface Checked {
  readonly faults: readonly Finding[]
  readonly warnings: readonly Finding[]
}

/** `isthmus.yaml:7:15: peers.branch.address: "1.2.3" is not an IP address; write one like 192.0.2.1`. */
export function formatFault(fault: ConfigFault): string {
  const where = `${fault.file}:${fault.line}:${fault.column}`
  const subject = fault.path === '' ? where : `${where}: ${fault.path}`
  return `${subject}: ${fault.message}; ${fault.remedy}`
}

/** `peers.branch.networks[0]`. */
export function formatPath(path: ConfigPath): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += text === '' ? part : `.${part}`
  }
  return text
}

/** The candidate that `word` was most likely meant to be, or undefined when none is near. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: { name: string; distance: number } | undefined
  for (const name of candidates) {
    const distance = editDistance(word.toLowerCase(), name.toLowerCase())
    if (best === undefined || distance < best.distance) best = { name, distance }
  }
  if (best !== undefined && best.distance <= Math.max(1, Math.floor(best.name.length / 3))) return best.name
  return candidates.find((name) => word.length > 2 && name.split('_').includes(word))
}

/** Insertions, deletions, replacements and swaps of neighbours; words are cut at 40 characters. */
function editDistance(left: string, right: string): number {
  const a = left.slice(0, 40)
  const b = right.slice(0, 40)
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(replaced, last[j]! + 1, row[j - 1]! + 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) row[j] = Math.min(row[j]!, before[j - 2]! + 1)
    }
    before = last
    last = row
  }
  return last[b.length]!
}
