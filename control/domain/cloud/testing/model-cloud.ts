/**
 * AWS, a connector and whoever carries out runs, as models on a virtual clock: AWS shows late what was made, throttles,
 * loses answers, takes its time; the runner dies between any two of its steps. Everything follows from a seed.
 */
import type { Seen, SeenVpnConnection } from '../provider.ts'
import { type CloudAction, CloudFailure, type CloudFailureKind, TAG_CLOUD, type Tags } from '../provider.ts'

const DAY = 86_400_000

interface Made {
  readonly visibleAt: number
}
interface ModelTunnel {
  outside: string
  insideCidr: string
  psk: string
  options: Record<string, unknown>
}
interface ModelConnection extends Made {
  readonly id: string
  readonly customerGateway: string
  readonly vpnGateway?: string
  readonly transitGateway?: string
  readonly tags: Tags
  readonly tunnels: ModelTunnel[]
  readonly staticRoutesOnly: boolean
  routes: string[]
  /** Available from then on; deleted from then on. */
  availableAt: number
  deletedAt?: number
  /** Down while it is changed; shown as `before` until `shownAt`. */
  modifying?: {
    readonly tunnel: number
    readonly until: number
    readonly shownAt: number
    readonly before: ModelTunnel
  }
  /** Shown as if nothing had happened until then. */
  deletionShownAt?: number
}

export interface Chances {
  readonly unknown: number
  readonly later: number
  readonly refused?: CloudFailureKind
}

export class ModelAws {
  readonly vpc = { id: 'vpc-0123456789abcdef0', state: 'available' as const, blocks: ['172.31.0.0/16'] }
  readonly customerGateways: (Made & { id: string; address: string; as: number; tags: Tags; deletedAt?: number })[] = []
  readonly vpnGateways: (Made & {
    id: string
    as: number
    tags: Tags
    vpc?: string
    attachedAt: number
    deletedAt?: number
  })[] = []
  readonly connections: ModelConnection[] = []
  transit?: NonNullable<Seen['transitGateway']>
  readonly tables = ['rtb-0000000000000001', 'rtb-0000000000000002'].map((id, index) => ({
    id,
    main: index === 0,
    /** From when it is shown. */
    propagating: new Map<string, number>(),
    routes: new Map<string, string>(),
  }))
  calls: string[] = []
  /** How late AWS shows what was done, at most. */
  lagMs = 20_000
  chances: Chances = { unknown: 0, later: 0 }
  /** As where only others may read keys. */
  hidesKeys = false
  readonly #random: () => number
  readonly #fingerprint: (psk: string) => string
  #next = 1

  constructor(random: () => number, fingerprint: (psk: string) => string) {
    this.#random = random
    this.#fingerprint = fingerprint
  }

  /** Throws a CloudFailure; `unknown` after the effect, or without it. */
  perform(action: CloudAction, secrets: ReadonlyMap<string, string>, now: number): { id?: string } {
    this.calls.push(action.type)
    if (this.chances.refused !== undefined) throw failure(this.chances.refused)
    if (this.#random() < this.chances.later) throw failure('later')
    const lost = this.#random() < this.chances.unknown
    if (lost && this.#random() < 0.5) throw failure('unknown')
    const result = this.#effect(action, secrets, now)
    if (lost) throw failure('unknown')
    return result
  }

  look(now: number): Seen {
    const shown = <T extends Made>(all: readonly T[]) => all.filter(({ visibleAt }) => visibleAt <= now)
    const isShown = (since: number) => since <= now
    const stateOf = ({ deletedAt }: { deletedAt?: number }) => (deletedAt === undefined ? 'available' : 'deleted')
    return {
      vpcs: [this.vpc],
      customerGateways: shown(this.customerGateways).map((each) => ({ ...each, state: stateOf(each) })),
      vpnGateways: shown(this.vpnGateways).map((each) => ({
        id: each.id,
        as: each.as,
        tags: each.tags,
        state: stateOf(each),
        attachments:
          each.vpc === undefined ? [] : [{ vpc: each.vpc, state: now >= each.attachedAt ? 'attached' : 'attaching' }],
      })),
      vpnConnections: shown(this.connections)
        .filter(({ deletedAt }) => deletedAt === undefined || now < deletedAt + DAY)
        .map((each) => this.#shown(each, now)),
      routeTables: this.tables.map(({ id, main, propagating, routes }) => ({
        id,
        vpc: this.vpc.id,
        main,
        propagating: [...propagating].flatMap(([id, since]) => (isShown(since) ? [id] : [])),
        routes: [...routes].map(([prefix, target]) => ({ prefix, target, state: 'active', origin: 'created' })),
      })),
      ...(this.transit === undefined ? {} : { transitGateway: this.transit }),
      takenInside: [],
    }
  }

  /** Whether packets pass, as far as AWS goes, with this key. */
  passes(insideCidr: string, psk: string, now: number): boolean {
    const connection = this.living(now).find(({ tunnels }) => tunnels.some((each) => each.insideCidr === insideCidr))
    const index = connection?.tunnels.findIndex((tunnel) => tunnel.insideCidr === insideCidr) ?? -1
    const tunnel = connection?.tunnels[index]
    if (connection === undefined || tunnel === undefined || now < connection.availableAt) return false
    const { modifying } = connection
    if (modifying !== undefined && now < modifying.until && modifying.tunnel === index) return false
    return tunnel.psk === psk
  }

  living(_now: number): ModelConnection[] {
    return this.connections.filter(({ deletedAt }) => deletedAt === undefined)
  }

  /** All that is there, and whose it is. */
  leftovers(cloud: string): string[] {
    const all = [...this.customerGateways, ...this.vpnGateways, ...this.connections]
    const own = all.filter((each) => each.deletedAt === undefined && each.tags[TAG_CLOUD] === cloud)
    const entries = this.tables.flatMap(({ propagating, routes }) => [...propagating.keys(), ...routes.keys()])
    return [...own.map(({ id }) => id), ...entries]
  }

  #shown(each: ModelConnection, now: number): SeenVpnConnection {
    const { modifying, deletionShownAt = 0 } = each
    const late = modifying !== undefined && now < modifying.shownAt ? modifying : undefined
    const busy = modifying !== undefined && late === undefined && now < modifying.until
    const state =
      each.deletedAt !== undefined && now >= deletionShownAt
        ? now < each.deletedAt
          ? 'deleting'
          : 'deleted'
        : now < each.availableAt
          ? 'pending'
          : busy
            ? 'modifying'
            : 'available'
    return {
      id: each.id,
      state,
      customerGateway: each.customerGateway,
      ...(each.vpnGateway === undefined ? {} : { vpnGateway: each.vpnGateway }),
      ...(each.transitGateway === undefined ? {} : { transitGateway: each.transitGateway }),
      staticRoutesOnly: each.staticRoutesOnly,
      routes: each.routes.map((prefix) => ({ prefix, state: 'available' })),
      tags: each.tags,
      tunnels: each.tunnels.map((tunnel, index) => {
        const { outside, insideCidr, psk, options } = late?.tunnel === index ? late.before : tunnel
        const shown = this.hidesKeys ? {} : { keyFingerprint: this.#fingerprint(psk) }
        return { outside, insideCidr, options: { ...options }, ikeVersions: ['ikev2'], ...shown }
      }),
    }
  }

  #effect(action: CloudAction, secrets: ReadonlyMap<string, string>, now: number): { id?: string } {
    const id = (kind: string) => `${kind}-${(this.#next++).toString(16).padStart(17, '0')}`
    const visibleAt = now + Math.floor(this.#random() * this.lagMs)
    switch (action.type) {
      case 'create-customer-gateway': {
        const { address, as, tags } = action
        const there = this.customerGateways.find((each) => each.address === address && each.deletedAt === undefined)
        if (there !== undefined) return { id: there.id }
        this.customerGateways.push({ id: id('cgw'), visibleAt, address, as, tags })
        return { id: this.customerGateways.at(-1)!.id }
      }
      case 'create-vpn-gateway':
        this.vpnGateways.push({ id: id('vgw'), visibleAt, as: action.as, tags: action.tags, attachedAt: 0 })
        return { id: this.vpnGateways.at(-1)!.id }
      case 'attach-vpn-gateway': {
        const gateway = this.#gateway(action.vpnGateway)
        if (gateway.vpc === undefined) Object.assign(gateway, { vpc: action.vpc, attachedAt: now + 15_000 })
        return {}
      }
      case 'detach-vpn-gateway':
        delete this.#gateway(action.vpnGateway).vpc
        return {}
      case 'create-vpn-connection': {
        const tunnels = action.tunnels.map(({ insideCidr, options, secret }, index) => {
          return { outside: `203.0.113.${index + 1}`, insideCidr, psk: secrets.get(secret)!, options: { ...options } }
        })
        const { customerGateway, vpnGateway, transitGateway, tags, staticRoutesOnly } = action
        this.connections.push({
          id: id('vpn'),
          visibleAt,
          availableAt: now + 120_000,
          customerGateway,
          ...(vpnGateway === undefined ? {} : { vpnGateway }),
          ...(transitGateway === undefined ? {} : { transitGateway }),
          tags,
          tunnels,
          staticRoutesOnly,
          routes: [],
        })
        return { id: this.connections.at(-1)!.id }
      }
      case 'modify-tunnel': {
        const connection = this.connections.find((each) => each.id === action.vpnConnection)!
        const index = connection.tunnels.findIndex(({ outside }) => outside === action.outside)
        if (connection.modifying !== undefined && now < connection.modifying.until) throw failure('later')
        const tunnel = connection.tunnels[index]!
        const before = { ...tunnel, options: { ...tunnel.options } }
        connection.modifying = { tunnel: index, until: now + 90_000, shownAt: visibleAt, before }
        if (action.secret !== undefined) tunnel.psk = secrets.get(action.secret)!
        Object.assign(tunnel.options, action.options)
        return {}
      }
      case 'create-vpn-route':
        this.connections.find((each) => each.id === action.vpnConnection)!.routes.push(action.prefix)
        return {}
      case 'delete-vpn-route': {
        const connection = this.connections.find((each) => each.id === action.vpnConnection)!
        connection.routes = connection.routes.filter((prefix) => prefix !== action.prefix)
        return {}
      }
      case 'create-route':
        this.tables.find(({ id: table }) => table === action.routeTable)!.routes.set(action.prefix, action.target)
        return {}
      case 'delete-route':
        this.tables.find(({ id: table }) => table === action.routeTable)!.routes.delete(action.prefix)
        return {}
      case 'enable-propagation':
        this.tables.find(({ id: table }) => table === action.routeTable)!.propagating.set(action.vpnGateway, visibleAt)
        return {}
      case 'disable-propagation':
        this.tables.find(({ id: table }) => table === action.routeTable)!.propagating.delete(action.vpnGateway)
        return {}
      case 'delete-vpn-connection': {
        const connection = this.connections.find((each) => each.id === action.vpnConnection)!
        if (connection.deletedAt === undefined) {
          Object.assign(connection, { deletedAt: now + 60_000, deletionShownAt: visibleAt })
        }
        return {}
      }
      case 'tag':
        for (const each of [...this.connections, ...this.vpnGateways, ...this.customerGateways]) {
          if (each.id === action.resource) Object.assign(each, { tags: action.tags })
        }
        return {}
      case 'delete-vpn-gateway': {
        if (this.#gateway(action.vpnGateway).vpc !== undefined) throw failure('in-use')
        this.#gateway(action.vpnGateway).deletedAt = now
        return {}
      }
      case 'delete-customer-gateway': {
        const used = this.connections.some(
          ({ customerGateway: id, deletedAt }) =>
            id === action.customerGateway && (deletedAt === undefined || now < deletedAt),
        )
        if (used) throw failure('in-use')
        this.customerGateways.find((each) => each.id === action.customerGateway)!.deletedAt = now
        return {}
      }
    }
  }

  #gateway(id: string) {
    const gateway = this.vpnGateways.find((each) => each.id === id)
    if (gateway === undefined) throw failure('gone')
    return gateway
  }
}

function failure(kind: CloudFailureKind): CloudFailure {
  return new CloudFailure(kind, kind, `AWS said ${kind}.`, 'Nothing.')
}
