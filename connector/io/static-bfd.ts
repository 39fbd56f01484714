/** BFD of tunnels with static routes, with its sockets; BGP has sockets of its own, on other addresses. */
import { randomBytes } from 'node:crypto'
import type { BfdStatus } from '../core/bfd/machine.ts'
import { StaticBfd, type StaticBfdEffect, type StaticBfdInput } from '../core/bfd/static.ts'
import type { ConnectorEvent } from '../handle.ts'
import type { PlannedConnection } from '../plan.ts'
import { BfdSockets } from './bgp/bfd-sockets.ts'
import { type Driver, drive } from './driver.ts'

/** For the peers to hear that it is over. */
const GOODBYE_MS = 300
const LOOK_MS = 5

export interface StaticBfdParts {
  /** `up` undefined: BFD has no opinion. `silentMs`: since about when the peer was not heard. */
  readonly onPath: (connection: string, up: boolean | undefined, silentMs: number | undefined) => void
  readonly emit: (event: ConnectorEvent) => void
}

export class StaticBfdDriver {
  readonly #parts: StaticBfdParts
  readonly #machine: StaticBfd
  readonly #driver: Driver<StaticBfdInput>
  readonly #sockets: BfdSockets

  constructor(parts: StaticBfdParts) {
    this.#parts = parts
    this.#machine = new StaticBfd((length) => new Uint8Array(randomBytes(length)))
    this.#driver = drive<StaticBfdInput, StaticBfdEffect>(this.#machine, {
      perform: (effect) => this.#perform(effect),
      onError: (error) => this.#warn('bfd-send', error),
      onFault: (error) => this.#warn('bfd-fault', error),
    })
    this.#sockets = new BfdSockets({
      hear: (datagram) => this.#driver.post({ type: 'datagram', datagram }),
      onTrouble: (error) => this.#warn('bfd-socket', error, 'See: ip address; ss -lnup'),
    })
  }

  /** These are all connections, whose addresses inside the tunnels must be there. */
  apply(connections: readonly PlannedConnection[]): void {
    const sessions = connections.flatMap(({ ike, bfd }) => (bfd === undefined ? [] : [{ name: ike.name, ...bfd }]))
    this.#sockets.listenOnly(sessions.map(({ local }) => local))
    this.#driver.post({ type: 'want', sessions })
  }

  status(connection: string): BfdStatus | undefined {
    return this.#machine.status(connection)
  }

  /** The peers are told, and most answer at once: while they do not, the tunnels should stay. Never rejects. */
  async stop(): Promise<void> {
    this.#driver.post({ type: 'stop' })
    const end = performance.now() + GOODBYE_MS
    do await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    while (this.#machine.isBelieved && performance.now() < end)
    this.#driver.stop()
    this.#sockets.close()
  }

  #perform(effect: StaticBfdEffect): undefined {
    if (effect.type === 'send') this.#sockets.send(effect.packet)
    else if (effect.type === 'ended') this.#sockets.hush(effect.from)
    else if (effect.type === 'path') this.#parts.onPath(effect.connection, effect.up, effect.silentMs)
    else {
      const { connection, level, text } = effect
      this.#parts.emit({ type: 'bfd', connection, level, text })
    }
  }

  #warn(code: string, error: unknown, remedy?: string): void {
    const message = `BFD: ${error instanceof Error ? error.message : String(error)}`
    this.#parts.emit({ type: 'warning', code, message, ...(remedy === undefined ? {} : { remedy }) })
  }
}
