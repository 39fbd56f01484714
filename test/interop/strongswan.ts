/**
 * strongSwan as a peer in a namespace: charon with kernel-libipsec, its ESP in user space, driven by swanctl.
 * Its log prints every key, so that captures can be decrypted.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Spawned, World } from '../system/netns.ts'
import { until } from '../system/until.ts'

export interface StrongSwanChild {
  readonly name: string
  readonly local: string
  readonly remote: string
  readonly proposals: string
  /** Seconds; absent: never within a test. */
  readonly rekeySeconds?: number
  /** Further lines of the child's section of swanctl.conf. */
  readonly extra?: string
}

export interface StrongSwanConnection {
  readonly local: string
  readonly remote: string
  readonly localId?: string
  readonly remoteId?: string
  readonly secret: string
  readonly proposals: string
  readonly children: readonly StrongSwanChild[]
  readonly rekeySeconds?: number
  /** Further lines of the connection section of swanctl.conf. */
  readonly extra?: string
}

export interface StrongSwanOptions {
  readonly connections: Readonly<Record<string, StrongSwanConnection>>
  /** Further lines of the daemon's section of strongswan.conf. */
  readonly daemon?: string
}

export interface StrongSwan {
  swanctl(...args: string[]): Promise<string>
  initiate(child: string): Promise<void>
  /** Takes these connections and their secrets instead of those it had. */
  configure(connections: StrongSwanOptions['connections']): Promise<void>
  /** Of its vici socket. */
  readonly uri: string
  log(): string
  /** Ends the daemon without a word to the peer, as a crash does. */
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

const PLUGINS =
  'random nonce openssl kdf hmac chapoly pem pkcs1 x509 pubkey constraints kernel-libipsec kernel-netlink socket-default vici updown'

export async function startStrongSwan(
  world: World,
  ns: string,
  directory: string,
  options: StrongSwanOptions,
): Promise<StrongSwan> {
  const folder = join(directory, `strongswan-${ns}`)
  mkdirSync(folder, { recursive: true })
  const paths = { vici: `unix://${folder}/vici`, log: join(folder, 'log'), conf: join(folder, 'strongswan.conf') }
  writeFileSync(paths.conf, daemonConfig(folder, options.daemon ?? ''))
  const write = (connections: StrongSwanOptions['connections']): void =>
    writeFileSync(join(folder, 'swanctl.conf'), connectionsConfig(connections))
  write(options.connections)
  let daemon: Spawned | undefined

  const swanctl = async (...args: string[]): Promise<string> =>
    (await world.exec(ns, ['swanctl', ...args, '--uri', paths.vici])).stdout
  const load = () => swanctl('--load-all', '--file', join(folder, 'swanctl.conf'))
  const start = async (): Promise<void> => {
    daemon = world.spawn(ns, ['charon-systemd'], { env: { STRONGSWAN_CONF: paths.conf } })
    await until(`strongSwan in ${ns} to answer`, async () => {
      const result = await world.exec(ns, ['swanctl', '--stats', '--uri', paths.vici], { check: false })
      return result.code === 0
    })
    await load()
  }
  await start()
  return {
    uri: paths.vici,
    swanctl,
    start,
    configure: async (connections) => {
      write(connections)
      await load()
    },
    initiate: async (child) => {
      await swanctl('--initiate', '--child', child, '--timeout', '20')
    },
    log: () => readFileSync(paths.log, 'utf8'),
    kill: async () => {
      daemon?.child.kill('SIGKILL')
      await daemon?.exited
    },
    stop: async () => daemon?.stop(),
  }
}

function daemonConfig(folder: string, extra: string): string {
  return `charon-systemd {
  load = ${PLUGINS}
  install_routes = yes
  ${extra}
  plugins { vici { socket = unix://${folder}/vici } }
  filelog { f { path = ${folder}/log
                default = 1
                ike = 4
                chd = 4
                flush_line = yes } }
}
`
}

function connectionsConfig(connections: StrongSwanOptions['connections']): string {
  const sections = Object.entries(connections).map(([name, connection]) => connectionSection(name, connection))
  const secrets = Object.entries(connections).map(
    ([name, { secret, remoteId, remote }]) => `  ike-${name} { secret = "${secret}"\n id = ${remoteId ?? remote} }`,
  )
  return `connections {\n${sections.join('\n')}\n}\nsecrets {\n${secrets.join('\n')}\n}\n`
}

function connectionSection(name: string, connection: StrongSwanConnection): string {
  const { local, remote, children } = connection
  return `  ${name} { version = 2
    local_addrs = ${local}
    remote_addrs = ${remote}
    proposals = ${connection.proposals}
    rekey_time = ${connection.rekeySeconds ?? 14400}s
    rand_time = 0
    mobike = no
    ${connection.extra ?? ''}
    local { auth = psk
            id = ${connection.localId ?? local} }
    remote { auth = psk
             id = ${connection.remoteId ?? remote} }
    children {
${children.map(childSection).join('\n')}
    } }`
}

function childSection(child: StrongSwanChild): string {
  const rekey = child.rekeySeconds ?? 3600
  return `      ${child.name} { local_ts = ${child.local}
        remote_ts = ${child.remote}
        esp_proposals = ${child.proposals}
        rekey_time = ${rekey}s
        life_time = ${rekey * 2 + 10}s
        rand_time = 0
        ${child.extra ?? ''}
      }`
}
