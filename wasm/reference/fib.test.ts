import { expect, it } from 'vitest'
import { address, addressBytes, prefix } from '../../protocol/net.ts'
import { ForwardingTable } from './fib.ts'

function table(...routes: [string, number][]) {
  const out = new ForwardingTable()
  for (const [route, group] of routes) out.set(prefix(route), group)
  return out
}

const find = (routes: ForwardingTable, text: string) => routes.lookup(addressBytes(address(text)))

it('prefers the longest prefix', () => {
  const routes = table(['0.0.0.0/0', 1], ['10.0.0.0/8', 2], ['10.2.3.0/25', 3], ['10.2.3.4/32', 4])
  expect(['192.0.2.1', '10.9.9.9', '10.2.3.5', '10.2.3.4', '10.2.3.128'].map((text) => find(routes, text))).toEqual([
    1, 2, 3, 4, 2,
  ])
})

it('keeps the families apart', () => {
  const routes = table(['0.0.0.0/0', 1], ['fd00::/9', 2], ['fd00::1/128', 3])
  expect(['::1', 'fd7f::1', 'fd80::1', 'fd00::1'].map((text) => find(routes, text))).toEqual([
    undefined,
    2,
    undefined,
    3,
  ])
})

it('replaces and removes', () => {
  const routes = table(['10.0.0.0/8', 1], ['10.0.0.0/8', 0], ['10.0.0.0/9', 5])
  expect(find(routes, '10.200.0.1')).toBe(0)
  routes.remove(prefix('10.0.0.0/8'))
  expect(find(routes, '10.200.0.1')).toBeUndefined()
  expect(find(routes, '10.1.0.1')).toBe(5)
})
