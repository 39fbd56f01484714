/** The walk of docs/map.md: from probes that nobody answers to packets that leave by another tunnel. To be read. */
import { expect, test } from 'vitest'
import { PathSelector } from '../../connector/core/paths/selector.ts'
import type { PathEvent, PathInput, TunnelGroup } from '../../connector/core/paths/types.ts'
import type { ProbeSettings } from '../../connector/core/probe/machine.ts'
import { ProbeWorld } from '../../connector/core/probe/testing.ts'
import { createEngine } from '../../wasm/load.ts'
import { ipv4, udp } from '../../wasm/testing/packets.ts'
import { openTunnels } from '../../wasm/testing/steering-fixture.ts'

const FAST: ProbeSettings = { intervalMs: 50, multiplier: 4, patient: true }
const STEP_MS = 5
/** In the order of their group; the number of each in the engine. */
const NAMES = ['fiber', 'lte'] as const
const GROUPS: readonly TunnelGroup[] = [{ tunnels: NAMES, isSpread: false, prefixes: 1 }]

test('a path that is cut without a word is left within 300 ms, and taken again when it has been well', () => {
  const site = new Site()

  // Both paths answer, so the first tunnel of the group carries everything.
  site.pass(1_000)
  expect(site.reported('fiber')?.state).toBe('up')
  expect(site.tunnelOfAPacket()).toBe('fiber')

  // A cable is pulled. IKE would need many seconds to notice; four probes in a row are missed.
  site.paths.fiber.both({ cut: true })
  site.pass(300)
  expect(site.reported('fiber')?.state).toBe('down')
  expect(site.tunnelOfAPacket()).toBe('lte')
  expect(site.events).toMatchObject([{ code: 'failover', connection: 'fiber', to: ['lte'], cause: 'probe' }])
  expect((site.events[0] as { ms: number }).ms).toBeLessThan(300)

  // The cable is back. The path answers at once, and is used when it has done so for two seconds.
  site.paths.fiber.both({ cut: false })
  site.pass(1_000)
  expect(site.reported('fiber')?.state).toBe('up')
  expect(site.tunnelOfAPacket()).toBe('lte')
  site.pass(2_000)
  expect(site.tunnelOfAPacket()).toBe('fiber')
  expect(site.events.map(({ code }) => code)).toEqual(['failover', 'back'])
})

/** What `connector/io/paths/paths.ts` does, with one engine, and paths that exist in virtual time only. */
class Site {
  readonly paths = { fiber: new ProbeWorld(1), lte: new ProbeWorld(2) }
  readonly events: PathEvent[] = []
  readonly #engine = createEngine({ capacity: 'small' })
  readonly #tunnels = openTunnels(this.#engine, NAMES.length)
  readonly #selector = new PathSelector({ groups: () => GROUPS })
  readonly #told = { fiber: 0, lte: 0 }

  constructor() {
    this.#give({ type: 'plan', connections: NAMES.map((name) => ({ name, isRouted: false })), classes: [] })
    for (const connection of NAMES) {
      this.#give({ type: 'tunnel', connection, sendable: true })
      const { [connection]: path } = this.paths
      for (const end of [path.a, path.b]) path.configure(end, FAST)
    }
  }

  get now(): number {
    return this.paths.fiber.now
  }

  reported(connection: (typeof NAMES)[number]) {
    return this.paths[connection].a.last
  }

  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      for (const connection of NAMES) {
        this.paths[connection].run(STEP_MS)
        for (const { report } of this.paths[connection].a.reports.slice(this.#told[connection])) {
          this.#told[connection]++
          this.#give({ type: 'path', connection, report })
        }
      }
      if ((this.#selector.deadline() ?? this.now + 1) <= this.now) this.#give({ type: 'time' })
    }
  }

  /** Seals one, and says by which tunnel it would leave. */
  tunnelOfAPacket(): string | undefined {
    const packet = ipv4(udp(100))
    this.#engine.lanRx.slot(0).set(packet)
    this.#engine.lanRx.length[0] = packet.length
    this.#engine.sealBatch(0, 1, this.now)
    return NAMES[this.#engine.wireTx.endpoint[0]!]
  }

  #give(input: PathInput): void {
    this.#selector.handle(input, this.now)
    for (let effect = this.#selector.poll(); effect !== undefined; effect = this.#selector.poll()) {
      if (effect.type === 'event') this.events.push(effect.event)
      // The engine first, then the word that it is done, then what was sent meanwhile.
      if (effect.type === 'passing') {
        this.#tunnels.set(handleOf(effect.connection), { down: !effect.passing })
        this.#give({ type: 'moved', connection: effect.connection })
      }
      if (effect.type === 'count') {
        const { packets: sent } = this.#engine.counters(this.#tunnels.sas[handleOf(effect.connection)]!)!
        this.#give({ type: 'carried', connection: effect.connection, carried: { sent, asymmetric: 0 } })
      }
    }
  }
}

function handleOf(connection: string): number {
  return NAMES.indexOf(connection as (typeof NAMES)[number])
}
