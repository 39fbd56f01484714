/**
 * In place of npm for tests: what `npm ci --omit=dev` installs here, linked from the packages of this checkout, which
 * `npm ci` has brought and checked; in a second instead of half a minute. Takes no other words than install.sh has.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

export const WORDS = 'ci --omit=dev --no-audit --no-fund'
const ROOT = resolve(import.meta.dirname, '../..')

interface Locked {
  readonly dev?: boolean
  readonly bin?: Readonly<Record<string, string>>
}

/** A folder for the front of PATH, with `npm` in it. */
export function putNpm(folder: string): string {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, 'npm')
  writeFileSync(path, `#!/bin/sh\nexec "${process.execPath}" "${import.meta.filename}" "$@"\n`)
  chmodSync(path, 0o755)
  return folder
}

function installInto(folder: string): void {
  const { packages } = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, Locked>>
  }
  const wanted = Object.entries(packages).filter(
    ([path, { dev }]) => path !== '' && dev !== true && existsSync(join(ROOT, path)),
  )
  // What lies within another comes along with it.
  const outer = wanted.map(([path]) => path).filter((path) => path.lastIndexOf('node_modules/') === 0)
  const bin = join(folder, 'node_modules/.bin')
  mkdirSync(bin, { recursive: true })
  for (const path of outer) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    copy(join(ROOT, path), join(folder, path))
  }
  for (const [path, { bin: programs = {} }] of wanted.filter(([path]) => outer.includes(path))) {
    for (const [name, file] of Object.entries(programs)) {
      symlinkSync(join('..', path.slice('node_modules/'.length), file), join(bin, name))
    }
  }
}

function copy(from: string, to: string): void {
  try {
    execFileSync('cp', ['-al', from, to], { stdio: 'pipe' })
  } catch {
    // On another disk.
    execFileSync('cp', ['-a', from, dirname(to)])
  }
}

if (process.argv[1] === import.meta.filename) {
  if (process.argv.slice(2).join(' ') !== WORDS) throw new Error(`not what this stands for: ${process.argv.slice(2)}`)
  installInto(process.cwd())
}
