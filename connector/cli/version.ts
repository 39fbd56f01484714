import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const PACKAGE = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { version: string }

/** Of this package. */
export const VERSION = PACKAGE.version
