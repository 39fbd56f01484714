/** Connectors with several packet workers: Child SAs of each, order within flows, and nobody slowed by a busy neighbour. */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../connector/handle.ts'
import type { ConnectorStatus } from '../../protocol/status.ts'
import { inOrder, runFlows } from './flows.ts'
import { type Spawned, skipWithoutNamespaces } from './netns.ts'
import { createPair, type Pair, type Shape, statusWhen } from './pair.ts'
import { ping } from './ping.ts'
import { stream } from './stream.ts'

const SHAPE: Shape = { suite: 'ike', encapsulation: 'udp', engine: 'wasm', outer: '4', workers: [2, 2] }
/** One Child SA, on the last worker, with fixed keys. */
const FIXED: Shape = { suite: 'aes-128-gcm', encapsulation: 'udp', engine: 'wasm', outer: '4', workers: [2, 2] }
const FORTH = { from: 'a', fromAddress: '10.8.1.1', to: 'b', toAddress: '10.8.2.1', port: 9000 }
const BACK = { from: 'b', fromAddress: '10.8.2.1', to: 'a', toAddress: '10.8.1.1', port: 9500 }
const FLOOD = join(import.meta.dirname, 'flood.ts')
const STRAYS = join(import.meta.dirname, 'strays.ts')
/** Enough that they hardly ever all fall to one worker; where they do, more are tried. */
const FLOWS = 8

const activeOn = (status: ConnectorStatus): (number | undefined)[] =>
  status.tunnels[0]!.children.filter(({ active }) => active)
    .map(({ worker }) => worker)
    .sort()

/** Both ends, with a Child SA in use on each worker. */
async function startOnAll(pair: Pair, shape: Shape): Promise<[Spawned, Spawned]> {
  const ends = await pair.start(shape)
  for (const [side, end] of ends.entries()) {
    const all = [...Array(shape.workers![side]!).keys()]
    await statusWhen(end, (status) => all.every((worker) => activeOn(status).includes(worker)), 30_000)
  }
  return ends
}

describe.skipIf(skipWithoutNamespaces('several packet workers'))('several packet workers', () => {
  let pair: Pair
  beforeEach(async () => {
    pair = await createPair()
  })
  afterEach(() => pair.close())

  it.each<Partial<Shape>>([{}, { outer: '6' }, { encapsulation: 'esp' }, { encapsulation: 'esp', outer: '6' }])(
    'have a Child SA each, and share the flows: %o',
    async (change) => {
      const shape = { ...SHAPE, ...change }
      const ends = await startOnAll(pair, shape)
      for (let round = 0; ; round++) {
        const counts = Array<number>(FLOWS).fill(100)
        const flows = { ...FORTH, port: FORTH.port + round * FLOWS, rate: 1000, counts }
        expect(await runFlows(pair.world, flows)).toEqual(counts.map(inOrder))
        const sum = (round + 1) * FLOWS * 100
        const status = await statusWhen(ends[0], ({ tunnels }) => tunnels[0]!.traffic.outPackets >= sum)
        const { workers, tunnels, drops } = status
        expect(drops).toEqual({})
        expect(tunnels[0]!.encapsulation).toBe(shape.encapsulation)
        if (workers!.every(({ outPackets }) => outPackets > 0)) break
        expect(round).toBeLessThan(3)
      }
      await stream(pair.world, 'a', 'b', '10.8.2.1', 20)
      await stream(pair.world, 'b', 'a', 'fd00:8:1::1', 20)
      const right = await statusWhen(ends[1], ({ workers }) => workers!.every(({ inPackets }) => inPackets > 0))
      expect(right.drops).toEqual({})
      expect(right.workers!.map(({ handedOver }) => handedOver)).toEqual([0, 0])
    },
    60_000,
  )

  it('keep each flow in order and lose nothing, while their Child SAs are replaced', async () => {
    const ends = await startOnAll(pair, { ...SHAPE, rekeyMs: 1500 })
    const counts = Array<number>(4).fill(20_000)
    const [forth, back] = await Promise.all([
      runFlows(pair.world, { ...FORTH, rate: 2000, counts }),
      runFlows(pair.world, { ...BACK, rate: 500, counts: [5000, 5000] }),
    ])
    expect(forth).toEqual(counts.map(inOrder))
    expect(back).toEqual([inOrder(5000), inOrder(5000)])
    const status = await statusWhen(ends[0], ({ tunnels }) => tunnels[0]!.traffic.inPackets >= 10_000)
    expect(status.drops).toEqual({})
    for (const { rekeys } of status.tunnels[0]!.children) expect(rekeys).toBeGreaterThanOrEqual(3)
  }, 60_000)

  it.each([
    ['fewer than the peer', [2, 4]],
    ['more than the peer', [4, 2]],
    ['several, the peer one', [3, 1]],
  ] as const)(
    'carry everything: %s',
    async (_, workers) => {
      const ends = await pair.start({ ...SHAPE, workers })
      const counts = Array<number>(FLOWS).fill(500)
      expect(await runFlows(pair.world, { ...FORTH, rate: 1000, counts })).toEqual(counts.map(inOrder))
      expect(await runFlows(pair.world, { ...BACK, rate: 1000, counts })).toEqual(counts.map(inOrder))
      expect(await ping(pair.world, 'b', 'fd00:8:1::1', { count: 20, intervalMs: 20 })).toMatchObject({ received: 20 })
      await stream(pair.world, 'a', 'b', '10.8.2.1', 20)
      for (const end of ends) {
        const status = await statusWhen(end, ({ tunnels }) => tunnels[0]!.traffic.outPackets >= FLOWS * 500)
        expect(status.drops).toEqual({})
        expect(status.workers!.map(({ index }) => index)).toEqual([...Array(workers[ends.indexOf(end)]!).keys()])
      }
    },
    60_000,
  )

  it('keep a flow whole while another worker is flooded, where a single worker cannot', async () => {
    const single = await pair.start({ ...SHAPE, workers: [1, 1] })
    expect(await lossBeside(pair, FORTH.port, FORTH.port + 1)).toBeGreaterThan(0)
    for (const end of single) await end.stop()
    const ends = await startOnAll(pair, SHAPE)
    const { flooded, other } = await portsOfTwoWorkers(pair, ends[0])
    expect(await lossBeside(pair, flooded, other)).toBe(0)
  }, 90_000)

  it('share device and ports with no other process', async () => {
    await pair.start(FIXED)
    const again = pair.vector(0, FIXED)
    again[again.indexOf(`${pair.directory}/a`)] = `${pair.directory}/other`
    const second = await pair.world.exec('a', again, { check: false })
    expect(second.stdout).toContain('"code":"tun-busy"')
    await pair.world.exec('a', 'ip link set isthmus0 name renamed')
    const third = await pair.world.exec('a', again, { check: false })
    expect(third.stdout).toContain('"code":"port-busy"')
  })

  it('end together, with a clear failure, when the device is taken away', async () => {
    const [end] = await pair.start(FIXED)
    await pair.world.exec('a', 'ip link del isthmus0')
    expect(await end.exited).toBe(EXIT.failed)
    expect(end.output()).toContain('the TUN device is gone')
  })

  it('hand over what they have no Child SA for, whole and in order, to a peer with only one', async () => {
    const ends = await pair.start({ ...FIXED, workers: [2, 1] })
    const counts = Array<number>(FLOWS).fill(1000)
    expect(await runFlows(pair.world, { ...FORTH, rate: 500, counts })).toEqual(counts.map(inOrder))
    await stream(pair.world, 'a', 'b', '10.8.2.1', 20)
    await stream(pair.world, 'b', 'a', 'fd00:8:1::1', 20)
    const handedOver = ({ workers }: ConnectorStatus): number[] => workers!.map((worker) => worker.handedOver)
    const status = await statusWhen(ends[0], (each) => handedOver(each)[0]! > 0)
    expect(status.drops).toEqual({})
    expect(handedOver(status)[1]).toBe(0)
    expect(status.workers![0]).toMatchObject({ inPackets: 0, outPackets: 0 })
  }, 60_000)

  it.each<Shape['outer']>(['4', '6'])(
    'bring datagrams that came to the wrong one to the right one: IPv%s',
    async (outer) => {
      const end = pair.world.spawn('b', pair.vector(1, { ...FIXED, outer }))
      await end.waitFor(/^ready$/m)
      const sender = pair.world.spawn('a', [process.execPath, STRAYS, outer, '600'])
      expect(await sender.exited).toBe(0)
      const total = ({ workers }: ConnectorStatus): number =>
        workers!.reduce((sum, { inPackets, handedOver }) => sum + inPackets + handedOver, 0)
      const status = await statusWhen(end, (each) => total(each) >= 1200 && each.drops.unknown_spi === 600 / 30)
      expect(status.workers!.map(({ inPackets }) => inPackets)).toEqual([0, 600])
      // In each run the first datagram is for nobody, and its SPI leads the run to the first worker.
      expect(status.workers!.map(({ handedOver }) => handedOver)).toEqual([600, 0])
      expect(Object.keys(status.drops)).toEqual(['unknown_spi'])
    },
  )
})

/** Ports whose flows from a to b leave by different workers of a. */
async function portsOfTwoWorkers(pair: Pair, end: Spawned): Promise<{ flooded: number; other: number }> {
  // Each flow has another bit of the number of packets.
  const counts = Array.from({ length: 7 }, (_, flow) => 8 << flow)
  const sent = (status: ConnectorStatus) => status.workers!.map(({ outPackets }) => outPackets)
  for (let port = FORTH.port; port < FORTH.port + 1000; port += 100) {
    const before = sent(await statusWhen(end, () => true))
    await runFlows(pair.world, { ...FORTH, port, rate: 1000, counts })
    const total = counts.reduce(
      (sum, count) => sum + count,
      before.reduce((sum, count) => sum + count, 0),
    )
    const after = sent(await statusWhen(end, (status) => sent(status).reduce((sum, count) => sum + count, 0) >= total))
    const [flooded, other] = after.map((count, worker) =>
      counts.findIndex((bit) => ((count - before[worker]!) & bit) !== 0),
    )
    if (flooded! >= 0 && other! >= 0) return { flooded: port + flooded!, other: port + other! }
  }
  throw new Error('all flows go by one worker')
}

/** How many datagrams a slow flow from a to b loses while as many as possible go from and to another port. */
async function lossBeside(pair: Pair, floodedPort: number, port: number): Promise<number> {
  const { world } = pair
  const flood = (ns: string, from: string, to: string) =>
    world.spawn(ns, [process.execPath, FLOOD, from, to, String(floodedPort)])
  const sink = flood('b', FORTH.toAddress, '-')
  await sink.waitFor(/ready/)
  const source = flood('a', FORTH.fromAddress, FORTH.toAddress)
  await source.waitFor(/ready/)
  const [arrivals] = await runFlows(world, { ...FORTH, port, rate: 500, counts: [2000] })
  await source.stop()
  await sink.stop()
  expect(arrivals).toMatchObject({ late: 0, duplicates: 0 })
  return 2000 - arrivals!.received
}
