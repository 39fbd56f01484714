/**
 * The demo's world: two sites, each a gateway and a host behind it, and a link between the gateways that
 * stands for the internet.
 *
 *     host-hq 10.1.0.10 -- gateway-hq 192.0.2.1 ==internet== 192.0.2.2 gateway-branch -- host-branch 10.2.0.10
 */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
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
  readonly configFile: string
  readonly controlSocket: string
}

export interface Sites {
  readonly hq: Site
  readonly branch: Site
}

const MAIN = join(import.meta.dirname, '../../main.ts')
const PROBE = join(import.meta.dirname, 'probe.ts')

/** Makes namespaces, links and configuration files. Everything of it lives in `world` and `directory`. */
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
  const secretFile = join(directory, 'psk')
  writeFileSync(secretFile, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 })
  writeConfig(hq, branch, secretFile, directory)
  writeConfig(branch, hq, secretFile, directory)
  return { hq, branch }
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
    configFile: join(directory, `${name}.yaml`),
    controlSocket: join(directory, `${name}.sock`),
  }
}

/**
 * The whole configuration that a person would write, three paths that keep the demo in its own folder, and one packet
 * worker: two gateways share this machine, and the demo tells the same on any.
 */
function writeConfig(site: Site, peer: Site, secretFile: string, directory: string): void {
  writeFileSync(
    site.configFile,
    `site: ${site.name}
address: ${site.outer}
networks: [${site.network}]
peers:
  ${peer.name}:
    address: ${peer.outer}
    networks: [${peer.network}]
    secret: { file: ${secretFile} }
    initiate: ${site.name === 'hq'}
workers: 1
state_directory: ${join(directory, `${site.name}.state`)}
control_socket: ${site.controlSocket}
`,
  )
}

/** Starts the site's connector as `isthmus up` would; it logs JSON lines. */
export function startGateway(world: World, site: Site): Spawned {
  return world.spawn(site.gateway, [process.execPath, MAIN, 'up', '--config', site.configFile])
}

/** Starts one of the programs of `probe.ts` on a site's host. */
export function startProbe(world: World, site: Site, ...args: (string | number)[]): Spawned {
  return world.spawn(site.host, [process.execPath, PROBE, ...args.map(String)])
}
