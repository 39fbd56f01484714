/**
 * One BGP neighbour: the state machine of RFC 4271 section 8, with two connections while it is not clear which stays.
 *
 *     idle ──start──> connect <──retry──> active          idle <── any failure; after a wait it starts anew
 *                        └── TCP is there ──┘
 *                                 v
 *                   open-sent ──OPEN──> open-confirm ──KEEPALIVE──> established
 *
 * The driver connects, listens, and moves octets; the RIB takes `update` and hands in routes. `session-core.ts` holds
 * connections and timers, `receive.ts` does what messages ask for.
 */
import type { Instant, Machine, RandomBytes } from '../../../protocol/machine.ts'
import { hasOpened } from './connection.ts'
import { receive } from './receive.ts'
import { SessionCore } from './session-core.ts'
import type {
  ConnectionId,
  Negotiated,
  SessionConfig,
  SessionEffect,
  SessionInput,
  SessionState,
} from './session-types.ts'

export class BgpSession implements Machine<SessionInput, SessionEffect> {
  private readonly core: SessionCore
  private told: SessionState = 'idle'

  /**
   * `random` spreads waits; it needs not be secret. `attempts`: of the neighbour's session before, so that no connection
   * is called as one that has ended.
   */
  constructor(config: SessionConfig, random: RandomBytes, attempts = 0) {
    this.core = new SessionCore(config, random, attempts)
  }

  /** Connections that it has asked for. */
  get attempts(): number {
    return this.core.attempts
  }

  get state(): SessionState {
    return this.core.state
  }

  /** Of the established connection. */
  get negotiated(): Negotiated | undefined {
    return this.core.established()?.negotiated
  }

  /** Prefixes that wait to be sent. */
  get queued(): number {
    return this.core.established()?.queue?.length ?? 0
  }

  poll(): SessionEffect | undefined {
    return this.core.poll()
  }

  deadline(): Instant | undefined {
    return this.core.deadline()
  }

  handle(input: SessionInput, now: Instant): void {
    const { core } = this
    switch (input.type) {
      case 'start':
        core.start(input.restarting ?? false, now)
        break
      case 'stop':
        core.stop(input, now)
        break
      case 'reset':
        core.reset(input, now, input.holdMs, input.keepRoutes ?? false)
        break
      case 'path-up':
        core.pathUp(now)
        break
      case 'incoming':
        core.incoming(input.connection, now)
        break
      case 'time':
        core.passed(now)
        break
      case 'connected':
      case 'closed':
      case 'bytes':
      case 'sent':
        this.onConnection(input, now)
        break
      default:
        core.route(input)
    }
    core.pump(now)
    this.tellState()
  }

  /** Of a connection that was closed meanwhile nothing is heard. */
  private onConnection(input: ConnectionInput, now: Instant): void {
    const connection = this.core.find(input.connection)
    if (connection === undefined) return
    if (input.type === 'closed') this.core.lost(connection, now)
    else if (input.type === 'sent') this.core.sent(connection, input.octets, now)
    else if (input.type === 'connected') {
      if (!hasOpened(connection)) this.core.open(connection, now)
    } else if (hasOpened(connection)) receive(this.core, connection, input.bytes, now)
  }

  private tellState(): void {
    const { state } = this
    if (state === this.told) return
    this.core.emit({ type: 'state', from: this.told, to: state })
    this.told = state
  }
}

type ConnectionInput = Extract<
  SessionInput,
  { readonly connection: ConnectionId; readonly type: 'connected' | 'closed' | 'bytes' | 'sent' }
>
