/** The demo's function: the example Worker, bundled as for deployment, in a local workerd that reaches only the control plane. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Spawned, World } from '../../io/namespaces.ts'
import { FUNCTION } from './sites.ts'

const ROOT = join(import.meta.dirname, '../../..')
const SOURCE = join(ROOT, 'functions/examples/worker-order/src/index.ts')
const PORT = 8787
export const FUNCTION_URL = `http://127.0.0.1:${PORT}`
const READY_MS = 20_000

/** Resolves when it serves at FUNCTION_URL, within its namespace. `token` is the one word that it is configured with. */
export async function startFunction(world: World, directory: string, token: string): Promise<Spawned> {
  const folder = join(directory, 'function')
  mkdirSync(folder)
  await bundle(folder)
  writeFileSync(join(folder, 'config.capnp'), configOf(readdirSync(folder)))
  const vector = [workerd(), 'serve', '--control-fd=1', join(folder, 'config.capnp')]
  // The binding takes it from the environment: it is in no file, and in no list of processes.
  const running = world.spawn(FUNCTION, vector, { env: { ISTHMUS_TOKEN: token } })
  await running.waitFor(/"event":"listen"/, READY_MS)
  return running
}

/** As wrangler bundles it: one module, and the WebAssembly beside it. */
async function bundle(folder: string): Promise<void> {
  const { build } = await import('esbuild')
  await build({
    entryPoints: { worker: SOURCE },
    outdir: folder,
    bundle: true,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'import'],
    loader: { '.wasm': 'copy' },
    assetNames: '[name]',
    logLevel: 'silent',
  })
}

function configOf(files: readonly string[]): string {
  const modules = files.map((name) => {
    const kind = name.endsWith('.wasm') ? 'wasm' : 'esModule'
    return `(name = "${name}", ${kind} = embed "${name}")`
  })
  // The main module is the first one.
  modules.sort((left) => (left.includes('worker.js') ? -1 : 1))
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker), (name = "internet", network = (allow = ["public", "private", "local"]))],
  sockets = [(name = "http", address = "127.0.0.1:${PORT}", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [${modules.join(', ')}],
  bindings = [
    (name = "ISTHMUS_TOKEN", fromEnvironment = "ISTHMUS_TOKEN"),
    (name = "SITE", text = "hq"),
    (name = "ERP", text = "http://erp.internal:8000"),
  ],
  compatibilityDate = "2026-09-01",
);
`
}

/** The binary of wrangler's workerd; its package finds the one for this platform. */
function workerd(): string {
  const wrangler = createRequire(join(ROOT, 'package.json')).resolve('wrangler/package.json')
  const path = (createRequire(wrangler)('workerd') as { default?: unknown }).default
  if (typeof path === 'string' && existsSync(path)) return path
  throw new Error('workerd is not installed for this platform')
}
