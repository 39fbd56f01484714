/** Probes of a path: ESP dummy packets (RFC 4303 section 2.6) with content, and zeros up to the size asked for. */
import { innerMtu } from './choose.ts'
import { outerEspLength } from './esp.ts'
import { sealDummy } from './seal-path.ts'
import type { EngineState } from './state.ts'
import type { OutboundState } from './tables.ts'

/** False where no SA of the tunnel carries anything. */
export function sealProbe(
  engine: EngineState,
  tunnel: number,
  payload: Uint8Array,
  size: number,
  now: number,
): boolean {
  const state = probeSa(engine, tunnel)
  if (state === undefined) return false
  const content = new Uint8Array(size)
  content.set(payload)
  return sealDummy(engine, state, content, now)
}

/** Bytes of the whole packet on the wire around a probe of `size`. */
export function outerLength(engine: EngineState, tunnel: number, size: number): number | undefined {
  const state = probeSa(engine, tunnel)
  const endpoint = state && engine.tables.endpoint(state.sa.endpoint)
  if (endpoint === undefined) return undefined
  const headers = (endpoint.remote.address.includes(':') ? 40 : 20) + (endpoint.encapsulation === 'udp' ? 8 : 0)
  return headers + outerEspLength(size)
}

function probeSa({ tables }: EngineState, handle: number): OutboundState | undefined {
  const tunnel = tables.tunnel(handle)
  return tunnel?.sas
    .map((sa) => tables.outbound(sa))
    .find((state) => !state.stopped && innerMtu(tables, state, tunnel) > 0)
}
