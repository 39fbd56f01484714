/** BGP and BFD of a running connector: the speaker with its sockets, and what it learns in engines and kernel. */
import { randomBytes } from 'node:crypto'
import type { Address, Prefix } from '../../../protocol/net.ts'
import type { BgpStatus } from '../../../protocol/status.ts'
import type { Explanation } from '../../core/bgp/rib/explain.ts'
import { Speaker } from '../../core/bgp/speaker.ts'
import type { SpeakerEffect, SpeakerInput } from '../../core/bgp/speaker-types.ts'
import type { ConnectorEvent } from '../../handle.ts'
import type { BgpPlan } from '../../plan.ts'
import type { Children } from '../children.ts'
import { type Driver, drive } from '../driver.ts'
import { collectSooner } from '../heap.ts'
import type { KernelRoutes } from '../kernel-routes.ts'
import { isByDefault } from '../routes-linux.ts'
import { BfdSockets } from './bfd-sockets.ts'
import { LearnedRoutes } from './learned-routes.ts'
import { SocketRefused } from './signed-socket.ts'
import { bgpStatus } from './status.ts'
import { BgpTcp, sameBytes, type TcpEnds } from './tcp.ts'

/** For neighbours to find other ways before the session ends (RFC 8326). */
const LEAVING_MS = 1_000
/** For our last words to the neighbours. */
const GOODBYE_MS = 500
/**
 * For what comes in the place of prefixes that go: an UPDATE is behind another one, and of two sites that are configured
 * anew one is behind the other.
 */
const GRACE_MS = 500
/** Between looks whether what was decided is carried out. */
const LOOK_MS = 5

export interface BgpParts {
  readonly plan: BgpPlan
  readonly children: Pick<Children, 'learn'>
  /** Whether packets can go through a tunnel; whoever changes it calls `look`. */
  readonly isUp: (connection: string) => boolean
  /** BFD has another opinion of the path to a neighbour by that tunnel; undefined: none. */
  readonly onPath: (tunnel: string, neighbour: string, up: boolean | undefined, silentMs: number | undefined) => void
  readonly kernel: Pick<KernelRoutes, 'learn' | 'unlearn'>
  /** The outer address of the other end of a tunnel, as far as it is known. */
  readonly remoteOf: (connection: string) => Address | undefined
  readonly emit: (event: ConnectorEvent) => void
}

export class Bgp {
  readonly #parts: BgpParts
  #plan: BgpPlan
  readonly #speaker: Speaker
  readonly #driver: Driver<SpeakerInput>
  readonly #tcp: BgpTcp
  readonly #bfd: BfdSockets
  readonly #learned: LearnedRoutes
  /** What has been told of sockets since it last worked, so that it is told once. */
  readonly #troubles = new Map<string, string>()
  #routeChanges = 0
  #stopping: Promise<void> | undefined

  constructor(parts: BgpParts) {
    const { plan } = parts
    collectSooner()
    this.#parts = parts
    this.#plan = plan
    this.#speaker = new Speaker(plan, (length) => new Uint8Array(randomBytes(length)))
    this.#driver = drive<SpeakerInput, SpeakerEffect>(this.#speaker, {
      perform: (effect) => this.#perform(effect),
      onError: (error, effect) => this.#warn(`bgp-${effect.type}`, error),
      onFault: (error) => this.#warn('bgp-fault', error),
    })
    this.#tcp = new BgpTcp({
      post: (input) => this.#driver.post(input),
      md5Keys: plan.md5Keys,
      ends: endsOf(plan),
      onTrouble: (neighbour, error) => this.#trouble(neighbour, error),
    })
    this.#bfd = new BfdSockets({
      hear: (datagram) => this.#driver.post({ type: 'bfd', datagram }),
      onTrouble: (error) => this.#trouble('BFD', error),
    })
    this.#learned = new LearnedRoutes({
      ...parts,
      cutOff: () => this.#byDefault(),
      grace: () => new Promise((resolve) => setTimeout(resolve, GRACE_MS)),
    })
  }

  /** The addresses inside the tunnels must be there. */
  start(): void {
    this.#tcp.listen()
    this.#bfd.listen(bfdEnds(this.#plan))
    for (const { name } of this.#plan.tunnels) this.look(name)
    this.#driver.post({ type: 'start' })
  }

  /** From now on this holds; the addresses inside the tunnels must be there. Sessions end only where they have to. */
  reconfigure(plan: BgpPlan): void {
    const before = this.#plan
    this.#plan = plan
    this.#tcp.setEnds(endsOf(plan), plan.md5Keys)
    this.#bfd.listenOnly(bfdEnds(plan))
    this.#driver.post({ type: 'configure', config: plan })
    for (const { name } of plan.tunnels) this.look(name)
    for (const { name, transport } of plan.neighbours) {
      const { md5Key } = transport
      if (md5Key === undefined || sameBytes(before.md5Keys.get(md5Key), plan.md5Keys.get(md5Key))) continue
      this.#driver.post({ type: 'reset', neighbour: name })
    }
  }

  /** Resolves when what is known now is decided on and carried out, or after `limitMs`: then false. */
  async settled(limitMs: number): Promise<boolean> {
    const end = performance.now() + limitMs
    while (this.#speaker.isBusy || this.#learned.isBusy) {
      if (performance.now() >= end) return false
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    return true
  }

  status(): BgpStatus {
    const counts = { pendingRoutes: this.#learned.pending, routeChanges: this.#routeChanges }
    return bgpStatus(this.#plan, this.#speaker, counts, performance.now(), Date.now())
  }

  explain(prefix: Prefix): Explanation | undefined {
    return this.#speaker.explain(prefix)
  }

  /** False where there is no such neighbour. */
  reset(neighbour: string): boolean {
    if (!this.#plan.neighbours.some(({ name }) => name === neighbour)) return false
    this.#driver.post({ type: 'reset', neighbour })
    return true
  }

  /**
   * Whether neighbours that are reached by this tunnel are asked to prefer other ways (RFC 8326), and with `avoid` we do
   * so as well.
   */
  setLeaving(tunnel: string, on: boolean, avoid = false): void {
    this.#driver.post({ type: 'leaving', tunnel, on, avoid })
  }

  /** Says goodbye to the neighbours, who have a second to prefer other ways. What was learned stays. Idempotent; never rejects. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    if (this.#speaker.status(performance.now()).some(({ state }) => state === 'established')) {
      for (const { name } of this.#plan.tunnels) this.setLeaving(name, true)
      await new Promise((resolve) => setTimeout(resolve, LEAVING_MS))
    }
    const learned = this.#learned.stop()
    this.#driver.post({ type: 'stop', communication: 'the connector is stopping' })
    await this.#tcp.stop(GOODBYE_MS)
    this.#driver.stop()
    this.#bfd.close()
    await learned
  }

  /** The tunnel may have come up or gone down, or its peer moved. */
  look(connection: string): void {
    const { isUp, remoteOf } = this.#parts
    const remote = remoteOf(connection)
    const ends = remote === undefined ? [] : [remote]
    this.#driver.post({ type: 'tunnel', name: connection, up: isUp(connection), ends })
  }

  /** Outer ends of tunnels to which only a default route leads. */
  async #byDefault(): Promise<readonly Address[]> {
    const ends = this.#plan.tunnels.flatMap(({ name }) => this.#parts.remoteOf(name) ?? [])
    const isCutOff = await Promise.all(ends.map((end) => isByDefault(end)))
    return ends.filter((_, i) => isCutOff[i])
  }

  #perform(effect: SpeakerEffect): undefined {
    switch (effect.type) {
      case 'connect':
        this.#tcp.connect(effect.neighbour, effect.connection, effect.transport)
        return
      case 'listen':
        this.#tcp.setWelcome(effect.neighbour, effect.accept)
        return
      case 'send':
        this.#tcp.send(effect.neighbour, effect.connection, effect.bytes)
        return
      case 'close':
        this.#tcp.close(effect.neighbour, effect.connection)
        return
      case 'bfd-ended':
        this.#bfd.hush(effect.from)
        return
      case 'bfd-send':
        this.#bfd.send(effect.packet)
        return
      case 'path':
        this.#parts.onPath(effect.tunnel, effect.neighbour, effect.up, effect.silentMs)
        return
      case 'routes':
        this.#routeChanges += effect.tunnels.length
        this.#learned.take(effect)
        return
      case 'report':
        if (effect.event.code === 'established') this.#troubles.delete(effect.neighbour)
        this.#parts.emit({ type: 'bgp', neighbour: effect.neighbour, event: effect.event })
    }
  }

  #trouble(subject: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    if (this.#troubles.get(subject) === reason) return
    this.#troubles.set(subject, reason)
    const message = `${subject}: a socket could not be opened (${reason})`
    this.#parts.emit({ type: 'warning', code: 'bgp-socket', message, remedy: remedyFor(error) })
  }

  #warn(code: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    this.#parts.emit({ type: 'warning', code, message })
  }
}

function endsOf({ neighbours }: BgpPlan): readonly TcpEnds[] {
  return neighbours.map(({ name, local, rib, transport }) => ({
    neighbour: name,
    local,
    remote: rib.address,
    transport,
  }))
}

function bfdEnds({ neighbours }: BgpPlan): readonly Address[] {
  return neighbours.filter(({ bfd }) => bfd !== undefined).map(({ local }) => local)
}

function remedyFor(error: unknown): string {
  const code = error instanceof SocketRefused ? error.code : (error as NodeJS.ErrnoException | undefined)?.code
  switch (code) {
    case 'EADDRINUSE':
      return 'Stop what holds the port, often another BGP or BFD daemon (see: ss -lntup).'
    case 'EACCES':
    case 'EPERM':
      return 'Run it as root or grant the capability CAP_NET_BIND_SERVICE.'
    case 'EADDRNOTAVAIL':
      return 'The address inside the tunnel is not on the device: see ip address.'
    case 'ENOPROTOOPT':
      return 'The kernel was built without it; leave the key out at both ends.'
    default:
      return 'See: ip address; ip route'
  }
}
