/** Two sites on a virtual clock, from a seed: the IKE machines are real, everything around them is simulated. */
import { createHash } from 'node:crypto'
import type { ConnectionConfig, EndpointLimits, IkeKey } from '../../connector/core/ike/types.ts'
import { type Address, address } from '../../protocol/net.ts'
import { Gateway } from './gateway.ts'
import { type LinkQuality, Network } from './network.ts'
import { SeededRandom } from './random.ts'
import { Timeline } from './timeline.ts'

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

export const CONNECTION = 'site'
export const CHILD = 'net'

export const LIMITS: EndpointLimits = {
  cookieThreshold: 32,
  maxHalfOpen: 128,
  retransmitMs: 2000,
  retransmitFactor: 1.3,
  retransmitTries: 14,
  retryMs: 1000,
  retryMaxMs: 30_000,
}

export interface WorldOptions {
  readonly seed: number
  readonly quality: LinkQuality
  /** Both ends initiate, which makes them collide at start. */
  readonly bothInitiate?: boolean
  /** The initiator sits behind a NAT. */
  readonly nat?: boolean
  /** Milliseconds between two packets of a flow, each way; there is one flow on each resource. */
  readonly packetEveryMs: number
  readonly childRekeyMs: number
  readonly ikeRekeyMs: number
  readonly dpdMs?: number
  /** Resources of the left and of the right gateway; one each where absent. */
  readonly resources?: readonly [number, number]
  /** Of both ends, where keys are to change. */
  readonly keys?: readonly IkeKey[]
}

export class World {
  readonly timeline = new Timeline()
  readonly network: Network
  readonly left: Gateway
  readonly right: Gateway
  readonly #options: WorldOptions
  readonly #trace = createHash('sha256')

  constructor(options: WorldOptions) {
    this.#options = options
    const random = new SeededRandom(options.seed)
    this.network = new Network(this.timeline, random, options.quality, (line) => this.#trace.update(`${line}\n`))
    const [inside, outside, other] = [address('10.99.0.2'), address('192.0.2.1'), address('192.0.2.2')]
    if (options.nat === true) this.network.putNat(inside, outside)
    const own = options.nat === true ? inside : outside
    this.right = this.#gateway(
      'right',
      other,
      options.nat === true ? undefined : own,
      options.bothInitiate === true,
      random,
    )
    this.left = this.#gateway('left', own, other, true, random)
    for (const gateway of [this.left, this.right]) this.#startFlow(gateway)
  }

  /** Of the left and of the right gateway. */
  get resources(): readonly [number, number] {
    return this.#options.resources ?? [1, 1]
  }

  /**
   * Runs the first minute, in which the tunnel comes up. What a responder sends before the initiator has its answer
   * finds no SA: nothing carried it before, so no packet of a working tunnel is lost.
   */
  establish(): void {
    this.timeline.runUntil(MINUTE)
    for (const gateway of [this.left, this.right]) gateway.undeliverable = []
  }

  /** Fingerprint of every IKE datagram so far: octets, addresses, instants. */
  fingerprint(): string {
    return this.#trace.copy().digest('hex')
  }

  #gateway(
    name: string,
    local: Address,
    remote: Address | undefined,
    initiate: boolean,
    random: SeededRandom,
  ): Gateway {
    const connections = [this.#connection(name, local, remote, initiate)]
    const resources = this.resources[name === 'left' ? 0 : 1]
    return new Gateway(name, connections, LIMITS, this.timeline, this.network, random, resources)
  }

  #connection(
    name: string,
    localAddress: Address,
    remoteAddress: Address | undefined,
    initiate: boolean,
  ): ConnectionConfig {
    const { childRekeyMs, ikeRekeyMs, dpdMs, keys } = this.#options
    const mine = name === 'left' ? '10.1.0' : '10.2.0'
    const theirs = name === 'left' ? '10.2.0' : '10.1.0'
    const selector = (network: string) => ({
      protocol: 0,
      startPort: 0,
      endPort: 65_535,
      startAddress: address(`${network}.0`),
      endAddress: address(`${network}.255`),
    })
    return {
      name: CONNECTION,
      localAddress,
      ...(remoteAddress === undefined ? {} : { remoteAddress }),
      remotePort: 500,
      remoteNatPort: 4500,
      localId: { type: 'fqdn', value: `${name}.example` },
      remoteId: { type: 'fqdn', value: `${name === 'left' ? 'right' : 'left'}.example` },
      psk: new TextEncoder().encode('a secret of the simulated world'),
      ...(keys === undefined ? {} : { keys }),
      initiate,
      proposals: [{ encryption: 'aes128gcm16', prf: 'prfsha256', group: 'x25519' }],
      children: [
        {
          name: CHILD,
          local: [selector(mine)],
          remote: [selector(theirs)],
          proposals: [{ encryption: 'aes128gcm16', group: 'x25519', esn: false }],
          lifetime: { softMs: childRekeyMs, hardMs: childRekeyMs * 1.2, jitterMs: childRekeyMs / 10 },
          replayWindow: 1024,
        },
      ],
      lifetime: { softMs: ikeRekeyMs, hardMs: ikeRekeyMs * 1.2, jitterMs: ikeRekeyMs / 10 },
      dpdIntervalMs: dpdMs ?? 30 * SECOND,
      encapsulation: 'udp',
      natKeepaliveMs: 20 * SECOND,
      fragmentSize: 1280,
    }
  }

  #startFlow(gateway: Gateway): void {
    const tick = (): void => {
      gateway.sendPackets(CONNECTION, CHILD)
      this.timeline.after(this.#options.packetEveryMs, tick)
    }
    this.timeline.after(this.#options.packetEveryMs, tick)
  }
}
