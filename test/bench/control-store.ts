/** Stores for the benchmark of the control plane: one site in the middle, a tunnel from each other one to it. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { chainEvents } from '../../control/domain/audit.ts'
import { assemble, randomBytes } from '../../control/entry/common.ts'
import { storePath } from '../../control/entry/node.ts'
import { NO_HUB } from '../../control/link/hub.ts'
import { memoryNonces } from '../../control/service/nonces.ts'
import type { Batch, Change, ConnectorRecord } from '../../control/store/repo.ts'
import { openRepo } from '../../control/store/repo-sql.ts'
import { openSqlite } from '../../control/store/sqlite-node.ts'
import { type Joined, makeIdentity } from '../../control/testing/caller.ts'
import { makeId } from '../../protocol/control/ids.ts'
import type { Site, Tunnel } from '../../protocol/control/intent.ts'

export interface BenchNetwork {
  readonly id: string
  readonly hub: string
  readonly connectors: readonly Joined[]
  readonly tokens: readonly string[]
  readonly tunnels: number
}

const BATCH = 2000
/** Each token may ask 50 times a second. */
const TOKENS = 20
const SILENT = { info() {}, warn() {}, error() {} }

/** Fills the store of a directory where a control plane has been started once; its connectors have joined. */
export async function fillStore(directory: string, connectors: number): Promise<BenchNetwork> {
  const repo = await openRepo(openSqlite(storePath(directory)))
  const { services } = await assemble({
    repo,
    hub: NO_HUB,
    keyring: readFileSync(join(directory, 'kek'), 'utf8'),
    adminHash: undefined,
    nonces: memoryNonces(),
    log: SILENT,
    version: '0',
    clientAddress: () => undefined,
  })
  const actor = { id: 'token:admin', network: '', role: 'owner' } as const
  const { value: network } = await services.networks.create({ actor, network: '' }, { name: 'bench' })
  const call = { actor: { ...actor, network: network.id }, network: network.id }
  const tokens: string[] = []
  for (let index = 0; index < TOKENS; index++) {
    const { value } = await services.tokens.create(call, { name: `reader-${index}`, role: 'owner' })
    tokens.push(value.token)
  }
  const { joined, tunnels, hub, batches } = planStore(network.id, connectors)
  for (const batch of batches) await repo.commit(network.id, batch)
  await repo.close()
  return { id: network.id, hub, connectors: joined, tokens, tunnels }
}

/** What a network that has just been made is filled with. */
export function planStore(network: string, connectors: number) {
  const id = (kind: 'site' | 'tunnel' | 'connector') => makeId(kind, randomBytes(20))
  const sites = Array.from({ length: connectors }, (_, index) => siteAt(index, id('site')))
  const [hub] = sites as [Site]
  const tunnels = sites
    .slice(1)
    .map((site): Tunnel => ({ id: id('tunnel'), name: site.name, sites: [site.id, hub.id] }))
  const identities = sites.map((_, index) => makeIdentity(index))
  const joined = sites.map((_, index): Joined => ({ ...identities[index]!, network, connector: id('connector') }))
  const records = sites.map((site, index) => connectorOf(site, joined[index]!))
  const connectorAt = new Map(records.map((record) => [record.site, record.id]))
  const keys = tunnels.map(({ id: tunnel, sites: [a, b] }): Change => {
    const ends = [connectorAt.get(a)!, connectorAt.get(b)!] as const
    return {
      type: 'put',
      kind: 'keys',
      value: { id: tunnel, ends, current: 1, currentSince: 1, highest: 1, halves: {} },
    }
  })
  const batches = [
    ...intentBatches(sites, tunnels),
    ...batchesOf([...records.map((value): Change => ({ type: 'put', kind: 'connector', value })), ...keys]),
  ]
  return { joined, hub: hub.id, tunnels: tunnels.length, batches }
}

/** Adds audit events until the store has so many bytes. */
export async function growStore(directory: string, network: string, bytes: number): Promise<void> {
  const path = storePath(directory)
  const repo = await openRepo(openSqlite(path))
  const after = { note: 'x'.repeat(20_000) }
  while (statSync(path).size < bytes) {
    const drafts = Array.from({ length: 1000 }, () => ({
      at: 1,
      actor: 'system',
      action: 'bench',
      target: network,
      after,
    }))
    const head = await repo.auditHead(network)
    await repo.commit(network, { changes: [], audit: chainEvents(network, head, drafts) })
  }
  await repo.close()
}

function siteAt(index: number, id: string): Site {
  if (index === 0)
    return {
      id,
      name: 'hub',
      prefixes: ['192.168.0.0/16'],
      endpoint: { address: '192.0.2.1', port: 500, natPort: 4500 },
    }
  return { id, name: `site-${index}`, prefixes: [`10.${index >> 8}.${index & 255}.0/24`] }
}

function connectorOf(site: Site, { connector, publicKey }: Joined): ConnectorRecord {
  return {
    id: connector,
    site: site.id,
    name: site.name,
    identityKey: publicKey,
    joinedAt: 1,
    addresses: ['192.0.2.1'],
    seenAddress: '127.0.0.1',
    software: '1.0.0',
    documentVersion: 1,
    ...(site.endpoint === undefined ? {} : { endpoint: site.endpoint }),
  }
}

/** One version of the intent for each batch. */
function intentBatches(sites: readonly Site[], tunnels: readonly Tunnel[]): Batch[] {
  const batches = batchesOf([
    ...sites.map((value): Change => ({ type: 'put', kind: 'site', value, revision: 0 })),
    ...tunnels.map((value): Change => ({ type: 'put', kind: 'tunnel', value, revision: 0 })),
  ])
  return batches.map((batch, index) => ({ ...batch, intent: { version: index + 1, at: 1, actor: 'system' } }))
}

function batchesOf(changes: readonly Change[]): Batch[] {
  const batches: Batch[] = []
  for (let at = 0; at < changes.length; at += BATCH) batches.push({ changes: changes.slice(at, at + BATCH) })
  return batches
}
