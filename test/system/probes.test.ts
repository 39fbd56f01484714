/** Paths that become narrower, or are cut, without a word: what two connectors make of them. */
import { afterEach, describe, expect, it } from 'vitest'
import { skipWithoutPeers } from '../interop/peers.ts'
import { type Spawned, skipWithoutNamespaces, type World } from './netns.ts'
import { createPair, type Pair, type Shape, statusWhen } from './pair.ts'

const what = 'probing paths'
const skip = skipWithoutNamespaces(what) || skipWithoutPeers(what, 'nftables')
const SHAPE: Shape = {
  ...{ suite: 'ike', encapsulation: 'udp', engine: 'wasm', outer: '4' },
  probe: { kind: 'auto', intervalMs: 50, multiplier: 4, mtu: true },
  // One packet to a datagram all the way: a filter sees what the kernel has not yet cut as one.
  offloads: ['none', 'none'],
}

describe.skipIf(skip)('probes of two connectors', () => {
  let pair: Pair | undefined
  afterEach(() => pair?.close())

  it('follow a path that becomes narrower under a transfer, and tell a silent cut within 300 ms', async () => {
    pair = await createPair()
    const { world } = pair
    const [a, b] = await pair.start(SHAPE)
    for (const end of [a, b]) await end.waitFor(/^path up 1500 /m)
    // The default is 1500, and no interface takes more.
    const status = await statusWhen(a, ({ tunnels }) => tunnels[0]!.path?.mtu?.searching === false)
    expect(status.tunnels[0]!.path).toMatchObject({
      state: 'up',
      mtu: { pathMtu: 1500, configured: 1500, why: 'largest probe that was answered' },
    })

    const transfer = pair.transfer(64)
    await drop(world, 'udp dport 4500 meta length > 1400')
    for (const end of [a, b]) await end.waitFor(/^path up 1400 /m)
    await transfer
    const narrow = await statusWhen(a, ({ tunnels }) => tunnels[0]!.path?.mtu?.searching === false)
    expect(narrow.tunnels[0]).toMatchObject({
      mtu: { path: 1400, why: expect.stringContaining('path MTU 1400') },
      path: { state: 'up', mtu: { pathMtu: 1400, configured: 1500 } },
    })
    expect(a.output()).not.toMatch(/^path down /m)

    // The machine may be busy with something else at one time, and not at most times.
    const delays: number[] = []
    for (let cut = 1; cut <= 3; cut++) {
      const cutAt = await drop(world, 'udp dport 4500')
      const downAt = await Promise.all([told(a, 'down', cut), told(b, 'down', cut)])
      delays.push(...downAt.map((at) => at - cutAt))
      for (const ns of ['a', 'b']) await world.exec(ns, 'nft delete table netdev faults')
      await Promise.all([told(a, 'up', cut), told(b, 'up', cut)])
    }
    expect(delays.sort((left, right) => left - right)[3]).toBeLessThan(300)
  })

  it('find each other whatever the number of workers, and over plain ESP on IPv6', async () => {
    pair = await createPair()
    const ends = await pair.start({ ...SHAPE, encapsulation: 'esp', outer: '6', workers: [1, 3] })
    for (const end of ends) await end.waitFor(/^path up 1500 /m)
  })
})

/** Packets that match, towards both, from the instant on that it returns. */
async function drop(world: World, match: string): Promise<number> {
  const rules = (device: string) => `table netdev faults {
    chain e { type filter hook ingress device "${device}" priority 0; policy accept; ${match} drop; }
  }`
  const from = async (ns: string, device: string): Promise<number> => {
    const line = `nft delete table netdev faults 2>/dev/null; printf '%s' '${rules(device)}' | nft -f - && date +%s%3N`
    const { stdout } = await world.exec(ns, line)
    return Number(stdout)
  }
  return Math.min(await from('b', 'to-a'), await from('a', 'to-b'))
}

/** The instant of the first word of this state since the path went down for the nth time. */
async function told(end: Spawned, state: 'up' | 'down', times: number): Promise<number> {
  const before = `(?:^path down [^]*?^path up [^]*?){${times - 1}}`
  const then = state === 'down' ? '' : '^path down [^]*?'
  const [, at] = await end.waitFor(new RegExp(`${before}${then}^path ${state} \\S+ (\\d+)$`, 'm'))
  return Number(at)
}
