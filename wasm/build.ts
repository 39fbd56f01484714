/**
 * Builds the engine from wasm/assembly/: `node wasm/build.ts`.
 *
 * Two modules come out, wasm/build/engine.relaxed.wasm (relaxed SIMD) and engine.strict.wasm (for hosts without it).
 * Each carries a digest of what it was made from in a custom section, so that a module which is up to date is left
 * alone, and is put in place by a rename, so that builds may run side by side. Messages go to stderr.
 */
import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { argv, exit, stderr } from 'node:process'
import { fileURLToPath } from 'node:url'
import { MAX_PAGES } from './abi.ts'
import { boundMemory, customSection } from './module-bytes.ts'

export type Target = 'relaxed' | 'strict'
export const TARGETS: readonly Target[] = ['relaxed', 'strict']

const DIGEST_SECTION = 'sources'

export interface BuildOptions {
  /** Folder that holds asconfig.json and wasm/; the project's own by default. */
  readonly root?: string
  /** Receives progress and the compiler's messages. */
  readonly log?: (text: string) => void
}

/** A build that failed; the compiler's own messages have gone to `log`. */
export class BuildError extends Error {
  override readonly name = 'BuildError'
}

/** Builds what is missing or out of date; returns the targets that were. Throws `BuildError`. */
export async function build(options: BuildOptions = {}): Promise<Target[]> {
  const root = options.root ?? fileURLToPath(new URL('..', import.meta.url))
  const log = options.log ?? (() => {})
  const digest = sourceDigest(root)
  const built: Target[] = []
  for (const target of TARGETS) {
    const path = modulePath(target, root)
    if (recordedDigest(path) === digest) continue
    log(`building ${target} engine\n`)
    const bytes = boundMemory(await compileTarget(root, target, log), MAX_PAGES)
    requireNoImports(bytes, target)
    putInPlace(path, Buffer.concat([bytes, customSection(DIGEST_SECTION, Buffer.from(digest))]))
    built.push(target)
  }
  return built
}

/** Where the module of a target lies. */
export function modulePath(target: Target, root: string): string {
  return join(root, 'wasm/build', `engine.${target}.wasm`)
}

function sourceDigest(root: string): string {
  const { version } = JSON.parse(readFileSync(new URL(import.meta.resolve('assemblyscript/package.json')), 'utf8'))
  const hash = createHash('sha256').update(version)
  const sources = readdirSync(join(root, 'wasm/assembly'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `wasm/assembly/${name}`)
  for (const name of ['asconfig.json', 'wasm/abi.ts', ...sources.sort()]) {
    hash.update(`\0${name}\0`).update(readFileSync(join(root, name)))
  }
  for (const name of ['build.ts', 'module-bytes.ts']) hash.update(readFileSync(new URL(name, import.meta.url)))
  return hash.digest('hex')
}

function recordedDigest(path: string): string | undefined {
  try {
    const [section] = WebAssembly.Module.customSections(new WebAssembly.Module(readFileSync(path)), DIGEST_SECTION)
    return section && Buffer.from(section).toString()
  } catch {
    // Absent, cut short, or of a kind that this host does not load: to be built.
    return undefined
  }
}

async function compileTarget(root: string, target: Target, log: (text: string) => void): Promise<Uint8Array> {
  // Loaded here: most starts find the modules up to date and need no compiler.
  const { main: compile } = await import('assemblyscript/asc')
  let binary: Uint8Array | undefined
  const write = { write: (chunk: string | Uint8Array) => log(String(chunk)) }
  const { error } = await compile(['--baseDir', root, '--target', target, '--outFile', 'engine.wasm'], {
    stdout: write,
    stderr: write,
    writeFile: (_name: string, contents: string | Uint8Array) => {
      if (typeof contents !== 'string') binary = contents
    },
  })
  if (error || !binary) throw new BuildError(`the ${target} engine does not compile`, { cause: error ?? undefined })
  return binary
}

function requireNoImports(bytes: Uint8Array<ArrayBuffer>, target: Target): void {
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(bytes))
  if (imports.length === 0) return
  const names = imports.map(({ module, name }) => `${module}.${name}`).join(', ')
  throw new BuildError(`the ${target} engine imports ${names}; it must import nothing`)
}

function putInPlace(path: string, bytes: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  const temporary = `${path}.${randomUUID()}`
  writeFileSync(temporary, bytes)
  renameSync(temporary, path)
}

// Not `import.meta.main`, which Node 22 lacks.
if (argv[1] !== undefined && realpathSync(argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await build({ log: (text) => stderr.write(text) })
  } catch (error) {
    if (!(error instanceof BuildError)) throw error
    stderr.write(`${argv[1]}: ${error.message}\n`)
    exit(1)
  }
}
