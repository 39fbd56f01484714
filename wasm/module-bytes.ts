/** The little of the WebAssembly binary format that the build needs. */

const PREAMBLE_BYTES = 8
const CUSTOM_SECTION = 0
const MEMORY_SECTION = 5
const HAS_MAXIMUM = 1

/** A custom section, to be put behind a module's other sections. */
export function customSection(name: string, contents: Uint8Array): Uint8Array {
  const nameBytes = new TextEncoder().encode(name)
  return section(CUSTOM_SECTION, [...leb128(nameBytes.length), ...nameBytes, ...contents])
}

/** The module with the maximum of its one memory set to `maximum` pages. Throws when it has not one memory, or a larger one. */
export function boundMemory(module: Uint8Array, maximum: number): Uint8Array<ArrayBuffer> {
  for (let at = PREAMBLE_BYTES; at < module.length; ) {
    const id = module[at]!
    const size = readLeb128(module, at + 1)
    const end = size.next + size.value
    if (id === MEMORY_SECTION) {
      const count = readLeb128(module, size.next)
      // Then one byte of flags.
      const pages = readLeb128(module, count.next + 1)
      if (count.value !== 1) throw new Error(`${count.value} memories instead of one`)
      if (pages.value > maximum) throw new Error(`a memory of ${pages.value} pages`)
      const fixed = section(MEMORY_SECTION, [1, HAS_MAXIMUM, ...leb128(pages.value), ...leb128(maximum)])
      return Uint8Array.from([...module.subarray(0, at), ...fixed, ...module.subarray(end)])
    }
    at = end
  }
  throw new Error('no memory')
}

function section(id: number, contents: readonly number[]): Uint8Array {
  return Uint8Array.from([id, ...leb128(contents.length), ...contents])
}

/** An unsigned number below 2^32 in LEB128. */
function leb128(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  bytes.push(rest)
  return bytes
}

function readLeb128(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0
  for (let shift = 0, next = at; shift < 35; shift += 7) {
    const byte = bytes[next++]
    if (byte === undefined) throw new Error('module cut short')
    value += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) return { value, next }
  }
  throw new Error('number too long')
}
