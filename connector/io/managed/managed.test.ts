import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { toBase64url } from '../../../protocol/control/base64url.ts'
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import { fakeConnector } from '../../cli/testing.ts'
import { emptyState } from '../../core/managed/state.ts'
import type { ConnectorHandle } from '../../handle.ts'
import { readManagedState, writeManagedState } from '../../store/enrollment.ts'
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
