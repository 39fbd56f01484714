/** Everything that one engine holds. */
import { ICMP_PER_SECOND } from '../abi.ts'
import type { TunnelHandle } from '../packet-engine.ts'
import { Coalescer } from './coalesce.ts'
import { ForwardingTable } from './fib.ts'
import { createMemory, type EngineMemory } from './memory.ts'
import { RateLimit } from './rate.ts'
import { Reassembly } from './reassembly.ts'
import { Tables } from './tables.ts'
import { Tally } from './tally.ts'

const UNKNOWN_SPI_PER_SECOND = 10

export interface EngineState {
  readonly memory: EngineMemory
  readonly tables: Tables
  readonly routes: ForwardingTable
  readonly reassembly: Reassembly
  readonly icmpRate: RateLimit
  readonly unknownSpiRate: RateLimit
  /** When each tunnel's need of an SA was last reported. */
  readonly noSaAt: Map<TunnelHandle, number>
  readonly tally: Tally
  share: { readonly worker: number; readonly workers: number }
  /** Sources of answers that go into a tunnel: at most one of each family. */
  own: readonly Uint8Array[]
  /** The tunnel by which the packet at hand came, or undefined for one from the LAN. */
  via: TunnelHandle | undefined
  readonly coalescer: Coalescer
  /** The super-packet that waits for room, and how many of its segments of `size` payload bytes are sealed. */
  begun: { readonly slot: number; sealed: number; size: number } | undefined
}

export function createState(): EngineState {
  const memory = createMemory()
  return {
    memory,
    tables: new Tables(),
    routes: new ForwardingTable(),
    reassembly: new Reassembly(),
    icmpRate: new RateLimit(ICMP_PER_SECOND),
    unknownSpiRate: new RateLimit(UNKNOWN_SPI_PER_SECOND),
    noSaAt: new Map(),
    tally: new Tally(),
    share: { worker: 0, workers: 1 },
    own: [],
    via: undefined,
    coalescer: new Coalescer(memory.lanTx),
    begun: undefined,
  }
}
