/**
 * The demo's world: two sites, each a gateway and a host behind it, a link between the gateways that stands for the
 * internet, a machine for the control plane, which both gateways reach, and one for a function, which reaches nothing
 * but the control plane.
 *
 *     host-hq 10.1.0.10 -- gateway-hq 192.0.2.1 ==internet== 192.0.2.2 gateway-branch -- host-branch 10.2.0.10
 *                                      \\                      /
 *                                       control 203.0.113.1 --- function
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Spawned, World } from '../../io/namespaces.ts'

export interface Site {
  readonly name: 'hq' | 'branch'
  readonly gateway: string
  readonly host: string
  readonly outer: string
  readonly network: string
  readonly gatewayAddress: string
  readonly hostAddress: string
  readonly stateDirectory: string
  readonly controlSocket: string
}

export interface Sites {
  readonly hq: Site
  readonly branch: Site
}

export const MAIN = join(import.meta.dirname, '../../main.ts')
export const CONTROL = { namespace: 'control', address: '203.0.113.1', port: 9701 } as const
export const FUNCTION = 'function'
/** Of the host of branch: what the demo's function asks. */
export const ERP_PORT = 8000
const PROBE = join(import.meta.dirname, 'probe.ts')

/** Makes namespaces and links, and says where files belong. Everything of it lives in `world` and `directory`. */
export async function layOutSites(world: World, directory: string): Promise<Sites> {
  const hq = describeSite('hq', 1, directory)
  const branch = describeSite('branch', 2, directory)
  for (const site of [hq, branch]) {
    await world.ns(site.gateway)
    await world.ns(site.host)
    await world.link(site.gateway, site.host, {
      names: ['lan', 'eth0'],
      addresses: [[`${site.gatewayAddress}/24`], [`${site.hostAddress}/24`]],
    })
    await world.exec(site.host, `ip route add default via ${site.gatewayAddress}`)
    await world.exec(site.gateway, 'echo 1 > /proc/sys/net/ipv4/ip_forward')
  }
  await world.link(hq.gateway, branch.gateway, {
    names: ['internet', 'internet'],
    addresses: [[`${hq.outer}/24`], [`${branch.outer}/24`]],
  })
  await world.ns(CONTROL.namespace)
  await world.exec(CONTROL.namespace, `ip addr add ${CONTROL.address}/32 dev lo`)
  for (const [index, site] of [hq, branch].entries()) await reachControl(world, site, `198.51.100.${4 * index}`)
  await layOutFunction(world)
  return { hq, branch }
}

/** A way of four addresses, from `first` on. The gateway is known to the control plane by its address on the internet. */
async function reachControl(world: World, site: Site, first: string): Promise<void> {
  const at = (offset: number) => first.replace(/\d+$/, (last) => String(Number(last) + offset))
  await world.link(CONTROL.namespace, site.gateway, {
    names: [`to-${site.name}`, 'to-control'],
    addresses: [[`${at(1)}/30`], [`${at(2)}/30`]],
  })
  await world.exec(CONTROL.namespace, `ip route add ${site.outer} via ${at(2)}`)
  await world.exec(site.gateway, `ip route add ${CONTROL.address} via ${at(1)} src ${site.outer}`)
}

async function layOutFunction(world: World): Promise<void> {
  await world.ns(FUNCTION)
  await world.link(CONTROL.namespace, FUNCTION, {
    names: ['to-function', 'to-control'],
    addresses: [['198.51.100.9/30'], ['198.51.100.10/30']],
  })
  await world.exec(FUNCTION, `ip route add ${CONTROL.address} via 198.51.100.9`)
}

/** The gateway of `site` lets the function `orders` reach the ERP at `host`. */
export function declareErp(site: Site, host: string): void {
  mkdirSync(site.stateDirectory, { recursive: true, mode: 0o700 })
  const text = `services:\n  erp:\n    target: http://${host}:${ERP_PORT}\n    allow: [orders]\n`
  writeFileSync(join(site.stateDirectory, 'services.yaml'), text)
}

function describeSite(name: Site['name'], number: number, directory: string): Site {
  return {
    name,
    gateway: `gateway-${name}`,
    host: `host-${name}`,
    outer: `192.0.2.${number}`,
    network: `10.${number}.0.0/24`,
    gatewayAddress: `10.${number}.0.1`,
    hostAddress: `10.${number}.0.10`,
    stateDirectory: join(directory, `${name}.state`),
    controlSocket: join(directory, `${name}.sock`),
  }
}

/** Joins as a person would on that machine, and runs until a signal; it logs JSON lines. */
export function joinAs(
  world: World,
  site: Pick<Site, 'gateway' | 'stateDirectory' | 'controlSocket'>,
  url: string,
  token: string,
): Spawned {
  const place = ['--state-directory', site.stateDirectory, '--socket', site.controlSocket]
  // One packet worker: two gateways share this machine, and the demo tells the same on any.
  const env = { ISTHMUS_WORKERS: '1' }
  return world.spawn(site.gateway, [process.execPath, MAIN, 'join', url, token, ...place], { env })
}

/** Starts one of the programs of `probe.ts` on a site's host. */
export function startProbe(world: World, site: Site, ...args: (string | number)[]): Spawned {
  return world.spawn(site.host, probeVector(...args))
}

export function probeVector(...args: (string | number)[]): string[] {
  return [process.execPath, PROBE, ...args.map(String)]
}
