/** What the engine counts of tunnels, as far as it has grown since it was last told. */
import type { TunnelCounts, TunnelSetting } from './commands.ts'

/** Packets since the tunnel was made. */
export interface TunnelCounterSource {
  tunnelCounters(tunnel: number): Omit<TunnelCounts, 'tunnel'>
}

export class TunnelGrowth {
  /** Of those that count at all, as last told. */
  readonly #told = new Map<number, Omit<TunnelCounts, 'tunnel'>>()

  set({ handle, transit = false, reversePath = 'off' }: TunnelSetting): void {
    if (!this.#told.has(handle) && (transit || reversePath !== 'off')) {
      this.#told.set(handle, { transit: 0, asymmetric: 0 })
    }
  }

  remove(handle: number): void {
    this.#told.delete(handle)
  }

  take(engine: TunnelCounterSource): TunnelCounts[] {
    const grown: TunnelCounts[] = []
    for (const [tunnel, told] of this.#told) {
      const { transit, asymmetric } = engine.tunnelCounters(tunnel)
      if (transit === told.transit && asymmetric === told.asymmetric) continue
      this.#told.set(tunnel, { transit, asymmetric })
      grown.push({ tunnel, transit: transit - told.transit, asymmetric: asymmetric - told.asymmetric })
    }
    return grown
  }
}
