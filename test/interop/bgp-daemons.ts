/** FRR, GoBGP and ExaBGP as BGP neighbours in a namespace: each with one neighbour, and prefixes that it announces. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { World } from '../system/netns.ts'
import { until } from '../system/until.ts'

export interface DaemonOptions {
  readonly localAs: number
  readonly local: string
  readonly neighbour: string
  readonly neighbourAs: number
  readonly prefixes: readonly string[]
  readonly password?: string
}

export interface Daemon {
  /** What it knows of a prefix, in its own words; empty where it knows none. */
  knows(prefix: string): Promise<string>
  /** Takes back what it announces of that prefix. */
  withdraw(prefix: string): Promise<void>
  /** A command in its own language; ExaBGP only. */
  tell?(command: string): void
  log(): string
  stop(): Promise<void>
}

export type StartDaemon = (world: World, ns: string, directory: string, options: DaemonOptions) => Promise<Daemon>

export const startFrr: StartDaemon = async (world, ns, directory, options) => {
  const { localAs, local, neighbour, neighbourAs, prefixes, password } = options
  const folder = folderOf(directory, 'frr')
  const lines = [
    'log stdout debugging',
    'debug bgp neighbor-events',
    `router bgp ${localAs}`,
    ` bgp router-id ${local}`,
    ' no bgp network import-check',
    ' no bgp ebgp-requires-policy',
    ` neighbor ${neighbour} remote-as ${neighbourAs}`,
    ` neighbor ${neighbour} update-source ${local}`,
    ` neighbor ${neighbour} timers connect 2`,
    ...(password === undefined ? [] : [` neighbor ${neighbour} password ${password}`]),
    ' address-family ipv4 unicast',
    ...prefixes.map((prefix) => `  network ${prefix}`),
    ' exit-address-family',
  ]
  const file = join(folder, 'bgpd.conf')
  writeFileSync(file, `${lines.join('\n')}\n`)
  const words = ['-Z', '-u', 'root', '-g', 'root', '-f', file, '-i', join(folder, 'pid'), '--vty_socket', folder]
  const daemon = world.spawn(ns, ['/usr/lib/frr/bgpd', ...words, '-l', local, '-S'])
  const vtysh = async (...commands: string[]): Promise<string> => {
    const each = commands.flatMap((command) => ['-c', command])
    return (await world.exec(ns, ['vtysh', '--vty_socket', folder, '-d', 'bgpd', ...each], { check: false })).stdout
  }
  await until('bgpd to answer', async () => (await vtysh('show version')).includes('FRR'))
  return {
    knows: async (prefix) => {
      const answer = await vtysh(`show bgp ipv4 unicast ${prefix}`)
      return answer.includes('not in table') ? '' : answer
    },
    withdraw: async (prefix) => {
      await vtysh('configure terminal', `router bgp ${localAs}`, 'address-family ipv4 unicast', `no network ${prefix}`)
    },
    log: () => daemon.output(),
    stop: () => daemon.stop(),
  }
}

export const startGoBgp: StartDaemon = async (world, ns, directory, options) => {
  const { localAs, local, neighbour, neighbourAs, prefixes, password } = options
  const folder = folderOf(directory, 'gobgp')
  const file = join(folder, 'gobgpd.toml')
  const auth = password === undefined ? '' : `auth-password = "${password}"`
  writeFileSync(
    file,
    `[global.config]
as = ${localAs}
router-id = "${local}"
local-address-list = ["${local}"]
[[neighbors]]
[neighbors.config]
neighbor-address = "${neighbour}"
peer-as = ${neighbourAs}
${auth}
[neighbors.transport.config]
local-address = "${local}"
[neighbors.timers.config]
connect-retry = 2
`,
  )
  const daemon = world.spawn(ns, ['gobgpd', '-f', file, '--api-hosts', '127.0.0.1:50051'])
  const gobgp = async (...words: string[]): Promise<string> => {
    return (await world.exec(ns, ['gobgp', ...words], { check: false })).stdout
  }
  await until('gobgpd to answer', async () => (await gobgp('neighbor')).includes(neighbour))
  for (const prefix of prefixes) await gobgp('global', 'rib', 'add', prefix, 'nexthop', local)
  return {
    knows: async (prefix) => {
      const answer = await gobgp('global', 'rib', prefix)
      return answer.includes('not in table') ? '' : answer
    },
    withdraw: async (prefix) => {
      await gobgp('global', 'rib', 'del', prefix)
    },
    log: () => daemon.output(),
    stop: () => daemon.stop(),
  }
}

/** It has no table: what it receives stands in its log, as JSON. */
export const startExaBgp: StartDaemon = async (world, ns, directory, options) => {
  const { localAs, local, neighbour, neighbourAs, prefixes, password } = options
  const folder = folderOf(directory, 'exabgp')
  const file = join(folder, 'exabgp.conf')
  const pipe = join(folder, 'commands')
  writeFileSync(pipe, '')
  writeFileSync(
    file,
    `process talk {
  run /usr/bin/tail -n +1 -f ${pipe};
  encoder json;
}
neighbor ${neighbour} {
  router-id ${local};
  local-address ${local};
  local-as ${localAs};
  peer-as ${neighbourAs};
  ${password === undefined ? '' : `md5-password "${password}";`}
  family { ipv4 unicast; }
  api { processes [ talk ]; }
  static {
${prefixes.map((prefix) => `    route ${prefix} next-hop self;`).join('\n')}
  }
}
`,
  )
  const env = {
    'exabgp.daemon.user': 'root',
    'exabgp.api.cli': 'false',
    'exabgp.api.ack': 'false',
    'exabgp.log.routes': 'true',
    'exabgp.log.level': 'DEBUG',
    'exabgp.log.destination': 'stdout',
  }
  const words = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const daemon = world.spawn(ns, ['env', ...words, '/usr/sbin/python3-exabgp', file])
  return {
    knows: async (prefix) => {
      const lines = daemon.output().split('\n')
      return lines.filter((line) => line.includes('UPDATE') && line.includes(prefix)).join('\n')
    },
    withdraw: async (prefix) => {
      writeFileSync(pipe, `withdraw route ${prefix} next-hop self\n`, { flag: 'a' })
    },
    tell: (command) => writeFileSync(pipe, `${command}\n`, { flag: 'a' }),
    log: () => daemon.output(),
    stop: () => daemon.stop(),
  }
}

function folderOf(directory: string, name: string): string {
  const folder = join(directory, name)
  mkdirSync(folder, { recursive: true })
  return folder
}
