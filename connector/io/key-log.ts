/** The debug file of keys: JSON Lines, readable by its owner alone, appended to. */
import { closeSync, fchmodSync, openSync, writeSync } from 'node:fs'
import type { KeyLogEntry } from '../core/ike/types.ts'
import { EXIT, StartFailure } from '../handle.ts'

export class KeyLog {
  readonly #fd: number

  /** Throws a StartFailure when the file cannot be opened. */
  constructor(path: string) {
    try {
      this.#fd = openSync(path, 'a', 0o600)
      fchmodSync(this.#fd, 0o600)
    } catch (error) {
      throw new StartFailure(
        'key-log',
        `The key log ${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`,
        'Choose another file, or leave key_log out.',
        EXIT.unreadableFile,
      )
    }
  }

  write(entry: KeyLogEntry): void {
    writeSync(this.#fd, `${JSON.stringify(entry)}\n`)
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** `0x` and eight hex digits. */
export function formatSpi(spi: number): string {
  return `0x${(spi >>> 0).toString(16).padStart(8, '0')}`
}
