/** `isthmus decode`: one JSON line per IKE, BGP or BFD message, ESP packet or keepalive. See docs/decode.md. */
import { openCapture } from './capture.ts'
import { type KeyRing, NO_KEYS, parseKeys } from './keys.ts'
import type { Json } from './payload-json.ts'
import { Decoder } from './records.ts'

export interface DecodeArgs {
  readonly file: string
  readonly keys?: string
}

export interface DecodeIo {
  /** The whole file. Throws as `fs.readFileSync` does. */
  readFile(path: string): Uint8Array
  /** One line, without its line feed. */
  stdout(line: string): void
  stderr(line: string): void
}

export const EXIT_READ = 0
export const EXIT_BAD_KEYS = 3
export const EXIT_UNREADABLE = 7

/** Resolves to the exit code: 0 read (whatever was in it), 3 bad key file, 7 unreadable capture. Never rejects for what a file holds. */
export async function runDecode(args: DecodeArgs, io: DecodeIo): Promise<number> {
  const keys = readKeys(args.keys, io)
  if (keys === undefined) return EXIT_BAD_KEYS
  const file = read(args.file, io)
  if ('cause' in file) {
    complain(io, `cannot read ${args.file}: ${file.cause}`, file.remedy)
    return EXIT_UNREADABLE
  }
  const capture = openCapture(file)
  if ('refused' in capture) {
    complain(io, `cannot read ${args.file}: ${capture.refused}`, capture.remedy)
    return EXIT_UNREADABLE
  }
  const decoder = new Decoder(keys)
  const counts = new Map<string, number>()
  for (const frame of capture.frames) {
    const records = decoder.records(frame)
    if (records === undefined) count(counts, 'of other protocols')
    else write(records, counts, io)
  }
  write(decoder.finish(), counts, io)
  io.stderr(summary(counts))
  return EXIT_READ
}

function write(records: readonly Json[], counts: Map<string, number>, io: DecodeIo): void {
  for (const record of records) {
    count(counts, record.kind as string)
    if (record.malformed !== undefined) count(counts, 'malformed')
    io.stdout(JSON.stringify(record))
  }
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

function summary(counts: ReadonlyMap<string, number>): string {
  if (counts.size === 0) return 'The file holds no packets.'
  return [...counts].map(([name, number]) => `${number} ${name}`).join(', ')
}

function readKeys(path: string | undefined, io: DecodeIo): KeyRing | undefined {
  if (path === undefined) return NO_KEYS
  const file = read(path, io)
  if ('cause' in file) {
    complain(io, `cannot read the key file ${path}: ${file.cause}`, file.remedy)
    return undefined
  }
  if (file.length > MAX_KEY_BYTES) {
    complain(io, `the key file ${path} is larger than 64 MiB`, 'name the file that the key log wrote.')
    return undefined
  }
  const keys = parseKeys(Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString('utf8'))
  if (!('faults' in keys)) return keys
  const count = keys.faults.length
  const shown = keys.faults.slice(0, MAX_FAULTS).map((fault) => `\n  ${fault}`)
  if (count > MAX_FAULTS) shown.push(`\n  and ${count - MAX_FAULTS} more`)
  const cause = `the key file ${path} has ${count === 1 ? 'a fault' : `${count} faults`}:${shown.join('')}`
  complain(io, cause, 'correct these places; docs/decode.md describes the format.')
  return undefined
}

const MAX_FAULTS = 100
const MAX_KEY_BYTES = 64 * 1024 * 1024

/** In the form in which every verb fails. */
function complain(io: DecodeIo, cause: string, remedy: string): void {
  io.stderr(`isthmus decode: ${cause}\n  What to do: ${remedy}`)
}

interface Problem {
  readonly cause: string
  readonly remedy: string
}

function read(path: string, io: DecodeIo): Uint8Array | Problem {
  try {
    return io.readFile(path)
  } catch (error) {
    const { code = '', message } = error as { code?: string; message: string }
    return PROBLEMS[code] ?? { cause: message, remedy: 'make the file readable and try again.' }
  }
}

const PROBLEMS: Readonly<Record<string, Problem>> = {
  ENOENT: { cause: 'there is no such file', remedy: 'check the path.' },
  EACCES: {
    cause: 'permission is denied',
    remedy: 'change its owner or use sudo; files of tcpdump often belong to root.',
  },
  EISDIR: { cause: 'it is a directory', remedy: 'name a file in it.' },
  ERR_FS_FILE_TOO_LARGE: { cause: 'it is too large', remedy: 'split it, for example with editcap -c 100000.' },
}
