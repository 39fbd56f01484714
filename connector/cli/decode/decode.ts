/** `isthmus decode`: one JSON line per IKE message, ESP packet or keepalive of a capture. See docs/decode.md. */
import { openCapture } from './capture.ts'
import { type KeyRing, NO_KEYS, parseKeys } from './keys.ts'
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
  if (typeof file === 'string') {
    io.stderr(`Cannot read ${args.file}: ${file}`)
    return EXIT_UNREADABLE
  }
  const capture = openCapture(file)
  if ('refused' in capture) {
    io.stderr(`Cannot read ${args.file}: ${capture.refused}. ${capture.remedy}`)
    return EXIT_UNREADABLE
  }
  const decoder = new Decoder(keys)
  const counts = new Map<string, number>()
  for (const frame of capture.frames) {
    const record = decoder.record(frame)
    count(counts, record === undefined ? 'of other protocols' : (record.kind as string))
    if (record?.malformed !== undefined) count(counts, 'malformed')
    if (record !== undefined) io.stdout(JSON.stringify(record))
  }
  io.stderr(summary(counts))
  return EXIT_READ
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
  if (typeof file === 'string') {
    io.stderr(`Cannot read the key file ${path}: ${file}`)
    return undefined
  }
  const keys = parseKeys(Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString('utf8'))
  if (!('faults' in keys)) return keys
  for (const fault of keys.faults.slice(0, MAX_FAULTS)) io.stderr(`${path}: ${fault}`)
  if (keys.faults.length > MAX_FAULTS) io.stderr(`${path}: and ${keys.faults.length - MAX_FAULTS} more faults`)
  io.stderr('Correct the key file; docs/decode.md describes its format.')
  return undefined
}

const MAX_FAULTS = 100

/** The bytes, or cause and remedy. */
function read(path: string, io: DecodeIo): Uint8Array | string {
  try {
    return io.readFile(path)
  } catch (error) {
    return CAUSES[(error as { code?: string }).code ?? ''] ?? `${(error as Error).message}.`
  }
}

const CAUSES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file. Check the path.',
  EACCES: 'permission is denied. Captures of tcpdump often belong to root: change the owner or use sudo.',
  EISDIR: 'it is a directory. Name a file in it.',
  ERR_FS_FILE_TOO_LARGE: 'it is too large. Split it, for example with editcap -c 100000.',
}
