/**
 * Builds the modules from wasm/assembly/: `node wasm/build.ts`.
 *
 * Of each two come out, such as wasm/build/engine.relaxed.wasm (relaxed SIMD) and engine.strict.wasm (for hosts without
 * it). Each carries a digest of what it was made from in a custom section, so that a module which is up to date is left
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

/** The packet engine, and the AEAD of sessions. */
export type ModuleName = 'engine' | 'stream'
export const MODULES: readonly ModuleName[] = ['engine', 'stream']

interface ModulePlan {
  readonly entry: string
  /** Pages of 64 KB that its memory has at most. */
  readonly maxPages: number
}

/** That of sessions has room for 60,000 keys. */
const PLANS: Readonly<Record<ModuleName, ModulePlan>> = {
  engine: { entry: 'wasm/assembly/index.ts', maxPages: MAX_PAGES },
  stream: { entry: 'wasm/assembly/stream.ts', maxPages: 64 },
}

const DIGEST_SECTION = 'sources'

export interface BuildOptions {
  /** Folder that holds asconfig.json and wasm/; the project's own by default. */
  readonly root?: string
  /** Default: both. */
  readonly modules?: readonly ModuleName[]
  /** Receives progress and the compiler's messages. */
  readonly log?: (text: string) => void
}

/** A build that failed; the compiler's own messages have gone to `log`. */
export class BuildError extends Error {
  override readonly name = 'BuildError'
}

/** Builds what is missing or out of date; returns what was, such as `engine.strict`. Throws `BuildError`. */
export async function build(options: BuildOptions = {}): Promise<string[]> {
  const root = options.root ?? fileURLToPath(new URL('..', import.meta.url))
  const log = options.log ?? (() => {})
  const digest = sourceDigest(root)
  const built: string[] = []
  for (const module of options.modules ?? MODULES) {
    for (const target of TARGETS) {
      const path = modulePath(target, root, module)
      if (recordedDigest(path) === digest) continue
      const name = `${module}.${target}`
      log(`building ${name}\n`)
      const bytes = boundMemory(await compile(root, module, target, log), PLANS[module].maxPages)
      requireNoImports(bytes, name)
      putInPlace(path, Buffer.concat([bytes, customSection(DIGEST_SECTION, Buffer.from(digest))]))
      built.push(name)
    }
  }
  return built
}

/** Where a module lies. */
export function modulePath(target: Target, root: string, module: ModuleName = 'engine'): string {
  return join(root, 'wasm/build', `${module}.${target}.wasm`)
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

async function compile(
  root: string,
  module: ModuleName,
  target: Target,
  log: (text: string) => void,
): Promise<Uint8Array> {
  // Loaded here: most starts find the modules up to date and need no compiler.
  const { main } = await import('assemblyscript/asc')
  let binary: Uint8Array | undefined
  const write = { write: (chunk: string | Uint8Array) => log(String(chunk)) }
  const { error } = await main([PLANS[module].entry, '--baseDir', root, '--target', target, '--outFile', 'out.wasm'], {
    stdout: write,
    stderr: write,
    writeFile: (_name: string, contents: string | Uint8Array) => {
      if (typeof contents !== 'string') binary = contents
    },
  })
  if (error || !binary) throw new BuildError(`${module}.${target} does not compile`, { cause: error ?? undefined })
  return binary
}

function requireNoImports(bytes: Uint8Array<ArrayBuffer>, module: string): void {
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(bytes))
  if (imports.length === 0) return
  const names = imports.map((item) => `${item.module}.${item.name}`).join(', ')
  throw new BuildError(`${module} imports ${names}; it must import nothing`)
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
