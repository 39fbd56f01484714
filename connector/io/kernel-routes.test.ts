import { expect, it } from 'vitest'
import { address, type Prefix, prefix } from '../../protocol/net.ts'
import { blocksOf } from '../../protocol/prefix-block.ts'
import { KernelRoutes } from './kernel-routes.ts'
import { IpFailure, type RouteFailure } from './routes-linux.ts'

const A = prefix('10.1.0.0/16')
const B = prefix('10.2.0.0/16')
const C = prefix('2001:db8::/48')

/** A kernel that refuses what somebody else has. */
function kernel(foreign: readonly Prefix[] = []) {
  const table = new Set<string>()
  const lines: string[] = []
  const run = async (args: readonly string[], batch: string): Promise<string> => {
    const failures: string[] = []
    if (args.includes('flush')) table.clear()
    for (const [index, line] of batch.split('\n').filter(Boolean).entries()) {
      lines.push(line)
      const [what, verb, route] = line.split(' ')
      if (what === 'addr') continue
      const refused = verb === 'add' ? table.has(route!) || foreign.includes(route as Prefix) : !table.has(route!)
      if (refused) failures.push(`RTNETLINK answers: File exists\nCommand failed -:${index + 1}`)
      else if (verb === 'add') table.add(route!)
      else table.delete(route!)
    }
    if (failures.length > 0) throw new IpFailure(failures.join('\n'), false)
    return ''
  }
  return { table, lines, run }
}

async function learn(routes: KernelRoutes, prefixes: readonly Prefix[]): Promise<RouteFailure[]> {
  const failures: RouteFailure[] = []
  for (const block of blocksOf(prefixes)) failures.push(...(await routes.learn(block)))
  return failures
}

async function unlearn(routes: KernelRoutes, prefixes: readonly Prefix[]): Promise<void> {
  for (const block of blocksOf(prefixes)) await routes.unlearn(block)
}

it('a prefix that is configured and learned is one route, and stays until neither wants it', async () => {
  const { table, lines, run } = kernel()
  const routes = new KernelRoutes('tun0', [], [], run)
  expect(await learn(routes, [A, B, C])).toEqual([])
  expect(await routes.add([A])).toEqual([])
  await unlearn(routes, [A, B])
  expect([...table].sort()).toEqual([A, C])
  await routes.keep([])
  expect([...table]).toEqual([C])
  expect(await routes.add([C])).toEqual([])
  await routes.keep([])
  expect([...table]).toEqual([C])
  await unlearn(routes, [C])
  expect([...table]).toEqual([])
  expect(lines.filter((line) => line.includes(' add ')).length).toBe(3)
  expect(lines.every((line) => line.endsWith('dev tun0 proto 151'))).toBe(true)
})

it('a route of somebody else is told with its remedy, and never removed', async () => {
  const { table, run } = kernel([B])
  const routes = new KernelRoutes('tun0', [], [], run)
  const failures = await learn(routes, [A, B])
  expect(failures.map(({ route, failure }) => [route, failure.code])).toEqual([[B, 'route-conflict']])
  await unlearn(routes, [A, B])
  expect([...table]).toEqual([])
})

it('the end takes all away, however many were learned', async () => {
  const { table, run } = kernel()
  const routes = new KernelRoutes('tun0', [], [], run)
  await routes.add([A])
  await learn(routes, [B, C])
  await routes.tearDown()
  expect([...table]).toEqual([])
})

it('the source of a route into a small network is our address in it', async () => {
  const { lines, run } = kernel()
  const addresses = [address('10.1.0.1'), address('169.254.10.2')]
  const routes = new KernelRoutes('tun0', addresses, [], run)
  await routes.add([prefix('169.254.10.0/30')])
  await learn(routes, [B])
  expect(lines).toEqual([
    'route add 169.254.10.0/30 dev tun0 proto 151 src 169.254.10.2',
    'route add 10.2.0.0/16 dev tun0 proto 151 src 10.1.0.1',
  ])
})

it('addresses come and go; routes name none that is known within one tunnel alone', async () => {
  const { lines, run } = kernel()
  const [own, inside, other] = [address('10.0.0.1'), address('169.254.0.1'), address('169.254.0.5')]
  const routes = new KernelRoutes('tun0', [inside], [], run)
  expect(await routes.addAddresses([inside, other])).toEqual([])
  await routes.add([A, prefix('169.254.0.4/30')])
  expect(await routes.keepAddresses([other])).toEqual([])
  await routes.addAddresses([own, other])
  await routes.add([B])
  expect(lines).toEqual([
    'addr add 169.254.0.5/32 dev tun0',
    `route add ${A} dev tun0 proto 151`,
    'route add 169.254.0.4/30 dev tun0 proto 151 src 169.254.0.5',
    'addr del 169.254.0.1/32 dev tun0',
    'addr add 10.0.0.1/32 dev tun0',
    `route add ${B} dev tun0 proto 151 src 10.0.0.1`,
  ])
})
