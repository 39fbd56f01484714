/** Which engine the packet path runs on. */
import type { PacketEngine } from '../../wasm/packet-engine.ts'
import type { EngineChoice } from './commands.ts'

export interface MadeEngine {
  readonly engine: PacketEngine
  readonly build: string
  readonly why: string
}

/** Makes the engine and warms it up. Rejects when its module cannot be loaded. */
export async function makeEngine(choice: EngineChoice): Promise<MadeEngine> {
  const { createNodeEngine } = await import('../../wasm/engine-node.ts')
  return {
    engine: createNodeEngine(),
    build: `node ${process.versions.node}`,
    why: `${choice}: chosen by ISTHMUS_ENGINE`,
  }
}
