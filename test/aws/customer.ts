/** The customer's side for tests: a gateway on the internet with a host behind it, and flows that show every loss. */
import { type Arrivals, type RunningFlow, startFlow } from '../system/flows.ts'
import type { World } from '../system/netns.ts'
import type { CarriedConnection } from './carrier.ts'
import { insideAddresses } from './endpoint-bird.ts'
import type { AwsNetwork } from './network.ts'
import { ROUTER_SETTINGS } from './network-place.ts'

/** A namespace and an address that it has. */
export interface Spot {
  readonly ns: string
  readonly address: string
}

export interface Site {
  /** Where the connector belongs; its outer address. */
  readonly gateway: Spot
  readonly host: Spot
  /** A /24. */
  readonly network: string
}

/** `name` is the gateway's namespace, `host-<name>` that of the host, the tenth address of `network`, a /24. */
export async function createSite(aws: AwsNetwork, name: string, outer: string, network: string): Promise<Site> {
  const { world } = aws
  const host = `host-${name}`
  const address = (last: number): string => network.replace(/0\/24$/, String(last))
  await Promise.all([world.ns(name), world.ns(host)])
  await world.exec(name, ROUTER_SETTINGS)
  await aws.attachCustomer(name, outer)
  await world.link(name, host, { names: ['lan', 'lan'], addresses: [[`${address(1)}/24`], [`${address(10)}/24`]] })
  await world.exec(host, `ip route add default via ${address(1)}`)
  return { gateway: { ns: name, address: outer }, host: { ns: host, address: address(10) }, network }
}

export interface Count extends Arrivals {
  readonly sent: number
  readonly lost: number
}

export interface Exchange {
  /** Ends it, when all that was sent has arrived or will not any more. */
  stop(): Promise<{ readonly there: Count; readonly back: Count }>
}

/** Numbered datagrams both ways, `rate` a second each, for as long as it takes. Takes the ports `port` and the next. */
export async function startExchange(world: World, one: Spot, other: Spot, rate = 1000, port = 7000): Promise<Exchange> {
  const flow = (from: Spot, to: Spot, at: number): Promise<RunningFlow> =>
    startFlow(world, { from: from.ns, fromAddress: from.address, to: to.ns, toAddress: to.address, port: at, rate })
  const [there, back] = await Promise.all([flow(one, other, port), flow(other, one, port + 1)])
  return {
    stop: async () => {
      const [went, came] = await Promise.all([there.stop(), back.stop()])
      return { there: countOf(went), back: countOf(came) }
    },
  }
}

function countOf({ sent, arrivals }: Awaited<ReturnType<RunningFlow['stop']>>): Count {
  return { ...arrivals, sent, lost: sent - arrivals.received }
}

/** How a site wants one of its tunnels used. */
export interface Wish {
  readonly localPref?: number
  readonly med?: number
  readonly prepend?: number
}

/** `isthmus.yaml` for both tunnels of a connection; their secrets are in the files `one` and `two`. */
export function siteFile(site: Site, connection: CarriedConnection, wishes: readonly [Wish, Wish] = [{}, {}]): string {
  const names = ['one', 'two'] as const
  const isStatic = connection.staticRoutes !== undefined
  const peers = names.map((name, side) => {
    const tunnel = connection.tunnels[side as 0 | 1]
    const { customer } = insideAddresses(tunnel.insideCidr)
    const routes = isStatic ? `routes: [${connection.announces.join(', ')}]` : 'routes: bgp'
    return `  ${name}: { address: ${tunnel.outside}, networks: [0.0.0.0/0], secret: { file: ${name} }, ${routes}, inside: [${customer}/30],
    dpd: 2s, ike: { proposals: [aes256gcm16-prfsha384-ecp384] }, esp: { proposals: [aes256gcm16-ecp384] } }`
  })
  const head = `site: ${site.gateway.ns}\naddress: ${site.gateway.address}\nnetworks: [${site.network}]\npeers:\n${peers.join('\n')}\n`
  return isStatic ? `${head}groups: { aws: { order: [one, two] } }\n` : head + bgpOf(connection, wishes)
}

function bgpOf(connection: CarriedConnection, wishes: readonly [Wish, Wish]): string {
  const names = ['one', 'two'] as const
  const neighbours = names.map((name, side) => {
    const { amazon } = insideAddresses(connection.tunnels[side as 0 | 1].insideCidr)
    return `    ${name}: { peer: ${name}, address: ${amazon}, as: ${connection.amazonAs}, import: from-${name}, export: to-${name}, hold: 30s, connect_retry: 1s }`
  })
  const policies = names.map((name, side) => {
    const { localPref = 100, med = 0, prepend = 0 } = wishes[side as 0 | 1]
    return `    from-${name}: { rules: [{ set: { local_pref: ${localPref} }, do: accept }] }
    to-${name}: { rules: [{ if: { from: [local] }, set: { med: ${med}${prepend > 0 ? `, prepend: { times: ${prepend} }` : ''} }, do: accept }] }`
  })
  return `bgp:\n  as: ${connection.customer.as}\n  neighbours:\n${neighbours.join('\n')}\n  policies:\n${policies.join('\n')}\n`
}
