import { expect, test } from 'vitest'
import { makeFunction, makeNetwork, makePair, must } from '../testing/network.ts'
import { createWorld } from '../testing/world.ts'
import type { Present } from './types.ts'
import { RelayWatch } from './watch.ts'

test('who is revoked by another process is ended here, once, and nobody else', async () => {
  const world = await createWorld()
  const network = await makeNetwork(world)
  const { left, right } = await makePair(world, network)
  const [first, second, third] = [
    await makeFunction(network, 'first', []),
    await makeFunction(network, 'second', []),
    await makeFunction(network, 'third', []),
  ]
  const revoke = async (id: string) =>
    must(await network.ask('DELETE', `/functions/${id}`, { headers: { 'if-match': '*' } }), 204)
  const told: string[] = []
  let present = new Map<string, Present>()
  const watch = new RelayWatch(world.repo, {
    present: () => present,
    revoked: (_, connector) => void told.push(connector),
    functionRevoked: (_, id, at) => void told.push(`${id} ${at}`),
  })
  const look = async () => {
    await watch.look()
    return told.splice(0)
  }
  await revoke(first.id)
  expect(await look()).toEqual([])
  const connectors = new Set([left.joined.connector, right.joined.connector])
  present = new Map([[network.id, { connectors, functions: new Set([first.id, second.id, third.id]) }]])
  expect(await look()).toEqual([`${first.id} Infinity`])
  expect(await look()).toEqual([])
  await revoke(second.id)
  must(await network.ask('POST', `/connectors/${left.joined.connector}/revoke`), 200)
  must(await network.ask('POST', `/functions/${third.id}/token`), 200)
  expect(await look()).toEqual([left.joined.connector, `${second.id} Infinity`])
  expect(await look()).toEqual([])
  // One that comes again is looked at again, and one that is not here is not.
  present = new Map([[network.id, { connectors: new Set<string>(), functions: new Set([third.id]) }]])
  expect(await look()).toEqual([])
  present = new Map([[network.id, { connectors, functions: new Set() }]])
  expect(await look()).toEqual([left.joined.connector])
})
