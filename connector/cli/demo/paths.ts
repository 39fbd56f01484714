/**
 * The demo's second world: two sites with two ways through the internet between them, a tunnel on each, BGP in both.
 *
 *     plant 198.18.1.1 -- transit-a -- 198.18.2.1 cloud
 *           198.18.3.1 -- transit-b -- 198.18.4.1
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ConnectorStatus } from '../../../protocol/status.ts'
import type { Spawned, World } from '../../io/namespaces.ts'
import { controlClient } from '../../ops/client.ts'
import { MAIN } from './sites.ts'

interface End {
  readonly name: 'plant' | 'cloud'
  readonly as: number
  readonly networks: readonly string[]
  /** On the TUN device, within the first network. */
  readonly address: string
  /** By way: outer and inner addresses, ours. */
  readonly outer: Record<Way, string>
  readonly inner: Record<Way, string>
}

type Way = 'a' | 'b'
const WAYS: readonly Way[] = ['a', 'b']

export const PLANT: End = {
  name: 'plant',
  as: 64_512,
  networks: ['10.11.0.0/24'],
  address: '10.11.0.1',
  outer: { a: '198.18.1.1', b: '198.18.3.1' },
  inner: { a: '169.254.10.1', b: '169.254.10.5' },
}
export const CLOUD: End = {
  name: 'cloud',
  as: 64_513,
  networks: ['10.12.0.0/24', '10.12.1.0/24', '10.12.2.0/24'],
  address: '10.12.0.1',
  outer: { a: '198.18.2.1', b: '198.18.4.1' },
  inner: { a: '169.254.10.2', b: '169.254.10.6' },
}

export interface RunningPaths {
  readonly connectors: readonly Spawned[]
  status(end: End): Promise<ConnectorStatus>
}

/** Namespaces, links and both connectors, started. */
export async function startPaths(world: World, directory: string): Promise<RunningPaths> {
  for (const { name } of [PLANT, CLOUD]) await world.ns(name)
  for (const way of WAYS) await layOutWay(world, way)
  const secret = join(directory, 'paths.key')
  writeFileSync(secret, 'two ways, one secret: for the demo alone\n', { mode: 0o600 })
  const connectors = [startEnd(world, directory, PLANT, CLOUD), startEnd(world, directory, CLOUD, PLANT)]
  await Promise.all(connectors.map((connector) => connector.waitFor(/"event":"started"/)))
  return { connectors, status: ({ name }) => controlClient(socketOf(directory, name)).status() }
}

/** Nothing passes there any more, and nobody is told. */
export async function cutWay(world: World, way: Way): Promise<void> {
  await world.exec(transit(way), 'echo 0 > /proc/sys/net/ipv4/ip_forward')
}

async function layOutWay(world: World, way: Way): Promise<void> {
  await world.ns(transit(way))
  await world.exec(transit(way), 'echo 1 > /proc/sys/net/ipv4/ip_forward')
  for (const [end, other] of [
    [PLANT, CLOUD],
    [CLOUD, PLANT],
  ] as const) {
    const router = end.outer[way].replace(/\d+$/, '254')
    await world.link(transit(way), end.name, {
      names: [`to-${end.name}`, `way-${way}`],
      addresses: [[`${router}/24`], [`${end.outer[way]}/24`]],
    })
    await world.exec(end.name, `ip route add ${other.outer[way]} via ${router}`)
  }
}

function startEnd(world: World, directory: string, end: End, other: End): Spawned {
  const folder = join(directory, end.name)
  mkdirSync(folder, { mode: 0o700 })
  const config = join(folder, 'isthmus.yaml')
  writeFileSync(config, configurationOf(directory, end, other))
  return world.spawn(end.name, [process.execPath, MAIN, 'up', '--config', config])
}

function configurationOf(directory: string, end: End, other: End): string {
  const peers = WAYS.map(
    (way) => `  ${way}:
    address: ${other.outer[way]}
    local_address: ${end.outer[way]}
    secret: { file: ${join(directory, 'paths.key')} }
    inside: [${end.inner[way]}/30]
    routes: bgp
    probe: fast`,
  )
  const neighbours = WAYS.map(
    (way) =>
      `    ${way}: { peer: ${way}, address: ${other.inner[way]}, as: ${other.as}, import: ${way}, export: ours, connect_retry: 1s, bfd: {} }`,
  )
  return `site: ${end.name}
address: ${end.outer.a}
networks: [${end.networks.join(', ')}]
workers: 1
tun: { addresses: [${end.address}] }
metrics: { enabled: false }
state_directory: ${join(directory, end.name)}
control_socket: ${socketOf(directory, end.name)}
peers:
${peers.join('\n')}
bgp:
  as: ${end.as}
  neighbours:
${neighbours.join('\n')}
  policies:
    a: { rules: [{ set: { local_pref: 200 }, do: accept }] }
    b: { rules: [{ set: { local_pref: 100 }, do: accept }] }
    ours: { rules: [{ if: { from: [local] }, do: accept }] }
`
}

function transit(way: Way): string {
  return `transit-${way}`
}

function socketOf(directory: string, name: string): string {
  return join(directory, `${name}.sock`)
}
