/** What a demo could leave behind, or outlive, and how it does not. */
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Followed by the owner's process id, so that a later demo knows whose folder it is. */
const PREFIX = 'isthmus-demo-'
const LAUNCHER = 'isthmus.cjs'
const WATCH_MS = 500

/** Makes this demo's folder, having removed ours of demos that were killed. */
export function makeFolder(): string {
  removeStaleFolders(tmpdir())
  return mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`))
}

/** Removes the folders in `parent` that belong to this user and whose demo no longer runs. */
export function removeStaleFolders(parent: string): void {
  for (const name of readdirSync(parent)) {
    const owner = name.startsWith(PREFIX) ? name.slice(PREFIX.length).match(/^(\d+)-/)?.[1] : undefined
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue
    const folder = join(parent, name)
    try {
      if (lstatSync(folder).uid === process.getuid?.()) rmSync(folder, { recursive: true, force: true })
    } catch {
      // Another demo that starts just now removes it as well.
    }
  }
}

/**
 * Calls `onGone` once when the launcher that started this process was killed: it could not pass that on. Returns what
 * ends the watch.
 */
export function watchLauncher(onGone: () => void): () => void {
  const launcher = process.ppid
  if (!isLauncher(launcher)) return () => undefined
  const timer = setInterval(() => {
    if (process.ppid === launcher) return
    clearInterval(timer)
    onGone()
  }, WATCH_MS)
  return () => clearInterval(timer)
}

function isLauncher(pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return words.some((word) => word.endsWith(LAUNCHER))
  } catch {
    return false
  }
}
