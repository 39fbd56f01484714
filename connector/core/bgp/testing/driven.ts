/** One session in a test's hands: what it does as short words, and messages of a neighbour to feed it. */
import { address } from '../../../../protocol/net.ts'
import { BgpSession } from '../session.ts'
import {
  SESSION_DEFAULTS,
  type SessionConfig,
  type SessionEffect,
  type SessionInput,
  type SessionState,
} from '../session-types.ts'
import {
  type Capability,
  decodeMessage,
  encodeKeepalive,
  encodeOpen,
  isBgpFault,
  type NotificationMessage,
  type OpenMessage,
} from '../wire/codec.ts'

export const CONFIG: SessionConfig = {
  ...SESSION_DEFAULTS,
  localAs: 65_001,
  peerAs: 65_002,
  identifier: 0xc0000201,
  families: [4, 6],
  transport: { remote: address('192.0.2.2'), port: 179 },
}

export const PEER_OPEN: OpenMessage = {
  type: 'OPEN',
  version: 4,
  myAs: 65_002,
  holdTime: 30,
  bgpIdentifier: 0xc0000202,
  capabilities: [
    { type: 'multiprotocol', afi: 1, safi: 1 },
    { type: 'multiprotocol', afi: 2, safi: 1 },
    { type: 'route-refresh' },
    { type: 'extended-message' },
    { type: 'four-octet-as', asn: 65_002 },
    { type: 'enhanced-route-refresh' },
  ],
}

export function openWith(changes: Partial<OpenMessage>, ...more: Capability[]): Uint8Array {
  const open = { ...PEER_OPEN, ...changes }
  return encodeOpen({ ...open, capabilities: [...open.capabilities, ...more] })
}

/** No jitter: every wait is whole. */
export const whole = (length: number) => new Uint8Array(length).fill(0xff)

export class Driven {
  readonly session: BgpSession
  now = 1_000
  readonly effects: SessionEffect[] = []
  /** The connection that the session asked for last, or the one that was brought in. */
  connection = ''

  constructor(changes: Partial<SessionConfig> = {}) {
    this.session = new BgpSession({ ...CONFIG, ...changes }, whole)
  }

  /** What the input made it do. Octets that it sends are told as sent at once. */
  give(input: SessionInput): SessionEffect[] {
    this.session.handle(input, this.now)
    const made: SessionEffect[] = []
    for (let effect = this.session.poll(); effect !== undefined; effect = this.session.poll()) made.push(effect)
    for (const effect of made) {
      if (effect.type === 'connect') this.connection = effect.connection
      if (effect.type === 'send')
        this.session.handle({ type: 'sent', connection: effect.connection, octets: effect.bytes.length }, this.now)
    }
    this.effects.push(...made)
    return made
  }

  bytes(bytes: Uint8Array, connection = this.connection): SessionEffect[] {
    return this.give({ type: 'bytes', connection, bytes })
  }

  /** Time passes until something is due, and a moment more. */
  due(): SessionEffect[] {
    this.now = this.session.deadline() ?? this.now
    return this.give({ type: 'time' })
  }

  wait(ms: number): SessionEffect[] {
    this.now += ms
    return this.give({ type: 'time' })
  }

  /** From idle, by the shortest way, over a connection of ours. */
  reach(state: SessionState, open: Uint8Array = encodeOpen(PEER_OPEN)): this {
    if (state === 'idle') return this
    this.give({ type: 'start' })
    if (state === 'connect') return this
    if (state === 'active') {
      this.give({ type: 'closed', connection: this.connection })
      return this
    }
    this.give({ type: 'connected', connection: this.connection })
    if (state === 'open-sent') return this
    this.bytes(open)
    if (state === 'open-confirm') return this
    this.bytes(encodeKeepalive())
    return this
  }
}

/** Effects in a few words: `listen`, `send OPEN`, `send 6/2`, `close`, `down closed`, `connect`. */
export function words(effects: readonly SessionEffect[]): string {
  return effects.map(word).filter(Boolean).join(', ')
}

function word(effect: SessionEffect): string {
  switch (effect.type) {
    case 'listen':
      return effect.accept ? 'listen' : 'deaf'
    case 'send':
      return `send ${sentWord(effect.bytes)}`
    case 'down':
      return `down ${effect.cause.kind}`
    case 'state':
    case 'notification':
      return ''
    case 'fault':
      return effect.fault.fault
    default:
      return effect.type
  }
}

export function sentWord(bytes: Uint8Array): string {
  const message = decodeMessage(bytes, { fourOctetAs: true, extendedMessages: true, internal: true, families: [4, 6] })
  if (isBgpFault(message)) return message.fault
  return message.type === 'NOTIFICATION' ? `${message.code}/${message.subcode}` : message.type
}

/** The NOTIFICATIONs that it sent. */
export function notified(effects: readonly SessionEffect[]): NotificationMessage[] {
  return effects.flatMap((effect) =>
    effect.type === 'notification' && effect.direction === 'sent' ? [effect.message] : [],
  )
}
