/** Files that are whole after a crash: the old content or the new, never a mixture. */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Readable by the owner alone. Throws the file system's error; the old file is whole then. */
export function writeAtomically(path: string, content: string): void {
  const temporary = `${path}.new`
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  try {
    const file = openSync(temporary, 'w', 0o600)
    try {
      writeSync(file, content)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  syncDirectory(dirname(path))
}

/** A rename is on disk when its directory is. */
function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}
