/** Reads the built engine from `wasm/build/`. Apart from engine.ts, so that that runs where there are no files. */
import { readFileSync } from 'node:fs'
import { type AesChoice, chooseAes, fixedAes } from './aes-choice.ts'
import { NodeAes } from './aes-offload.ts'
import { type Capacity, instantiateEngine, type WasmEngine } from './engine.ts'
import type { HostAes } from './engine-offload.ts'

export type { AesChoice } from './aes-choice.ts'
export type EngineBuild = 'relaxed' | 'strict'

export interface EngineOptions {
  /** `relaxed` needs a host with relaxed SIMD; `auto`, the default, takes it where there is one. */
  readonly build?: EngineBuild | 'auto'
  /** Default: `large`. */
  readonly capacity?: Capacity
  /**
   * Who does AES: `wasm` the engine itself, which is the default, `offload` the host, a call for each key in a batch;
   * `auto` measures these, and the host for whole packets of any length, once in the life of the thread; or what was
   * measured before, such as by another thread.
   */
  readonly aes?: 'auto' | 'wasm' | 'offload' | AesChoice
  /** Makes what AES is offloaded to. Default: node:crypto. */
  readonly hostAes?: () => HostAes
}

/**
 * A new engine with empty tables. Synchronous. Of its address space, memory is touched as it is used.
 * @throws if the modules are not built (`npm run build`) or the host cannot run the wanted one
 */
export function createEngine(options: EngineOptions = {}): WasmEngine {
  const { capacity = 'large', aes = 'wasm', hostAes = () => new NodeAes() } = options
  const { module, build } = loadModule(options.build ?? 'auto')
  const engine = instantiateEngine(module, build, capacity)
  if (aes === 'wasm') return engine
  if (aes === 'auto') engine.offloadAes(hostAes(), measuredAes(module, build, hostAes))
  else engine.offloadAes(hostAes(), aes === 'offload' ? fixedAes('offload') : aes)
  return engine
}

/** Measures who is to do AES with this build: survives structured cloning, and is what `aes` of other engines takes. */
export function measureAes(
  wanted: EngineBuild | 'auto' = 'auto',
  hostAes: () => HostAes = () => new NodeAes(),
): AesChoice {
  const { module, build } = loadModule(wanted)
  return measuredAes(module, build, hostAes)
}

function loadModule(wanted: EngineBuild | 'auto'): { module: WebAssembly.Module; build: EngineBuild } {
  if (wanted !== 'auto') return { module: new WebAssembly.Module(moduleBytes(wanted)), build: wanted }
  const relaxed = moduleBytes('relaxed')
  return WebAssembly.validate(relaxed)
    ? { module: new WebAssembly.Module(relaxed), build: 'relaxed' }
    : { module: new WebAssembly.Module(moduleBytes('strict')), build: 'strict' }
}

const measured = new Map<EngineBuild, AesChoice>()

function measuredAes(module: WebAssembly.Module, build: EngineBuild, hostAes: () => HostAes): AesChoice {
  const known = measured.get(build)
  if (known !== undefined) return known
  const choice = chooseAes(() => instantiateEngine(module, build, 'small'), hostAes)
  measured.set(build, choice)
  return choice
}

function moduleBytes(build: EngineBuild): Uint8Array {
  return readFileSync(new URL(`./build/engine.${build}.wasm`, import.meta.url))
}
