import { expect, test } from 'vitest'
import type { CloudProvider } from '../domain/cloud/provider.ts'
import { awsAccess, readAwsNetworks } from './aws.ts'

const provider: CloudProvider = { look: async () => [], perform: async () => ({ id: 'cgw-1' }) }
const acme = { id: 'net_00000000000000000001', name: 'acme' }

test.each([
  [undefined, undefined],
  ['', undefined],
  [' , ', undefined],
  ['acme', ['acme']],
  [' acme , net_1 ', ['acme', 'net_1']],
  ['acme,all', 'all'],
] as const)('%j names %j', (text, networks) => expect(readAwsNetworks(text)).toEqual(networks))

test('where no network is named there is no way to AWS at all', () => {
  expect(awsAccess(undefined, async () => provider)).toEqual({})
})

test('only those that are named may, by name or identifier', () => {
  const may = (networks: Parameters<typeof awsAccess>[0]) =>
    awsAccess(networks, async () => provider).clouds!.allows(acme)
  expect([may('all'), may(['acme']), may([acme.id]), may(['acm', 'acmes', ''])]).toEqual([true, true, true, false])
})

test('the SDK is loaded with the first call, once; what fails is tried again', async () => {
  let loads = 0
  const { clouds } = awsAccess('all', async () => {
    if (++loads === 1) throw new Error('not now')
    return provider
  })
  expect(loads).toBe(0)
  await expect(clouds!.provider.look([])).rejects.toThrow('not now')
  await Promise.all([clouds!.provider.look([]), clouds!.provider.look([])])
  expect(loads).toBe(2)
})
