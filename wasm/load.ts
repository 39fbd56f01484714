/** Reads the built engine from `wasm/build/`. Apart from engine.ts, so that that runs where there are no files. */
import { readFileSync } from 'node:fs'
import { type Capacity, instantiateEngine, type WasmEngine } from './engine.ts'

export type EngineBuild = 'relaxed' | 'strict'

export interface EngineOptions {
  /** `relaxed` needs a host with relaxed SIMD; `auto`, the default, takes it where there is one. */
  readonly build?: EngineBuild | 'auto'
  /** Default: `large`. */
  readonly capacity?: Capacity
}

/**
 * A new engine with empty tables. Synchronous. Of its address space, memory is touched as it is used.
 * @throws if the modules are not built (`npm run build`) or the host cannot run the wanted one
 */
export function createEngine(options: EngineOptions = {}): WasmEngine {
  const { build = 'auto', capacity = 'large' } = options
  if (build !== 'auto') return instantiateEngine(new WebAssembly.Module(moduleBytes(build)), build, capacity)
  const relaxed = moduleBytes('relaxed')
  return WebAssembly.validate(relaxed)
    ? instantiateEngine(new WebAssembly.Module(relaxed), 'relaxed', capacity)
    : instantiateEngine(new WebAssembly.Module(moduleBytes('strict')), 'strict', capacity)
}

function moduleBytes(build: EngineBuild): Uint8Array {
  return readFileSync(new URL(`./build/engine.${build}.wasm`, import.meta.url))
}
