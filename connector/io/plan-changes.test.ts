import { expect, it } from 'vitest'
import { address, prefix } from '../../protocol/net.ts'
import type { ConnectorPlan } from '../plan.ts'
import { changesBetween, fixedFaults } from './plan-changes.ts'
import { lackingSockets } from './sockets.ts'

const PLAN = {
  site: 'hq',
  tun: { name: 'isthmus0', mtu: 1400, addresses: [] },
  workers: 1,
  ports: { port: 500, natPort: 4500 },
  limits: { retryMs: 1000 },
  stateDirectory: '/var/lib/isthmus',
  controlSocket: '/run/isthmus/control.sock',
  connections: [],
} as unknown as ConnectorPlan

function connection(name: string, ike: object = {}) {
  const all = { name, localAddress: address('192.0.2.1'), encapsulation: 'auto', psk: Uint8Array.of(1, 2), ...ike }
  const planned = { ike: all, routes: [prefix('10.1.0.0/16')], pathMtu: 1500, clampMss: true, copyDscp: true }
  return planned as unknown as ConnectorPlan['connections'][number]
}

it('a plan read anew is no change, whatever the order of its keys', () => {
  const { name, mtu, addresses } = PLAN.tun
  expect(fixedFaults(PLAN, { ...PLAN, tun: { mtu, addresses, name }, site: 'renamed' })).toEqual([])
  const again = connection('a', { psk: Uint8Array.of(1, 2) })
  const { added, removed, replaced, adjusted, rekeyed } = changesBetween([connection('a')], [again])
  expect([added, removed, replaced, adjusted, rekeyed].flat()).toEqual([])
})

it('names everything that only a new start can change', () => {
  const metrics = { address: address('127.0.0.1'), port: 9700 }
  const limits = { ...PLAN.limits, retryMs: 2 }
  const twice = [connection('a'), connection('a')]
  const wanted = { ...PLAN, workers: 2, metrics, limits, keyLog: '/tmp/keys', connections: twice }
  expect(fixedFaults(PLAN, wanted)).toEqual([
    'the number of packet workers from 1 to 2',
    'the limits from {"retryMs":1000} to {"retryMs":2}',
    'the metrics from none to {"address":"127.0.0.1","port":9700}',
    'the key log from none to "/tmp/keys"',
    'two connections are called a',
  ])
})

it('a connection without names of keys is made anew when its key changes', () => {
  const after = connection('a', { psk: Uint8Array.of(1, 3) })
  expect(changesBetween([connection('a')], [after])).toMatchObject({ replaced: [after], rekeyed: [] })
})

it('an address may be used later only where it was listened on from the start', () => {
  const listen = [address('192.0.2.1')]
  const wanted = { ...PLAN, connections: [connection('a')] }
  expect(lackingSockets({ ...PLAN, listen }, wanted)).toEqual([])
  expect(lackingSockets(PLAN, wanted)).toEqual([
    'UDP 192.0.2.1:500',
    'UDP 192.0.2.1:4500',
    'IP protocol 50 on 192.0.2.1',
  ])
  const other = connection('b', { localAddress: address('192.0.2.7'), encapsulation: 'udp' })
  expect(lackingSockets(wanted, { ...PLAN, connections: [connection('a'), other] })).toEqual([
    'UDP 192.0.2.7:500',
    'UDP 192.0.2.7:4500',
  ])
})

it('other selectors of the same children are no reason to begin anew', () => {
  const child = (local: string, name = 'net') => ({ name, local: [local], remote: [], replayWindow: 64 })
  const before = connection('a', { children: [child('10.1.0.0/16')] })
  const wider = connection('a', { children: [child('0.0.0.0/0')] })
  expect(changesBetween([before], [wider])).toMatchObject({ replaced: [], reselected: [wider] })
  const other = connection('a', { children: [child('10.1.0.0/16', 'other')] })
  expect(changesBetween([before], [other])).toMatchObject({ replaced: [other], reselected: [] })
  expect(changesBetween([before], [before])).toMatchObject({ replaced: [], reselected: [] })
})

it('addresses of the device come and go while it is there', () => {
  const wanted = { ...PLAN, tun: { ...PLAN.tun, addresses: [address('10.0.0.1')] } }
  expect(fixedFaults(PLAN, wanted)).toEqual([])
  expect(fixedFaults(PLAN, { ...PLAN, tun: { ...PLAN.tun, mtu: 1300 } })).toHaveLength(1)
})
