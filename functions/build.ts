/**
 * Makes the package that functions install: `node functions/build.ts [--size] [folder]`. ECMAScript modules without
 * dependencies, with source maps, declarations and the WebAssembly; `npm pack functions/dist` is all that is left to do.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild'

const root = resolve(import.meta.dirname, '..')
const WASM = join(root, 'wasm/build/stream.strict.wasm')
/** What a Worker carries at most, compressed. */
export const MAX_WORKER_GZIP = 120 * 1024

/** Parts of `ws` are CommonJS and ask for Node's own modules by `require`. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

const common: BuildOptions = {
  bundle: true,
  format: 'esm',
  target: 'es2022',
  sourcemap: true,
  sourcesContent: true,
  legalComments: 'inline',
  metafile: true,
  logLevel: 'warning',
}

/** The module stays a file beside the code, which the bundler of the platform compiles. */
const wasmBeside: Plugin = {
  name: 'wasm-beside',
  setup({ onResolve }) {
    onResolve({ filter: /\.wasm$/ }, () => ({ path: './stream.wasm', external: true }))
  },
}

/** The module's bytes go into the code, so that whatever bundles it again needs no second file. */
const wasmWithin: Plugin = {
  name: 'wasm-within',
  setup({ onLoad }) {
    onLoad({ filter: /functions\/node\/wasm\.ts$/ }, () => ({
      contents: `import bytes from ${JSON.stringify(WASM)}\nexport const compile = () => new WebAssembly.Module(bytes)`,
      resolveDir: root,
    }))
  },
}

interface Part {
  readonly entry: string
  readonly file: string
  readonly options: BuildOptions
}

const within: BuildOptions = { plugins: [wasmWithin], loader: { '.wasm': 'binary' } }
const onNode: BuildOptions = { platform: 'node', banner: { js: REQUIRE }, external: ['bufferutil', 'utf-8-validate'] }

const PARTS: readonly Part[] = [
  { entry: 'functions/entry-workers.ts', file: 'workers.js', options: { plugins: [wasmBeside], minify: true } },
  { entry: 'functions/entry-web.ts', file: 'web.js', options: { ...within, minify: true } },
  { entry: 'functions/entry-node.ts', file: 'node.js', options: { ...within, ...onNode } },
  { entry: 'functions/node/index.ts', file: 'drivers.js', options: { platform: 'node' } },
  { entry: 'functions/handlers/cloudflare.ts', file: 'cloudflare.js', options: {} },
  { entry: 'functions/handlers/lambda.ts', file: 'lambda.js', options: {} },
]

/** Declarations that a program sees, by subpath. */
const TYPES: Readonly<Record<string, string>> = {
  './functions': 'functions/entry-web',
  './functions/node': 'functions/node/index',
  './functions/cloudflare': 'functions/handlers/cloudflare',
  './functions/lambda': 'functions/handlers/lambda',
}

export interface Built {
  readonly folder: string
  /** Of a Worker: code and module. */
  readonly worker: { readonly bytes: number; readonly gzipBytes: number }
}

export async function buildPackage(folder: string): Promise<Built> {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const metafiles: Metafile[] = []
  for (const { entry, file, options } of PARTS) {
    const result = await build({ ...common, ...options, entryPoints: [join(root, entry)], outfile: join(folder, file) })
    metafiles.push(result.metafile!)
  }
  copyFileSync(WASM, join(folder, 'stream.wasm'))
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  copyFileSync(join(root, 'functions/README.md'), join(folder, 'README.md'))
  writeFileSync(join(folder, 'NOTICE'), noticeOf(metafiles))
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest(), undefined, 2)}\n`)
  declare(join(folder, 'types'))
  const parts = ['workers.js', 'stream.wasm'].map((file) => readFileSync(join(folder, file)))
  const worker = {
    bytes: parts.reduce((sum, part) => sum + part.length, 0),
    gzipBytes: parts.reduce((sum, part) => sum + gzipSync(part, { level: 9 }).length, 0),
  }
  return { folder, worker }
}

function manifest(): object {
  const { name, version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const types = (subpath: string) => `./types/${TYPES[subpath]}.d.ts`
  return {
    name,
    version,
    license,
    description: 'Serverless functions reach services on private networks, end-to-end encrypted, without a VPC',
    type: 'module',
    engines: { node: '>=20' },
    sideEffects: false,
    exports: {
      './functions': {
        types: types('./functions'),
        workerd: './workers.js',
        node: './node.js',
        default: './web.js',
      },
      './functions/node': { types: types('./functions/node'), default: './drivers.js' },
      './functions/cloudflare': { types: types('./functions/cloudflare'), default: './cloudflare.js' },
      './functions/lambda': { types: types('./functions/lambda'), default: './lambda.js' },
    },
  }
}

/** Licences of what is bundled, as they stand in the packages. */
function noticeOf(metafiles: readonly Metafile[]): string {
  const inputs = metafiles.flatMap(({ inputs }) => Object.keys(inputs))
  const names = inputs.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1])
  const packages = [...new Set(names.filter((name) => name !== undefined))].sort()
  const texts = packages.map((name) => {
    const text = readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8').trim()
    return `${name}\n${'='.repeat(name.length)}\n${text}\n`
  })
  return `This package contains the following ones.\n\n${texts.join('\n')}`
}

/** Writes the declarations of the entries, and of what they show of others. */
function declare(folder: string): void {
  const all = mkdtempSync(join(tmpdir(), 'isthmus-types-'))
  try {
    emitDeclarations(all)
    const done = new Set<string>()
    const wanted = Object.values(TYPES).map((path) => join(all, `${path}.d.ts`))
    for (let path = wanted.pop(); path !== undefined; path = wanted.pop()) {
      if (done.has(path)) continue
      done.add(path)
      const text = readFileSync(path, 'utf8')
      for (const [, target] of text.matchAll(/(?:from|import\()\s*['"](\.[^'"]+)\.ts['"]/g)) {
        wanted.push(join(dirname(path), `${target}.d.ts`))
      }
      const target = join(folder, relative(all, path))
      mkdirSync(dirname(target), { recursive: true })
      writeFileSync(target, text.replace(/(['"]\.[^'"]+)\.ts(['"])/g, '$1.js$2'))
    }
  } finally {
    rmSync(all, { recursive: true })
  }
}

function emitDeclarations(folder: string): void {
  const config = join(folder, 'tsconfig.json')
  const options = { noEmit: false, declaration: true, emitDeclarationOnly: true, outDir: folder, rootDir: root }
  const entries = [
    ...Object.values(TYPES).map((path) => `${path}.ts`),
    'functions/runtime.d.ts',
    'wasm/webassembly.d.ts',
  ]
  const compilerOptions = { ...options, typeRoots: [join(root, 'node_modules/@types')] }
  const files = entries.map((path) => join(root, path))
  writeFileSync(config, JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions, files, include: [] }))
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', config], { stdio: 'inherit' })
}

if (import.meta.main) {
  const [option, ...more] = process.argv.slice(2)
  const sized = option === '--size'
  const folder = resolve((sized ? more[0] : option) ?? join(root, 'functions/dist'))
  const { worker } = await buildPackage(folder)
  process.stdout.write(`${folder}: made; npm pack ${relative(process.cwd(), folder) || '.'} packs it\n`)
  const kilo = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`
  if (sized) {
    process.stdout.write(
      `a Worker carries ${kilo(worker.bytes)}, ${kilo(worker.gzipBytes)} compressed, of at most ${kilo(MAX_WORKER_GZIP)}\n`,
    )
  }
}
