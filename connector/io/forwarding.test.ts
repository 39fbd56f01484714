/** What leads where, by names of connections, as workers are told of it. */
import { expect, it } from 'vitest'
import { address, prefix } from '../../protocol/net.ts'
import type { ConnectionConfig } from '../core/ike/types.ts'
import type { Answer, Command } from '../data/commands.ts'
import type { PlannedConnection } from '../plan.ts'
import { Children, type TablesPlan } from './children.ts'
import type { KernelRoutes } from './kernel-routes.ts'
import { Reconciler } from './reconciler.ts'
import { explainRoute } from './routes-view.ts'

function planned(name: string, routes: string[] = []): PlannedConnection {
  const ike = { name, psk: new Uint8Array(1), children: [{ name: 'net' }] } as unknown as ConnectionConfig
  return { ike, routes: routes.map(prefix), pathMtu: 1500, clampMss: true, copyDscp: false }
}

function bench(connections: PlannedConnection[], plan: TablesPlan = {}) {
  const commands: Command[] = []
  const call = async (_: number, command: Command): Promise<Answer> => {
    commands.push(command)
    return {}
  }
  return { children: new Children(connections, [[]], call, plan), commands }
}

it('classes name tunnels by number, also when connections come and go', async () => {
  const { children, commands } = bench([planned('a'), planned('b')])
  const voice = { name: 'voice', matches: [{ dscp: 46 }], prefer: ['b', 'c', 'a'] }
  await children.setClasses([voice])
  await children.addConnection(planned('c'))
  await children.removeConnection('b')
  const prefers = commands.flatMap((command) => (command.type === 'classes' ? [command.classes[0]!.prefer] : []))
  expect(prefers).toEqual([
    [1, 0],
    [1, 2, 0],
    [2, 0],
  ])
})

it('a group of tunnels that are spread has their weights; what is refused leads nowhere', async () => {
  const spread = {
    name: 'hubs',
    weights: new Map([
      ['a', 3],
      ['b', 1],
    ]),
  }
  const connections = [planned('a', ['10.1.0.0/16']), planned('b', ['10.1.0.0/16'])]
  const refusals = [{ prefix: prefix('10.0.0.0/8'), answer: 'prohibited' as const }]
  const ownAddresses = [address('10.9.0.1')]
  const { children, commands } = bench(connections, { spreads: [spread], refusals, ownAddresses, flowSeed: 7 })
  await children.configure()
  expect(commands).toContainEqual({ type: 'own-addresses', addresses: ownAddresses })
  expect(commands).toContainEqual({ type: 'flow-seed', seed: 7 })
  expect(commands).toContainEqual(expect.objectContaining({ type: 'group', tunnels: [0, 1], weights: [3, 1] }))
  expect(commands).toContainEqual(expect.objectContaining({ type: 'refusal', answer: 'prohibited' }))
  expect([...children.routes()]).toContainEqual({
    prefix: '10.0.0.0/8',
    tunnels: [],
    learned: false,
    refused: 'prohibited',
  })
  await children.removeConnection('b')
  await children.setForwarding({ refusals: [] })
  expect([...children.routes()]).toHaveLength(1)
})

it('our own networks are local from the start, and may become a peer’s, or its own no more, while all runs', async () => {
  const connections = [planned('a', ['10.1.0.0/16'])]
  const [one, other] = ['10.1.0.0/16', '10.7.0.0/16'].map(prefix)
  const { children } = bench(connections, { networks: [one!, other!] })
  await children.configure()
  const ways = () => [one!, other!].map((each) => explainRoute(children, undefined, each).used)
  const local = (each: string) => ({ prefix: each, from: 'local', tunnels: [] })
  expect(ways()).toEqual([local('10.1.0.0/16'), local('10.7.0.0/16')])
  const kernel = { add: async () => [], keep: async () => {}, standing: [] } as unknown as KernelRoutes
  const reconciler = new Reconciler(connections, {
    ...{ children, kernel },
    ...{ post: () => {}, note: () => {}, emit: (event) => expect.unreachable(JSON.stringify(event)) },
  })
  await reconciler.reconcile(connections, { networks: [other!] })
  const tunnels = [{ peer: 'a', up: false }]
  expect(ways()).toEqual([{ prefix: one, from: 'configured', tunnels }, local('10.7.0.0/16')])
  await reconciler.reconcile(connections, { networks: [one!] })
  expect(ways()).toEqual([local('10.1.0.0/16'), undefined])
})
