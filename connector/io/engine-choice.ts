/** Which engine moves packets, by ISTHMUS_ENGINE. */
import type { EngineChoice } from '../data/commands.ts'
import { EXIT, StartFailure } from '../handle.ts'

/** Throws a StartFailure for one that there is not. */
export function engineChoice(text: string | undefined): EngineChoice {
  if (text === undefined || text === '') return 'wasm'
  if (text === 'wasm' || text === 'wasm-strict' || text === 'node') return text
  throw new StartFailure(
    'engine',
    `ISTHMUS_ENGINE is "${text}", which is no engine.`,
    'Set it to wasm, wasm-strict or node, or leave it out.',
    EXIT.usage,
  )
}
