/** What must survive a crash: a lock, and a note of what to clean up. Both in the plan's state directory. */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type Prefix, parsePrefix } from '../../protocol/net.ts'
import { EXIT, StartFailure } from '../handle.ts'
import { LOCK_EXCLUSIVE_NOW, libc } from '../io/ffi.ts'
import { writeAtomically } from './files.ts'

const LOCK_FILE = 'lock'
const NOTES_FILE = 'network.json'
const NOTES_VERSION = 1

/** The network state that this connector put into the kernel. */
export interface Notes {
  readonly device: string
  readonly routes: readonly Prefix[]
  /** There may be learned routes too, which are too many and too quick to be noted. */
  readonly learned?: boolean
}

export interface StateStore {
  /** What the last connector noted and did not take back, or undefined. Unreadable notes count as none. */
  read(): Notes | undefined
  /** Atomic: after a crash there are the old notes or the new ones. */
  write(notes: Notes): void
  clear(): void
  /** Gives up the lock. Idempotent. */
  close(): void
}

/**
 * Makes the directory and takes its lock, which the kernel gives back when the process ends in whatever way.
 * Throws a StartFailure when another connector has it, or the directory cannot be used.
 */
export function openState(directory: string): StateStore {
  let lock: number
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    lock = openSync(join(directory, LOCK_FILE), 'a+', 0o600)
  } catch (error) {
    throw new StartFailure(
      'state-directory',
      `The state directory ${directory} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      'Make it writable for this user, or configure another.',
      EXIT.unreadableFile,
    )
  }
  if (libc().flock(lock, LOCK_EXCLUSIVE_NOW) < 0) {
    closeSync(lock)
    throw alreadyRunning(directory)
  }
  ftruncateSync(lock)
  writeSync(lock, `${process.pid}\n`)
  return new DirectoryStore(directory, lock)
}

function alreadyRunning(directory: string): StartFailure {
  const pid = readFileSync(join(directory, LOCK_FILE), 'utf8').trim()
  return new StartFailure(
    'already-running',
    `Another connector uses the state directory ${directory}${/^\d+$/.test(pid) ? ` (pid ${pid})` : ''}.`,
    'Stop it with "isthmus down", or give this one a state directory of its own.',
    EXIT.portBusy,
  )
}

class DirectoryStore implements StateStore {
  readonly #directory: string
  #lock: number | undefined

  constructor(directory: string, lock: number) {
    this.#directory = directory
    this.#lock = lock
  }

  read(): Notes | undefined {
    try {
      return parseNotes(JSON.parse(readFileSync(join(this.#directory, NOTES_FILE), 'utf8')))
    } catch {
      return undefined
    }
  }

  write(notes: Notes): void {
    const content = JSON.stringify({ version: NOTES_VERSION, ...notes })
    writeAtomically(join(this.#directory, NOTES_FILE), `${content}\n`)
  }

  clear(): void {
    rmSync(join(this.#directory, NOTES_FILE), { force: true })
  }

  close(): void {
    if (this.#lock !== undefined) closeSync(this.#lock)
    this.#lock = undefined
  }
}

/** Total: whatever stands in the file, it names a device and prefixes, or it is no note. */
function parseNotes(value: unknown): Notes | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { version, device, routes, learned } = value as Record<string, unknown>
  if (version !== NOTES_VERSION || typeof device !== 'string' || !/^[^\s/]{1,15}$/.test(device)) return undefined
  if (!Array.isArray(routes)) return undefined
  const prefixes: Prefix[] = []
  for (const route of routes) {
    const parsed = typeof route === 'string' ? parsePrefix(route) : undefined
    if (parsed !== undefined) prefixes.push(parsed)
  }
  return { device, routes: prefixes, ...(learned === true ? { learned } : {}) }
}
