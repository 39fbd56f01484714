/** Bundles the Lambda entry into one file: `node infra/lambda/build.ts [folder]`. Says how large it is. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const root = resolve(import.meta.dirname, '../..')
/** Packages that are CommonJS ask for Node's own modules by `require`. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

export interface Bundle {
  readonly path: string
  readonly bytes: number
  readonly gzipBytes: number
}

export async function bundle(folder: string): Promise<Bundle> {
  const path = join(folder, 'index.mjs')
  mkdirSync(folder, { recursive: true })
  await build({
    entryPoints: [join(root, 'control/entry/lambda.ts')],
    outfile: path,
    bundle: true,
    minify: true,
    keepNames: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    mainFields: ['module', 'main'],
    // An addition to pg that is not installed.
    external: ['pg-native'],
    banner: { js: REQUIRE },
    logLevel: 'warning',
  })
  const code = readFileSync(path)
  return { path, bytes: code.length, gzipBytes: gzipSync(code).length }
}

if (import.meta.main) {
  const folder = resolve(process.argv[2] ?? join(root, 'dist/lambda'))
  const { path, bytes, gzipBytes } = await bundle(folder)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}\n')
  const kilo = (count: number) => `${Math.round(count / 1024)} KiB`
  process.stdout.write(`${path}: ${kilo(bytes)}, ${kilo(gzipBytes)} compressed\n`)
}
