import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CompactEncrypt } from 'jose'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { toBase64url } from '../../../protocol/control/base64url.ts'
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import { fakeConnector } from '../../cli/testing.ts'
import { emptyState } from '../../core/managed/state.ts'
import { ONE, sampleExternal, TWO } from '../../core/managed/testing/externals.ts'
import type { ConnectorEvent, ConnectorHandle } from '../../handle.ts'
import type { ConnectorPlan } from '../../plan.ts'
import { openSealingKey, readManagedState, writeManagedState } from '../../store/enrollment.ts'
import { startManaged } from './managed.ts'

const NETWORK = 'net_00000000000000000000'
const SELF = 'con_00000000000000000000'
const TUNNEL = 'tun_00000000000000000000'

let directory: string
let managed: ConnectorHandle | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-managed-test-'))
})

afterEach(async () => {
  await managed?.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** As the answer to a join brings it, or a crash leaves it: a key is wanted, and no half of it is there. */
function documentWithOffer(): ConnectorDocument {
  const identityKey = toBase64url(new Uint8Array(32).fill(2))
  const peer = { connector: 'con_11111111111111111111', site: 'branch', identityKey, prefixes: ['10.2.0.0/16'] }
  return {
    format: 1,
    network: NETWORK,
    connector: SELF,
    version: 3,
    site: { name: 'hq', prefixes: ['10.1.0.0/16'] },
    tunnels: [{ id: TUNNEL, name: 'hq-branch', initiate: true, peer, epochs: [{ epoch: 1, phase: 'offer' }] }],
  }
}

it('carries out the document that it starts with, also where the control plane never sends it again', async () => {
  writeManagedState(directory, { ...emptyState(), document: documentWithOffer() })
  managed = await startManaged({
    // Nobody answers at the discard port.
    enrollment: { format: 1, url: 'http://127.0.0.1:9', network: NETWORK, connector: SELF, site: 'hq' },
    settings: { address: '192.0.2.1', stateDirectory: directory, controlSocket: join(directory, 'socket') },
    software: '1.0.0',
    onEvent: () => undefined,
    start: async () => fakeConnector(),
  })
  await vi.waitFor(() => expect(readManagedState(directory)?.epochs[TUNNEL]?.[0]?.half).toMatch(/^[\w-]+\./))
})

it('opens the keys of tunnels to other gateways, says which it could not, and keeps them sealed on disk', async () => {
  const SECRET = 'key.of_the_tunnel1'
  const { publicKey } = openSealingKey(directory)
  const good = sampleExternal(ONE)
  const sealed = await new CompactEncrypt(new TextEncoder().encode(SECRET))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: `${ONE.id}/k1` })
    .encrypt({ kty: 'OKP', crv: 'X25519', x: toBase64url(publicKey) })
  const fingerprint = createHash('sha256').update(`isthmus fingerprint${SECRET}`).digest('hex').slice(0, 16)
  const keys = [{ id: 'k1', fingerprint, secret: sealed }]
  const externals = [{ ...good, keys }, sampleExternal(TWO, { keys: [{ ...keys[0]!, fingerprint: '0'.repeat(16) }] })]
  writeManagedState(directory, { ...emptyState(), document: { ...documentWithOffer(), externals } })
  const plans: ConnectorPlan[] = []
  const events: ConnectorEvent[] = []
  managed = await startManaged({
    enrollment: { format: 1, url: 'http://127.0.0.1:9', network: NETWORK, connector: SELF, site: 'hq' },
    settings: { address: '192.0.2.1', stateDirectory: directory, controlSocket: join(directory, 'socket') },
    software: '1.0.0',
    onEvent: (event) => events.push(event),
    start: async (plan) => {
      plans.push(plan)
      return fakeConnector()
    },
  })
  const [connection] = plans[0]!.connections
  expect(plans[0]!.connections.map(({ ike }) => ike.name)).toEqual(['aws-1'])
  expect(new TextDecoder().decode(connection!.ike.keys![0]!.psk)).toBe(SECRET)
  const words = `aws-2 is not carried out: its key k1 was sealed for another tunnel.`
  expect(events).toContainEqual({ type: 'warning', code: 'external-refused', message: words })
  expect(managed.status().control?.refused).toEqual([words])
  const files = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'latin1'))
  for (const told of [...files, JSON.stringify(managed.status()), JSON.stringify(events)]) {
    expect(told).not.toContain(SECRET)
    expect(told).not.toContain(Buffer.from(SECRET).toString('base64url'))
  }
  expect(readManagedState(directory)?.document?.externals).toEqual(externals)
})

it('says what to do where its document is lost', async () => {
  const start = startManaged({
    enrollment: { format: 1, url: 'http://127.0.0.1:9', network: NETWORK, connector: SELF, site: 'hq' },
    settings: { address: '192.0.2.1', stateDirectory: directory, controlSocket: join(directory, 'socket') },
    software: '1.0.0',
    onEvent: () => undefined,
    start: async () => fakeConnector(),
  })
  await expect(start).rejects.toMatchObject({ code: 'state-unreadable' })
  managed = undefined
})
