import { expect, test } from 'vitest'
import type { DocumentEpoch } from '../../protocol/control/document.ts'
import { managedPlan } from './managed-plan.ts'

const SETTINGS = { address: '192.0.2.1', stateDirectory: '/tmp/state', controlSocket: '/tmp/socket' }

function initiates(epochs: readonly DocumentEpoch[], endpoint = '192.0.2.2', initiate = true): boolean {
  const peer = {
    connector: 'con_0123456789abcdefghjk',
    site: 'branch',
    identityKey: 'x'.repeat(43),
    prefixes: ['10.2.0.0/16'],
    endpoint: { address: endpoint, port: 500, natPort: 4500 },
  }
  const tunnel = { id: 'tun_0123456789abcdefghjk', name: 'hq-branch', initiate, peer, epochs: [...epochs] }
  const keys = [{ id: 'epoch-1', psk: new Uint8Array(32) }]
  const plan = managedPlan({ name: 'hq', prefixes: ['10.1.0.0/16'] }, 'con_1', [{ tunnel, keys }], SETTINGS)
  return plan.connections[0]!.ike.initiate
}

test('the first key is used to initiate only when the other end knows it too', () => {
  expect(initiates([{ epoch: 1, phase: 'accept' }])).toBe(false)
  expect(initiates([{ epoch: 1, phase: 'use' }])).toBe(true)
})

test('while a key is replaced, the tunnel is initiated as ever', () => {
  const old = (phase: 'accept' | 'use') => ({ epoch: 1, phase }) as const
  for (const phase of ['offer', 'accept'] as const) expect(initiates([old('use'), { epoch: 2, phase }])).toBe(true)
  expect(initiates([old('accept'), { epoch: 2, phase: 'use' }])).toBe(true)
})

test('who is told to wait, or cannot reach the peer, does not initiate', () => {
  expect(initiates([{ epoch: 1, phase: 'use' }], '192.0.2.2', false)).toBe(false)
  expect(initiates([{ epoch: 1, phase: 'use' }], '2001:db8::2')).toBe(false)
})
