/** In IKE's place: Child SAs with fixed keys, installed at once, to test the packet path by itself. */

import type { ChildSaSpec, IkeEffect, IkeInput } from '../../connector/core/ike/types.ts'
import type { IkeMachine } from '../../connector/io/connector.ts'
import type { ConnectorPlan } from '../../connector/plan.ts'
import type { Address } from '../../protocol/net.ts'

export interface StaticOptions {
  /** 0 or 1: which end this is. */
  readonly side: 0 | 1
  /** Absent: no Child SA at all. */
  readonly suite: ChildSaSpec['suite'] | undefined
  readonly encapsulation: 'udp' | 'esp'
  /**
   * Makes the children again with new keys, and moves over, every so many milliseconds. Both ends do so by the time
   * of day, so that a slow start of one does not put them out of step.
   */
  readonly rekeyMs?: number
}

/** Generations go round here, so that SPIs and identifiers stay small. */
const GENERATIONS = 1 << 20
const KEY_BYTES = { 'aes-128-gcm': 16, 'aes-256-gcm': 32, 'chacha20-poly1305': 32 } as const

/** Of what goes to `side`. The SPIs are those of worker 1, where there are several. */
export function staticKeys(suite: ChildSaSpec['suite'], generation: number, side: number): ChildSaSpec['inbound'] {
  return {
    spi: 0x10001 + ((generation * 2 + side) << 4),
    key: new Uint8Array(KEY_BYTES[suite]).fill((1 + generation * 2 + side) % 256),
    salt: new Uint8Array(4).fill(200 + side),
  }
}

export function staticMachine(plan: ConnectorPlan, options: StaticOptions, start: number): IkeMachine {
  const effects: IkeEffect[] = []
  const connection = plan.connections[0]!.ike
  const inputs: IkeInput[] = []
  // In the first half of a period one generation is there, in the second half also the next.
  const half = (options.rekeyMs ?? 0) / 2
  let slot = half === 0 ? 0 : Math.floor((performance.timeOrigin + start) / half)
  let rekeyAt: number | undefined = half === 0 ? undefined : (slot + 1) * half - performance.timeOrigin
  const generationAt = (instant: number): number => Math.floor(instant / 2) % GENERATIONS
  const install = (number: number): void => {
    const { suite } = options
    if (suite === undefined) return
    const keys = (side: number) => staticKeys(suite, number, side)
    const child = connection.children[0]!
    const port = options.encapsulation === 'udp' ? plan.ports.natPort : plan.ports.port
    const sa: ChildSaSpec = {
      id: number,
      connection: connection.name,
      child: child.name,
      resource: connection.resource ?? 0,
      suite,
      esn: false,
      replayWindow: 1024,
      local: child.local,
      remote: child.remote,
      inbound: keys(options.side),
      outbound: keys(1 - options.side),
      limits: {},
      encapsulation: options.encapsulation,
      localAddress: { address: connection.localAddress, port },
      remoteAddress: { address: connection.remoteAddress as Address, port },
    }
    effects.push({ type: 'install-child', sa })
  }
  install(generationAt(slot))
  if (options.suite !== undefined) effects.push({ type: 'promote-child', id: generationAt(slot) })
  if (slot % 2 === 1) install(generationAt(slot + 1))
  return {
    handle(input, now) {
      inputs.push(input as IkeInput)
      if (input.type === 'shutdown') effects.push({ type: 'stopped' })
      if (rekeyAt === undefined || now < rekeyAt) return
      slot++
      rekeyAt += half
      // Both ends have the inbound half of the next generation before either sends on it: half a period later.
      if (slot % 2 === 1) install(generationAt(slot + 1))
      else {
        effects.push({ type: 'promote-child', id: generationAt(slot) })
        // The other end may still send on the one before.
        effects.push({ type: 'remove-child', id: generationAt(slot - 4) })
      }
    },
    poll: () => effects.shift(),
    deadline: () => rekeyAt,
    status: () => [
      {
        connection: connection.name,
        state: 'established',
        since: start,
        ikeRekeys: inputs.filter((input) => input.type === 'child-traffic').length,
        requestsSent: 0,
        requestsRetransmitted: 0,
        children: [],
      },
    ],
    counters: () => ({
      malformed: 0,
      unknownVersion: 0,
      unknownSpi: 0,
      integrityFailed: 0,
      replayed: 0,
      cookiesDemanded: 0,
      halfOpenRefused: 0,
      retransmits: 0,
      noConnection: inputs.filter((input) => input.type === 'datagram').length,
    }),
  }
}
