/** Reads the built AEAD of sessions from `wasm/build/`. Apart from stream-aead.ts, which runs where there are no files. */
import { readFileSync } from 'node:fs'
import { createStreamAead, type StreamAead } from './stream-aead.ts'
import { nodeHostAead } from './stream-host-node.ts'

export type StreamBuild = 'relaxed' | 'strict'

let shared: StreamAead | undefined

/**
 * The one of this thread; with relaxed SIMD where the host has it. Synchronous.
 * @throws if the modules are not built (`npm run build`)
 */
export function loadStreamAead(): StreamAead {
  shared ??= createStreamAead(loadStreamModule(), nodeHostAead)
  return shared
}

/** @throws as `loadStreamAead`, and where the host cannot run the wanted build */
export function loadStreamModule(build: StreamBuild | 'auto' = 'auto'): WebAssembly.Module {
  if (build !== 'auto') return new WebAssembly.Module(moduleBytes(build))
  const relaxed = moduleBytes('relaxed')
  return new WebAssembly.Module(WebAssembly.validate(relaxed) ? relaxed : moduleBytes('strict'))
}

function moduleBytes(build: StreamBuild): Uint8Array {
  return readFileSync(new URL(`./build/stream.${build}.wasm`, import.meta.url))
}
