/** `services.yaml` as it is on disk now: read again when it, or a file that it names, has changed. */
import { statSync } from 'node:fs'
import type { ConfigFault } from '../../config/faults.ts'
import { loadServices } from '../../config/services.ts'
import { systemFiles } from '../../config.ts'
import type { ServicesPlan } from '../../core/functions/plan.ts'

export type ServicesNews =
  | { readonly type: 'plan'; readonly plan: ServicesPlan; readonly warnings: readonly ConfigFault[] }
  /** What was in force stays so. */
  | { readonly type: 'faults'; readonly faults: readonly ConfigFault[] }

export class ServicesFile {
  readonly path: string
  /** It was asked for by name: then it is a fault that it is not there. */
  readonly #named: boolean
  #files: readonly string[]
  #marks = ''

  constructor(path: string, named: boolean) {
    this.path = path
    this.#named = named
    this.#files = [path]
  }

  /** Undefined where nothing has changed since the last look. */
  look(): ServicesNews | undefined {
    const marks = marksOf(this.#files)
    if (marks === this.#marks) return undefined
    const first = this.#marks === ''
    const missing = statSync(this.path, { throwIfNoEntry: false }) === undefined
    if (first && missing && !this.#named) {
      this.#marks = marks
      return undefined
    }
    const loaded = loadServices(this.path, systemFiles)
    this.#files = loaded.files
    // Of the files that it names now, as they were at the latest when it was read: a change meanwhile is seen next time.
    this.#marks = marksOf(loaded.files)
    if ('faults' in loaded) return { type: 'faults', faults: loaded.faults }
    return { type: 'plan', plan: loaded.plan, warnings: loaded.warnings }
  }
}

function marksOf(files: readonly string[]): string {
  return files.map((file) => `${file} ${markOf(file)}`).join('\n')
}

function markOf(file: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(file)
    return `${mtimeMs} ${size} ${ino}`
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}
