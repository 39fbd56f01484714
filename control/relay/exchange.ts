/**
 * Which function is joined with which socket of a connector: first come, first served, for each connector. Pure. The
 * driver holds the sockets, carries out the effects in order, and passes what comes on joined ones.
 *
 *     function    waiting ── joined ── forgotten
 *     connector   spare ──── joined ── forgotten
 */
import { type Instant, type Machine, unreachable } from '../../protocol/machine.ts'
import { CLOSINGS, type Closing, passedOn } from './close.ts'
import { count, keyOf, type Pair, type Place, Places, type Spare, type Waiting, Withdrawn } from './places.ts'
import {
  type Caller,
  type ConnectorNames,
  type EndReason,
  EXCHANGE_LIMITS,
  type ExchangeCounts,
  type ExchangeEffect,
  type ExchangeInput,
  type ExchangeLimits,
  type Present,
  type Socket,
} from './types.ts'

/** A function waits so long for a socket of its connector. */
export const WAIT_MS = 10_000
/** A connector has so long to answer a first flight. */
export const ANSWER_MS = 15_000
/** To the connector, when its socket is joined. */
export const CALL_MESSAGE = '{"type":"call"}'

export class Exchange implements Machine<ExchangeInput, ExchangeEffect> {
  readonly #limits: ExchangeLimits
  readonly #places = new Places()
  readonly #withdrawn = new Withdrawn()
  // Each in the order of its deadlines: all of a kind wait equally long.
  readonly #waiting = new Map<Socket, Waiting>()
  readonly #spares = new Map<Socket, Spare>()
  readonly #unanswered = new Map<Socket, Pair>()
  /** By both sockets. */
  readonly #pairs = new Map<Socket, Pair>()
  #heldBytes = 0
  #stopped = false
  #effects: ExchangeEffect[] = []
  #next = 0

  constructor(limits: ExchangeLimits = EXCHANGE_LIMITS) {
    this.#limits = limits
  }

  /** How many there are, of each kind. */
  get counts(): ExchangeCounts {
    return {
      connectors: this.#places.size,
      waiting: this.#waiting.size,
      heldBytes: this.#heldBytes,
      spares: this.#spares.size,
      pairs: this.#pairs.size / 2,
    }
  }

  /** By network: connectors that have sockets here, or are waited for, and functions. */
  present(): ReadonlyMap<string, Present> {
    const networks = new Map<string, { connectors: Set<string>; functions: Set<string> }>()
    for (const { network, connector, functions } of this.#places.all()) {
      const present = networks.get(network) ?? { connectors: new Set(), functions: new Set() }
      networks.set(network, present)
      present.connectors.add(connector)
      for (const id of functions.keys()) present.functions.add(id)
    }
    return networks
  }

  handle(input: ExchangeInput, now: Instant): void {
    switch (input.type) {
      case 'call':
        this.#call(input, now)
        return
      case 'serve':
        this.#serve(input, now)
        return
      case 'message':
        this.#message(input.socket, input.data)
        return
      case 'answered':
        this.#unanswered.delete(input.socket)
        return
      case 'misfit':
        this.#misfit(input.socket, now)
        return
      case 'closed':
        this.#closed(input, now)
        return
      case 'unlinked':
        this.#refuseAll(input, CLOSINGS.unlinked, 'unlinked')
        return
      case 'connector-revoked':
        this.#connectorRevoked(input, now)
        return
      case 'function-revoked':
        this.#functionRevoked(input, now)
        return
      case 'stop':
        this.#stop(now)
        return
      case 'time':
        this.#time(now)
        return
      default:
        unreachable(input)
    }
  }

  poll(): ExchangeEffect | undefined {
    const effect = this.#effects[this.#next++]
    if (effect !== undefined) return effect
    this.#effects = []
    this.#next = 0
    return undefined
  }

  deadline(): Instant | undefined {
    const first = [
      this.#waiting.values().next().value?.until,
      this.#spares.values().next().value?.until,
      answerBy(this.#unanswered.values().next().value),
    ].filter((instant) => instant !== undefined && instant !== Number.POSITIVE_INFINITY) as Instant[]
    return first.length === 0 ? undefined : Math.min(...first)
  }

  #call(input: Extract<ExchangeInput, { type: 'call' }>, now: Instant): void {
    const { socket, first, function: id } = input
    const place = this.#places.of(input)
    const spare = place.spares.values().next().value
    const refused = this.#refusalOf(place, input, now) ?? this.#waitRefusalOf(place, spare, first?.length ?? 0)
    if (refused !== undefined) {
      this.#refuse(place, id, socket, ...refused)
      this.#places.tidy(place)
      return
    }
    count(place, id, 1)
    if (spare !== undefined) {
      this.#spares.delete(spare)
      place.spares.delete(spare)
      this.#join(place, id, socket, spare, first, now)
      return
    }
    this.#heldBytes += first?.length ?? 0
    this.#waiting.set(socket, { place, function: id, until: now + WAIT_MS, first })
    place.waiting.add(socket)
    this.#effects.push({ type: 'call-connector', network: place.network, connector: place.connector })
  }

  #refusalOf(place: Place, caller: Caller, now: Instant): [Closing, string] | undefined {
    const { network, function: id, issuedAt } = caller
    if (this.#stopped) return [CLOSINGS.stopped, 'stopped']
    if (this.#withdrawn.has(place.key, issuedAt, now)) return [CLOSINGS.elsewhere, 'connector-revoked']
    if (this.#withdrawn.has(functionKey(network, id), issuedAt, now)) return [CLOSINGS.withdrawn, 'function-revoked']
    const { perConnector, perFunction, total } = this.#limits
    const full =
      place.pairs.size + place.waiting.size >= perConnector ||
      (place.functions.get(id) ?? 0) >= perFunction ||
      this.#pairs.size / 2 + this.#waiting.size >= total
    return full ? [CLOSINGS.busy, 'busy'] : undefined
  }

  #waitRefusalOf(place: Place, spare: Socket | undefined, bytes: number): [Closing, string] | undefined {
    if (spare !== undefined) return undefined
    const { waitingPerConnector, waiting, heldBytes } = this.#limits
    const full =
      place.waiting.size >= waitingPerConnector || this.#waiting.size >= waiting || this.#heldBytes + bytes > heldBytes
    return full ? [CLOSINGS.busy, 'busy'] : undefined
  }

  #serve(input: Extract<ExchangeInput, { type: 'serve' }>, now: Instant): void {
    const { socket } = input
    const place = this.#places.of(input)
    const caller = place.waiting.values().next().value
    if (caller !== undefined) {
      const { function: id, first } = this.#unwait(caller)
      this.#join(place, id, caller, socket, first, now)
      return
    }
    const closing = this.#dismissalOf(place, now)
    if (closing !== undefined) {
      this.#close(socket, closing)
      this.#places.tidy(place)
      return
    }
    this.#spares.set(socket, { place, until: now + (this.#limits.spareMs ?? Number.POSITIVE_INFINITY) })
    place.spares.add(socket)
  }

  #dismissalOf(place: Place, now: Instant): Closing | undefined {
    if (this.#withdrawn.has(place.key, 0, now)) return CLOSINGS.revoked
    if (this.#stopped) return CLOSINGS.stopped
    return place.spares.size >= this.#limits.sparesPerConnector ? CLOSINGS.enough : undefined
  }

  #join(place: Place, id: string, caller: Socket, server: Socket, first: Uint8Array | undefined, now: Instant): void {
    const pair: Pair = { place, function: id, caller, server, joinedAt: now }
    place.pairs.add(pair)
    this.#pairs.set(caller, pair)
    this.#pairs.set(server, pair)
    this.#unanswered.set(server, pair)
    this.#effects.push({ type: 'join', function: caller, connector: server })
    this.#effects.push({ type: 'send', socket: server, data: CALL_MESSAGE })
    if (first !== undefined) this.#effects.push({ type: 'send', socket: server, data: first })
  }

  /** A function has nothing to say but its first flight until the connector has answered that. */
  #message(socket: Socket, data: Uint8Array): void {
    const waiting = this.#waiting.get(socket)
    if (waiting !== undefined) {
      if (waiting.first !== undefined) this.#giveUp(socket, CLOSINGS.early, 'early')
      else if (this.#heldBytes + data.length > this.#limits.heldBytes) this.#giveUp(socket, CLOSINGS.busy, 'busy')
      else {
        waiting.first = data
        this.#heldBytes += data.length
      }
    } else if (this.#spares.has(socket)) this.#dismiss(socket, CLOSINGS.misfit)
  }

  #misfit(socket: Socket, now: Instant): void {
    if (this.#waiting.has(socket)) this.#giveUp(socket, CLOSINGS.misfit, 'misfit')
    else if (this.#spares.has(socket)) this.#dismiss(socket, CLOSINGS.misfit)
    const pair = this.#pairs.get(socket)
    if (pair === undefined) return
    const byCaller = socket === pair.caller
    const [toCaller, toServer] = byCaller
      ? [CLOSINGS.unsupported, CLOSINGS.left]
      : [CLOSINGS.lost, CLOSINGS.unsupported]
    this.#end(pair, 'misfit', toCaller, toServer, now)
  }

  #closed({ socket, code, reason }: Extract<ExchangeInput, { type: 'closed' }>, now: Instant): void {
    const waiting = this.#waiting.get(socket)
    if (waiting !== undefined) {
      const { place, function: id } = this.#unwait(socket)
      count(place, id, -1)
      this.#told(place, id, 'left')
      this.#places.tidy(place)
      return
    }
    const spare = this.#spares.get(socket)
    if (spare !== undefined) {
      this.#spares.delete(socket)
      spare.place.spares.delete(socket)
      this.#places.tidy(spare.place)
      return
    }
    const pair = this.#pairs.get(socket)
    if (pair === undefined) return
    const byCaller = socket === pair.caller
    const closing = passedOn(code, reason, byCaller ? CLOSINGS.left : CLOSINGS.lost)
    const lost = code === 1006
    if (byCaller) this.#end(pair, lost ? 'function-lost' : 'function-closed', undefined, closing, now)
    else this.#end(pair, lost ? 'connector-lost' : 'connector-closed', closing, undefined, now)
  }

  #connectorRevoked(names: ConnectorNames, now: Instant): void {
    this.#withdrawn.note(keyOf(names), Number.POSITIVE_INFINITY, now)
    this.#refuseAll(names, CLOSINGS.elsewhere, 'connector-revoked')
    const place = this.#places.get(names)
    if (place === undefined) return
    for (const socket of place.spares) this.#dismiss(socket, CLOSINGS.revoked)
    for (const pair of place.pairs) this.#end(pair, 'connector-revoked', CLOSINGS.lost, CLOSINGS.revoked, now)
  }

  #functionRevoked(input: Extract<ExchangeInput, { type: 'function-revoked' }>, now: Instant): void {
    const { network, function: id } = input
    this.#withdrawn.note(functionKey(network, id), input.at, now)
    for (const place of this.#places.all()) {
      if (place.network !== network || !place.functions.has(id)) continue
      for (const socket of place.waiting) {
        if (this.#waiting.get(socket)?.function === id) this.#giveUp(socket, CLOSINGS.withdrawn, 'function-revoked')
      }
      for (const pair of place.pairs) {
        if (pair.function === id) this.#end(pair, 'function-revoked', CLOSINGS.cutOff, CLOSINGS.left, now)
      }
    }
  }

  #stop(now: Instant): void {
    this.#stopped = true
    for (const socket of this.#waiting.keys()) this.#giveUp(socket, CLOSINGS.stopped, 'stopped')
    for (const socket of this.#spares.keys()) this.#dismiss(socket, CLOSINGS.stopped)
    for (const place of this.#places.all()) {
      for (const pair of place.pairs) this.#end(pair, 'stopped', CLOSINGS.stopped, CLOSINGS.stopped, now)
    }
  }

  #time(now: Instant): void {
    for (const [socket, { until }] of this.#waiting) {
      if (until > now) break
      this.#giveUp(socket, CLOSINGS.silent, 'no-connector')
    }
    for (const [socket, { until }] of this.#spares) {
      if (until > now) break
      this.#dismiss(socket, CLOSINGS.unused)
    }
    for (const pair of this.#unanswered.values()) {
      if (answerBy(pair)! > now) break
      this.#end(pair, 'no-answer', CLOSINGS.unanswered, CLOSINGS.left, now)
    }
  }

  #refuseAll(names: ConnectorNames, closing: Closing, why: string): void {
    for (const socket of this.#places.get(names)?.waiting ?? []) this.#giveUp(socket, closing, why)
  }

  /** Closes a function that waits. */
  #giveUp(socket: Socket, closing: Closing, why: string): void {
    const { place, function: id } = this.#unwait(socket)
    count(place, id, -1)
    this.#refuse(place, id, socket, closing, why)
    this.#places.tidy(place)
  }

  #unwait(socket: Socket): Waiting {
    const waiting = this.#waiting.get(socket)!
    this.#waiting.delete(socket)
    waiting.place.waiting.delete(socket)
    this.#heldBytes -= waiting.first?.length ?? 0
    return waiting
  }

  #refuse(place: Place, id: string, socket: Socket, closing: Closing, why: string): void {
    this.#told(place, id, why)
    this.#close(socket, closing)
  }

  #told({ network, connector }: Place, id: string, why: string): void {
    this.#effects.push({ type: 'refused', network, connector, function: id, why })
  }

  /** Closes a spare. */
  #dismiss(socket: Socket, closing: Closing): void {
    const { place } = this.#spares.get(socket)!
    this.#spares.delete(socket)
    place.spares.delete(socket)
    this.#close(socket, closing)
    this.#places.tidy(place)
  }

  /** `toCaller`, `toServer`: undefined for the side that is closed already. */
  #end(pair: Pair, why: EndReason, toCaller: Closing | undefined, toServer: Closing | undefined, now: Instant): void {
    const { place, caller, server, function: id } = pair
    place.pairs.delete(pair)
    for (const socket of [caller, server]) this.#pairs.delete(socket)
    this.#unanswered.delete(server)
    count(place, id, -1)
    const { network, connector } = place
    const sockets = { function: caller, connector: server }
    this.#effects.push({
      type: 'ended',
      pair: { network, connector, function: id, sockets, ms: now - pair.joinedAt, why },
    })
    if (toCaller !== undefined) this.#close(caller, toCaller)
    if (toServer !== undefined) this.#close(server, toServer)
    this.#places.tidy(place)
  }

  #close(socket: Socket, { code, reason }: Closing): void {
    this.#effects.push({ type: 'close', socket, code, reason })
  }
}

function functionKey(network: string, id: string): string {
  return `${network} ${id}`
}

function answerBy(pair: Pair | undefined): Instant | undefined {
  return pair === undefined ? undefined : pair.joinedAt + ANSWER_MS
}
