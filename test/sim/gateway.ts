/**
 * A gateway of the simulated world: the real IKE endpoint, and a data plane reduced to what rekeying can break: which
 * SAs are installed, and which one carries traffic.
 */
import { IkeEndpoint } from '../../connector/core/ike/endpoint.ts'
import type {
  ChildSaSpec,
  ConnectionConfig,
  EndpointLimits,
  IkeEffect,
  IkeEvent,
  IkeKey,
} from '../../connector/core/ike/types.ts'
import { type Instant, unreachable } from '../../protocol/machine.ts'
import { type SocketAddress, sameSocketAddress } from '../../protocol/net.ts'
import { simulatedCrypto } from './crypto.ts'
import type { Datagram, Network } from './network.ts'
import type { SeededRandom } from './random.ts'
import type { Timeline } from './timeline.ts'

const PORTS = { port: 500, natPort: 4500 }
/** Between two reports of traffic on one SA, as the worker of the real connector does it. */
const TRAFFIC_REPORT_MS = 1000

interface InstalledChild {
  readonly sa: ChildSaSpec
  remote: SocketAddress
  lastReport: Instant
}

export class Gateway {
  readonly endpoint: IkeEndpoint
  readonly events: { readonly at: Instant; readonly event: IkeEvent }[] = []
  /** Packets that arrived over the network, and of these the ones for which no SA was installed. */
  arrived = 0
  undeliverable: string[] = []
  /** Packets that could not even leave, for want of an SA. */
  unsent = 0
  /** Packets that left on another resource than their own. */
  handedOver = 0
  readonly #name: string
  readonly #timeline: Timeline
  readonly #network: Network
  readonly #children = new Map<number, InstalledChild>()
  /** Id of the SA that each child sends on, on each resource; the newest promoted one last. */
  readonly #carrying = new Map<string, number>()
  readonly #resources: number
  #alarm = 0
  #packet = 0

  constructor(
    name: string,
    connections: readonly ConnectionConfig[],
    limits: EndpointLimits,
    timeline: Timeline,
    network: Network,
    random: SeededRandom,
    resources = 1,
  ) {
    this.#name = name
    this.#resources = resources
    this.#timeline = timeline
    this.#network = network
    const bytes = (length: number): Uint8Array => random.bytes(length)
    const options = { ports: PORTS, connections, limits, crypto: simulatedCrypto(bytes), random: bytes, resources }
    this.endpoint = new IkeEndpoint(options, timeline.now)
    network.attach(connections[0]!.localAddress, this)
    this.#settle()
  }

  receive(datagram: Datagram): void {
    const { payload, from, to } = datagram
    switch (payload.kind) {
      case 'ike':
        this.#handle({ type: 'datagram', local: to, remote: from, bytes: payload.bytes.slice() })
        return
      case 'keepalive':
        return
      case 'esp':
        this.#receiveEsp(payload.spi, payload.packet, from)
        return
      default:
        unreachable(payload)
    }
  }

  rekey(connection: string, child?: string): void {
    this.#handle(child === undefined ? { type: 'rekey-ike', connection } : { type: 'rekey-child', connection, child })
  }

  setKeys(connection: string, keys: readonly IkeKey[]): void {
    this.#handle({ type: 'set-keys', connection, keys })
  }

  /** One packet of a flow on each resource: on its own SA, or handed over to where the newest is. */
  sendPackets(connection: string, child: string): void {
    for (let resource = 0; resource < this.#resources; resource++) this.#sendPacket(connection, child, resource)
  }

  #sendPacket(connection: string, child: string, resource: number): void {
    const installed = this.#sender(connection, child, resource)
    if (installed === undefined) {
      this.unsent++
      return
    }
    if (installed.sa.resource !== resource) this.handedOver++
    const payload = { kind: 'esp', spi: installed.sa.outbound.spi, packet: this.#packet++ } as const
    this.#network.send({ from: installed.sa.localAddress, to: installed.remote, payload })
  }

  /** SPIs of the SA that carries this child on resource 0, inbound and outbound. */
  carrying(connection: string, child: string): readonly [number, number] | undefined {
    const installed = this.#sender(connection, child, 0)
    return installed === undefined ? undefined : [installed.sa.inbound.spi, installed.sa.outbound.spi]
  }

  /** How many of our resources send on an SA of their own. */
  ownSenders(connection: string, child: string): number {
    const resources = Array.from({ length: this.#resources }, (_, resource) => resource)
    return resources.filter((resource) => this.#sender(connection, child, resource)?.sa.resource === resource).length
  }

  get installed(): number {
    return this.#children.size
  }

  count(type: IkeEvent['type']): number {
    return this.events.filter(({ event }) => event.type === type).length
  }

  #sender(connection: string, child: string, resource: number): InstalledChild | undefined {
    const own = this.#children.get(this.#carrying.get(slot({ connection, child, resource })) ?? -1)
    if (own !== undefined) return own
    const promoted = [...this.#carrying.values()].map((id) => this.#children.get(id))
    return promoted.findLast((it) => it?.sa.connection === connection && it.sa.child === child)
  }

  #receiveEsp(spi: number, packet: number, from: SocketAddress): void {
    this.arrived++
    const installed = [...this.#children.values()].find(({ sa }) => sa.inbound.spi === spi)
    if (installed === undefined) {
      this.undeliverable.push(
        `${this.#timeline.now}: ${this.#name} has no SA for SPI ${spi.toString(16)} of packet ${packet}`,
      )
      return
    }
    const { sa } = installed
    if (!sameSocketAddress(from, installed.remote)) {
      this.#handle({ type: 'peer-moved', connection: sa.connection, inboundSpi: spi, remote: from })
    }
    if (this.#timeline.now - installed.lastReport < TRAFFIC_REPORT_MS) return
    installed.lastReport = this.#timeline.now
    this.#handle({ type: 'child-traffic', connection: sa.connection, inboundSpi: spi })
  }

  #handle(input: Parameters<IkeEndpoint['handle']>[0]): void {
    this.endpoint.handle(input, this.#timeline.now)
    this.#settle()
  }

  /** Carries out every effect, then arms one alarm. */
  #settle(): void {
    for (let effect = this.endpoint.poll(); effect !== undefined; effect = this.endpoint.poll()) this.#perform(effect)
    const deadline = this.endpoint.deadline()
    if (deadline === undefined) return
    const alarm = ++this.#alarm
    this.#timeline.at(deadline, () => {
      if (alarm === this.#alarm) this.#handle({ type: 'time' })
    })
  }

  #perform(effect: IkeEffect): void {
    switch (effect.type) {
      case 'send':
        this.#network.send({
          from: effect.local,
          to: effect.remote,
          payload: { kind: 'ike', bytes: effect.bytes.slice() },
        })
        return
      case 'keepalive':
        this.#network.send({ from: effect.local, to: effect.remote, payload: { kind: 'keepalive' } })
        return
      case 'install-child':
        this.#children.set(effect.sa.id, {
          sa: effect.sa,
          remote: effect.sa.remoteAddress,
          lastReport: Number.NEGATIVE_INFINITY,
        })
        return
      case 'promote-child': {
        const { sa } = this.#children.get(effect.id)!
        this.#carrying.delete(slot(sa))
        this.#carrying.set(slot(sa), effect.id)
        return
      }
      case 'demote-child': {
        const { sa } = this.#children.get(effect.id)!
        this.#carrying.delete(slot(sa))
        return
      }
      case 'remove-child':
        this.#children.delete(effect.id)
        return
      case 'move-child':
        this.#children.get(effect.id)!.remote = effect.remoteAddress
        return
      case 'report':
        this.events.push({ at: this.#timeline.now, event: effect.event })
        return
      case 'key-log':
      case 'connection-removed':
      case 'stopped':
        return
      default:
        unreachable(effect)
    }
  }
}

function slot({ connection, child, resource }: Pick<ChildSaSpec, 'connection' | 'child' | 'resource'>): string {
  return `${connection}/${child}/${resource}`
}
