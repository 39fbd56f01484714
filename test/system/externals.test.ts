/** Both tunnels to a cloud at a managed connector: drained, given another key, set up anew and lost, under traffic. */
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CompactEncrypt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { emptyState } from '../../connector/core/managed/state.ts'
import { controlClient } from '../../connector/ops/client.ts'
import { openSealingKey, writeEnrollment, writeManagedState } from '../../connector/store/enrollment.ts'
import { toBase64url } from '../../protocol/control/base64url.ts'
import type { ConnectorDocument } from '../../protocol/control/document.ts'
import type { DocumentExternal, ExternalKey, ExternalStatus } from '../../protocol/control/external.ts'
import type { CarriedConnection, CarriedTunnel } from '../aws/carrier.ts'
import { createSite, type Site, startExchange } from '../aws/customer.ts'
import { type AwsNetwork, createAwsNetwork } from '../aws/network.ts'
import { skipWithoutPeers } from '../interop/peers.ts'
import { createWorld, type Spawned, skipWithoutNamespaces, type World } from './netns.ts'
import { type ScriptedControl, startScriptedControl } from './scripted-control.ts'
import { until } from './until.ts'

const WHAT = 'tunnels to a cloud at a managed connector'
const missing = skipWithoutNamespaces(WHAT) || skipWithoutPeers(WHAT, 'strongswan', 'bird')
const MAIN = join(import.meta.dirname, '../../connector/main.ts')

const [NETWORK, CONNECTOR] = [`net_${'0'.repeat(20)}`, `con_${'0'.repeat(20)}`]
const IDS = [`ext_${'1'.repeat(20)}`, `ext_${'2'.repeat(20)}`] as const
const NAMES = ['aws-1', 'aws-2'] as const
const SECRETS = ['first.key_of_aws1', 'first.key_of_aws2', 'second.key_of_aws1']
const SITE = { outer: '198.51.100.7', network: '10.8.1.0/24' }
const BLOCK = '10.9.0.0/16'
const AS = { site: 65_010, amazon: 64_512 }
const PORT = 9701
const NAME = 'west'
const RATE = 500

describe.skipIf(missing)(WHAT, () => {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-ext-'))
  const state = join(directory, 'state')
  const file = join(directory, 'document.json')
  const socket = join(directory, 's')
  let world: World
  let aws: AwsNetwork
  let site: Site
  let connection: CarriedConnection
  let control: ScriptedControl
  let connector: Spawned
  let document: ConnectorDocument

  beforeAll(async () => {
    world = await createWorld()
    aws = await createAwsNetwork(world, directory)
    site = await createSite(aws, NAME, SITE.outer, SITE.network)
    connection = connectionOf(aws.allocate(NAME))
    await aws.start(connection)
    const sealingKey = openSealingKey(state).publicKey
    const externals = await Promise.all(
      IDS.map(async (id, side) =>
        externalOf(connection, side as 0 | 1, [await sealed(sealingKey, id, 1, SECRETS[side]!)]),
      ),
    )
    document = documentOf(externals)
    writeFileSync(file, JSON.stringify(document))
    const enrollment = { format: 1, url: `http://127.0.0.1:${PORT}`, network: NETWORK, connector: CONNECTOR } as const
    writeEnrollment(state, { ...enrollment, site: NAME, address: SITE.outer, owns: [SITE.network] })
    writeManagedState(state, { ...emptyState(), document: { ...document, version: 1, externals: [] } })
    control = await startScriptedControl(world, NAME, PORT, file)
    const place = ['--state-directory', state, '--socket', socket]
    const env = { ISTHMUS_WORKERS: '1' }
    connector = world.spawn(NAME, [process.execPath, MAIN, 'up', ...place], { env, cwd: directory })
  })

  afterAll(async () => {
    await connector?.stop()
    await aws?.close()
    await world?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('come up with the keys that were sealed for it, and carry packets', async () => {
    await reported('both tunnels to be up', (externals) => externals.every(isWhole))
    expect(externals().map(({ key, generation, drained }) => [key, generation, drained])).toEqual([
      ['k1', 0, false],
      ['k1', 0, false],
    ])
    await until('routes of both', async () =>
      (await aws.status(NAME)).every(({ acceptedRoutes }) => acceptedRoutes === 1),
    )
  })

  it('lose nothing while one is drained, gets another key and comes back, and the other is set up anew', async () => {
    const exchange = await startExchange(world, site.host, aws.host(NAME), RATE)
    change(0, { drained: true })
    await reported('the first to be idle', ([one]) => one!.drained && (one!.idleMs ?? 0) >= 3_000)
    const before = await aws.counters(NAME)
    const key = await sealed(openSealingKey(state).publicKey, IDS[0], 2, SECRETS[2]!)
    const [old] = document.externals![0]!.keys
    change(0, { keys: [old!, key] })
    await reported('the connector to have the new key', () => control.report()?.version === document.version)
    const after = await aws.counters(NAME)
    // Probes and BGP alone.
    expect(after[0].toCustomer - before[0].toCustomer).toBeLessThan(RATE / 2)
    expect(after[1].toCustomer - before[1].toCustomer).toBeGreaterThan(0)
    await aws.takeDown(NAME, 0)
    const [first, second] = connection.tunnels
    connection = { ...connection, tunnels: [{ ...first, psk: SECRETS[2]! }, second] }
    await aws.bringUp(connection, 0)
    change(0, { keys: [key, old!] })
    await reported('it to be up with the new key', ([one]) => one!.key === 'k2' && isWhole(one!))
    change(0, { keys: [key], drained: false })
    await reported('it to be whole again', ([one]) => !one!.drained && isWhole(one!))
    change(1, { generation: 1 })
    await reported('the other to be set up anew', ([, two]) => two!.generation === 1 && isWhole(two!))
    const { there, back } = await exchange.stop()
    process.stderr.write(`drained, keyed, set up anew: ${there.sent} and ${back.sent} packets, none lost\n`)
    expect(there).toEqual({ sent: there.sent, received: there.sent, lost: 0, late: 0, duplicates: 0 })
    expect(back).toEqual({ sent: back.sent, received: back.sent, lost: 0, late: 0, duplicates: 0 })
  })

  it('take over within a second when an endpoint is silent', async () => {
    const used = (await paths()).find(({ prefixes }) => prefixes > 1)?.peer === NAMES[1] ? 1 : 0
    const exchange = await startExchange(world, site.host, aws.host(NAME), RATE)
    const replaced = aws.replace(NAME, used, { silentMs: 4_000 })
    await until('the other to carry it', async () => {
      const rows = await paths()
      return rows.find(({ peer }) => peer === NAMES[used])?.passing === false
    })
    await replaced
    await reported('both to be up again', (all) => all.every(isWhole))
    const { there } = await exchange.stop()
    const lostMs = (there.lost / RATE) * 1000
    process.stderr.write(`an endpoint fell silent: ${Math.round(lostMs)} ms of packets towards it were lost\n`)
    // At most a second, and some for a busy machine.
    expect(lostMs).toBeLessThan(1_500)
  })

  it('tell their secrets to nobody', async () => {
    const status = JSON.stringify(await controlClient(socket).status())
    const files = readdirSync(state).map((name) => readFileSync(join(state, name), 'latin1'))
    const told = [status, JSON.stringify(control.report()), connector.output(), ...files].join('\n')
    expect(told).toContain(IDS[0])
    for (const secret of SECRETS) {
      expect(told).not.toContain(secret)
      expect(told).not.toContain(Buffer.from(secret).toString('base64url'))
    }
  })

  const externals = (): readonly ExternalStatus[] => control.report()?.externals?.externals ?? []

  async function reported(what: string, holds: (externals: readonly ExternalStatus[]) => boolean): Promise<void> {
    await until(what, () => externals().length === 2 && holds(externals()), 40_000).catch((error: Error) => {
      const told = [
        JSON.stringify(control.report(), null, 1),
        connector.output().slice(-5000),
        aws.log(NAME).slice(-3000),
      ]
      throw new Error(`${error.message}\n${told.join('\n')}`)
    })
  }

  async function paths() {
    return (await controlClient(socket).status()).paths!.paths
  }

  function change(side: 0 | 1, wish: Partial<DocumentExternal>): void {
    const externals = document.externals!.map((each, i) => (i === side ? { ...each, ...wish } : each))
    document = { ...document, version: document.version + 1, externals }
    writeFileSync(`${file}.new`, JSON.stringify(document))
    renameSync(`${file}.new`, file)
  }
})

function isWhole({ state, passing, bgp }: ExternalStatus): boolean {
  return state === 'up' && passing && bgp?.established === true && bgp.accepted === 1
}

async function sealed(publicKey: Uint8Array, external: string, number: number, secret: string): Promise<ExternalKey> {
  const id = `k${number}`
  const key = { kty: 'OKP', crv: 'X25519', x: toBase64url(publicKey) }
  const header = { alg: 'ECDH-ES', enc: 'A256GCM', kid: `${external}/${id}` }
  const jwe = await new CompactEncrypt(new TextEncoder().encode(secret)).setProtectedHeader(header).encrypt(key)
  const fingerprint = createHash('sha256').update(`isthmus fingerprint${secret}`).digest('hex').slice(0, 16)
  return { id, fingerprint, secret: jwe }
}

function connectionOf([one, two]: readonly [string, string]): CarriedConnection {
  const tunnelOf = (outside: string, inside: number, psk: string): CarriedTunnel => ({
    outside,
    insideCidr: `169.254.20.${inside}/30`,
    psk,
    phase1: { encryption: ['AES256-GCM-16'], integrity: ['SHA2-384'], groups: [20], lifetimeS: 28_800 },
    phase2: { encryption: ['AES256-GCM-16'], integrity: ['SHA2-384'], groups: [20], lifetimeS: 3_600 },
    dpd: { action: 'restart', timeoutS: 30 },
    startup: 'start',
  })
  return {
    id: NAME,
    customer: { address: SITE.outer, as: AS.site },
    amazonAs: AS.amazon,
    announces: [BLOCK],
    tunnels: [tunnelOf(one, 0, SECRETS[0]!), tunnelOf(two, 4, SECRETS[1]!)],
  }
}

function externalOf({ tunnels }: CarriedConnection, side: 0 | 1, keys: ExternalKey[]): DocumentExternal {
  const base = `169.254.20.${4 * side}`.replace(/\.\d+$/, '')
  return {
    id: IDS[side],
    name: NAMES[side],
    peer: { address: tunnels[side].outside },
    identity: SITE.outer,
    initiate: true,
    ike: ['aes256gcm16-prfsha384-ecp384'],
    esp: ['aes256gcm16-ecp384-noesn'],
    ikeLifetimeS: 28_800,
    childLifetimeS: 3_600,
    dpdS: 10,
    replayWindow: 1_024,
    inside: { local: `${base}.${4 * side + 2}`, peer: `${base}.${4 * side + 1}` },
    routing: {
      kind: 'bgp',
      localAs: AS.site,
      peerAs: AS.amazon,
      advertise: [SITE.network],
      accept: [BLOCK],
      maxPrefixes: 1_000,
      holdTimeS: 30,
    },
    group: 'cloud',
    drained: false,
    keys,
    generation: 0,
  }
}

function documentOf(externals: readonly DocumentExternal[]): ConnectorDocument {
  return {
    format: 1,
    network: NETWORK,
    connector: CONNECTOR,
    version: 2,
    site: { name: NAME, prefixes: [SITE.network] },
    tunnels: [],
    externals: [...externals],
  }
}
