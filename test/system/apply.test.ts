/** Connectors whose connections and keys change under traffic. */
import { afterEach, describe, expect, it } from 'vitest'
import type { TunnelStatus } from '../../protocol/status.ts'
import { type ChangingEnd, createSites, type EndName, type Sites } from './changing.ts'
import { inOrder, type RunningFlow, startFlow } from './flows.ts'
import { skipWithoutNamespaces } from './netns.ts'
import { statusWhen } from './pair.ts'
import { ping } from './ping.ts'

const RATE = 1000
const to = (peer: EndName, ...keys: number[]) => ({ tunnels: [{ peer, keys }] })
const FORTH = { from: 'a', fromAddress: '10.8.1.1', to: 'b', toAddress: '10.8.2.1', port: 9000, rate: RATE }
const BACK = { from: 'b', fromAddress: '10.8.2.1', to: 'a', toAddress: '10.8.1.1', port: 9500, rate: RATE }

describe.skipIf(skipWithoutNamespaces('changes of a running connector'))('a running connector', () => {
  let sites: Sites | undefined

  afterEach(() => sites?.close())

  it.each([
    { workers: 1, rotations: 20 },
    { workers: 2, rotations: 5 },
  ])('goes over to a new key $rotations times, $workers workers, and loses nothing', async ({ workers, rotations }) => {
    sites = await createSites(workers)
    const ends = await startTwo(sites)
    const flows = await bothWays(sites)
    for (let epoch = 1; epoch <= rotations; epoch++) await rotate(ends, epoch, epoch + 1)
    // A flow that another worker takes over may overtake itself once (docs/decisions/0012-packet-workers.md).
    await expectWhole(flows, workers > 1 ? { late: expect.any(Number) } : {})
    for (const end of ends) {
      const { drops, tunnels } = await statusWhen(end.process, () => true)
      expect(drops).toEqual({})
      expect(tunnels.map(({ keyId }) => keyId)).toEqual([`epoch-${rotations + 1}`])
    }
  })

  it('takes up another tunnel and gives it up again, and the first one loses nothing', async () => {
    sites = await createSites()
    const { world } = sites
    const [a] = await startTwo(sites)
    const c = await sites.start('c', to('a', 7))
    const flows = await bothWays(sites)
    const both = { tunnels: [...to('c', 7).tunnels, ...to('b', 1).tunnels] }
    for (let round = 0; round < 3; round++) {
      await a.apply(both)
      await tunnelWhen(a, 'c', ({ state }) => state === 'up')
      expect(await sites.routes('a')).toEqual(['10.8.2.0/24 isthmus0', '10.8.3.0/24 isthmus0'])
      expect(await ping(world, 'a', '10.8.3.1', { count: 10, intervalMs: 20 })).toMatchObject({ received: 10 })
      await a.apply(to('b', 1))
      expect(await sites.routes('a')).toEqual(['10.8.2.0/24 isthmus0'])
      const { tunnels } = await statusWhen(a.process, () => true)
      expect(tunnels.map(({ name }) => name)).toEqual(['b'])
      await tunnelWhen(c, 'a', ({ state }) => state !== 'up')
    }
    await expectWhole(flows)
  })

  it('describes the path anew under traffic', async () => {
    sites = await createSites()
    const ends = await startTwo(sites)
    const flows = await bothWays(sites)
    for (const pathMtu of [1300, 1400, 1280, 1500]) {
      for (const [end, peer] of [
        [ends[0], 'b'],
        [ends[1], 'a'],
      ] as const) {
        await end.apply({ ...to(peer, 1), pathMtu })
        await tunnelWhen(end, peer, ({ mtu }) => mtu.path === pathMtu && mtu.inner < pathMtu - 50)
      }
    }
    await expectWhole(flows)
  })

  it('makes a tunnel anew whose IKE configuration has changed, and refuses what only a start can change', async () => {
    sites = await createSites()
    const [a, b] = await startTwo(sites)
    const refusal = await a.tryApply({ ...to('b', 1), mtu: 1300 })
    expect(refusal).toContain('the TUN device')
    const established = () => a.process.output().match(/"ike-established"/g)!.length
    for (let i = 0; i < 3; i++) await a.apply(to('b', 1))
    expect(await ping(sites.world, 'a', '10.8.2.1', { count: 20, intervalMs: 10 })).toMatchObject({ received: 20 })
    expect(established()).toBe(1)
    const anew = { secret: 100 }
    await Promise.all([a.apply({ ...to('b', 1), ...anew }), b.apply({ ...to('a', 1), ...anew })])
    expect(await sites.routes('a')).toEqual(['10.8.2.0/24 isthmus0'])
    await tunnelWhen(a, 'b', ({ state }) => state === 'up')
    await tunnelWhen(b, 'a', ({ state }) => state === 'up')
    expect(established()).toBeGreaterThan(1)
    expect(await ping(sites.world, 'a', '10.8.2.1', { count: 20, intervalMs: 10 })).toMatchObject({ received: 20 })
    await a.apply({ tunnels: [] })
    expect(await sites.routes('a')).toEqual([])
  })

  it('leaves nothing after SIGKILL that the next start does not clean, also of what came later', async () => {
    sites = await createSites()
    const { world } = sites
    const [a] = await startTwo(sites)
    await a.apply({ tunnels: [...to('b', 1).tunnels, ...to('c', 7).tunnels] })
    a.process.child.kill('SIGKILL')
    await a.process.exited
    // The device and its routes went with the process; what might stay behind is made by hand.
    await world.exec('a', 'ip tuntap add dev isthmus0 mode tun && ip link set isthmus0 up')
    for (const network of ['10.8.2.0/24', '10.8.3.0/24']) {
      await world.exec('a', `ip route add ${network} dev isthmus0 proto 151`)
    }
    const again = await sites.start('a', to('b', 1))
    expect(again.process.output()).toContain('"type":"routes-cleaned","count":3')
    await tunnelWhen(again, 'b', ({ state }) => state === 'up')
    expect(await sites.routes('a')).toEqual(['10.8.2.0/24 isthmus0'])
    await again.process.stop()
    expect(await again.process.exited).toBe(0)
    expect((await world.exec('a', 'ip -o link')).stdout).not.toContain('isthmus0')
  })
})

/** `a` and `b`, their tunnel up under key 1. */
async function startTwo(sites: Sites): Promise<[ChangingEnd, ChangingEnd]> {
  const b = await sites.start('b', to('a', 1))
  const a = await sites.start('a', to('b', 1))
  for (const [end, peer] of [
    [a, 'b'],
    [b, 'a'],
  ] as const) {
    await tunnelWhen(end, peer, ({ state }) => state === 'up')
  }
  return [a, b]
}

function bothWays({ world }: Sites): Promise<[RunningFlow, RunningFlow]> {
  return Promise.all([startFlow(world, FORTH), startFlow(world, BACK)])
}

/** Nothing lost and nothing doubled; in order too, unless `but` says otherwise. */
async function expectWhole(flows: readonly RunningFlow[], but: object = {}): Promise<void> {
  for (const flow of flows) {
    const { sent, arrivals } = await flow.stop()
    expect(sent).toBeGreaterThan(RATE / 10)
    expect(arrivals).toEqual({ ...inOrder(sent), ...but })
  }
}

/** What the control plane has both ends do: accept, use, forget. */
async function rotate([a, b]: readonly [ChangingEnd, ChangingEnd], from: number, next: number): Promise<void> {
  const give = (...keys: number[]) => Promise.all([a.apply(to('b', ...keys)), b.apply(to('a', ...keys))])
  await give(from, next)
  await give(next, from)
  const isThere = ({ keyId, keyConfirmed }: TunnelStatus) => keyId === `epoch-${next}` && keyConfirmed === true
  await Promise.all([tunnelWhen(a, 'b', isThere), tunnelWhen(b, 'a', isThere)])
  await give(next)
}

async function tunnelWhen(end: ChangingEnd, peer: EndName, holds: (tunnel: TunnelStatus) => boolean): Promise<void> {
  await statusWhen(
    end.process,
    ({ tunnels }) => tunnels.some((tunnel) => tunnel.name === peer && holds(tunnel)),
    30_000,
  )
}
