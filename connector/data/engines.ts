/** Which engine the packet path runs on. */
import { NodeAes } from '../../wasm/aes-offload.ts'
import { createNodeEngine } from '../../wasm/engine-node.ts'
import { type AesChoice, createEngine, measureAes } from '../../wasm/load.ts'
import type { PacketEngine } from '../../wasm/packet-engine.ts'
import type { EngineChoice } from './commands.ts'
import { nativeAes } from './native-aes.ts'

export interface MadeEngine {
  readonly engine: PacketEngine
  /** `relaxed`, `strict`, or the version of Node. */
  readonly build: string
  readonly why: string
  /** What was measured here, for the engines of other workers; absent where there is nothing to choose. */
  readonly aes?: AesChoice
}

/**
 * Makes the engine and warms it up, before traffic pays for the compiler. Throws when its module cannot be had.
 * @param measured who does AES, if another worker has measured that already
 */
export function makeEngine(choice: EngineChoice, measured?: AesChoice): MadeEngine {
  if (choice === 'node') {
    return { engine: createNodeEngine(), build: process.versions.node, why: 'node:crypto was asked for' }
  }
  const build = choice === 'wasm-strict' ? 'strict' : 'auto'
  let engine: ReturnType<typeof createEngine>
  let aes: AesChoice
  try {
    const hostAes = nativeAes() ?? (() => new NodeAes())
    aes = measured ?? measureAes(build, hostAes)
    engine = createEngine({ build, aes, hostAes })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`the engine could not be loaded: ${reason}; "npm run build" makes it`)
  }
  engine.warmUp()
  return { engine, aes, build: engine.build, why: `${whyBuild(choice, engine.build)}; ${engine.aes.why}` }
}

function whyBuild(choice: EngineChoice, build: string): string {
  if (choice === 'wasm-strict') return 'the build without relaxed SIMD was asked for'
  return build === 'relaxed' ? 'this host has relaxed SIMD' : 'this host has no relaxed SIMD'
}
