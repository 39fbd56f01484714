/** One of our connectors in a namespace, started as a user would: a YAML file and `isthmus up`. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { controlClient } from '../../connector/ops/client.ts'
import type { ConnectorStatus, TunnelStatus } from '../../protocol/status.ts'
import type { Spawned, World } from '../system/netns.ts'
import { until } from '../system/until.ts'

const MAIN = join(import.meta.dirname, '../../connector/main.ts')

export interface IsthmusOptions {
  readonly address: string
  readonly networks: readonly string[]
  readonly peer: {
    readonly name?: string
    readonly address?: string
    readonly networks: readonly string[]
    readonly secret: string
    /** Further keys of the peer in YAML flow style, for example `ike: { proposals: [...] }`; one a line. */
    readonly keys?: readonly string[]
  }
  /** Lines of further peers, without the indent of their names. */
  readonly morePeers?: readonly string[]
  /** Further top-level keys, one a line. */
  readonly keys?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Isthmus {
  readonly peer: string
  status(): Promise<ConnectorStatus>
  /** The only tunnel. */
  tunnel(): Promise<TunnelStatus>
  /** Waits until the tunnel and every child is up. */
  up(limitMs?: number): Promise<TunnelStatus>
  rekey(what: string): Promise<void>
  log(): string
  readonly process: Spawned
  readonly keyLog: string
  readonly paths: Paths
  /** SIGKILL: nobody says goodbye. */
  kill(): Promise<void>
  stop(): Promise<void>
}

export interface Paths {
  readonly config: string
  readonly secret: string
  readonly socket: string
  readonly keyLog: string
}

/** The configuration file with its secret, in a folder of this namespace within `directory`. */
export function writeConfiguration(ns: string, directory: string, options: IsthmusOptions): Paths {
  const folder = join(directory, `isthmus-${ns}`)
  mkdirSync(folder, { recursive: true })
  const paths = {
    config: join(folder, 'isthmus.yaml'),
    secret: join(folder, 'psk'),
    socket: join(folder, 's'),
    keyLog: join(folder, 'keys.jsonl'),
  }
  writeFileSync(paths.secret, options.peer.secret, { mode: 0o600 })
  writeFileSync(paths.config, configuration(ns, folder, options))
  return paths
}

/** What runs a verb of the CLI with that configuration. */
export function verbCommand(paths: Paths, verb: string): string[] {
  return [process.execPath, MAIN, verb, '--config', paths.config]
}

export async function startIsthmus(
  world: World,
  ns: string,
  directory: string,
  options: IsthmusOptions,
): Promise<Isthmus> {
  const paths = writeConfiguration(ns, directory, options)
  const process_ = world.spawn(ns, verbCommand(paths, 'up'), { env: { ...options.env } })
  const client = controlClient(paths.socket)
  await until(`the connector in ${ns} to answer`, async () => {
    if (process_.child.exitCode !== null) throw new Error(`the connector in ${ns} ended:\n${process_.output()}`)
    return client.status().then(
      () => true,
      () => false,
    )
  })
  const tunnel = async (): Promise<TunnelStatus> => (await client.status()).tunnels[0]!
  return {
    peer: peerName(options),
    process: process_,
    keyLog: paths.keyLog,
    paths,
    status: () => client.status(),
    tunnel,
    up: async (limitMs = 30_000) => {
      await until(`the tunnel of ${ns} to come up`, async () => (await tunnel()).state === 'up', limitMs).catch(
        async (error: Error) => {
          throw new Error(`${error.message}\n${JSON.stringify(await tunnel(), null, 2)}\n${process_.output()}`)
        },
      )
      return tunnel()
    },
    rekey: async (what) => {
      await client.rekey(peerName(options), what)
    },
    log: () => process_.output(),
    kill: async () => {
      process_.child.kill('SIGKILL')
      await process_.exited
    },
    stop: () => process_.stop(),
  }
}

export function readKeyLog(isthmus: Isthmus): Record<string, string>[] {
  return readFileSync(isthmus.keyLog, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, string>)
}

function peerName(options: IsthmusOptions): string {
  return options.peer.name ?? 'peer'
}

function configuration(ns: string, folder: string, options: IsthmusOptions): string {
  const lines = [
    `site: ${ns}`,
    `address: '${options.address}'`,
    `networks: [${options.networks.map((network) => `'${network}'`).join(', ')}]`,
    'peers:',
    `  ${peerName(options)}:`,
    ...(options.peer.address === undefined ? [] : [`    address: '${options.peer.address}'`]),
    `    networks: [${options.peer.networks.map((network) => `'${network}'`).join(', ')}]`,
    '    secret: { file: psk }',
    ...(options.peer.keys ?? []).map((line) => `    ${line}`),
    ...(options.morePeers ?? []).map((line) => `  ${line}`),
    `state_directory: ${join(folder, 'state')}`,
    `control_socket: ${join(folder, 's')}`,
    `key_log: ${join(folder, 'keys.jsonl')}`,
    'log: { format: json, level: debug }',
    ...(options.keys ?? []),
  ]
  return `${lines.join('\n')}\n`
}
