/** Large transfers through real kernels, with each step of offloads and on a bad wire: every byte arrives. */
import { afterEach, describe, expect, it } from 'vitest'
import type { ConnectorStatus } from '../../protocol/status.ts'
import { type Spawned, skipWithoutNamespaces } from './netns.ts'
import { createPair, type Pair, type Shape, statusOf, statusWhen } from './pair.ts'
import { stream, streamMs } from './stream.ts'

/** ISTHMUS_TEST_MEGABYTES=1024 makes the transfers larger, that over the bad wire included. */
const MEGABYTES = Number(process.env.ISTHMUS_TEST_MEGABYTES ?? 200)
const BAD_WIRE_MEGABYTES = Number(process.env.ISTHMUS_TEST_MEGABYTES ?? 32)
const PLAIN: Shape = { suite: 'chacha20-poly1305', encapsulation: 'udp', engine: 'wasm', outer: '4' }

/** What the kernel counts of TCP, both IP versions, in one of the namespaces. */
async function tcpCounts(pair: Pair, ns: string): Promise<Record<string, number>> {
  const { stdout } = await pair.world.exec(ns, 'cat /proc/net/snmp')
  const [names, values] = stdout.split('\n').filter((line) => line.startsWith('Tcp: '))
  const counts = values!.split(' ')
  return Object.fromEntries(names!.split(' ').map((name, i) => [name, Number(counts[i])]))
}

/** Its status when it has counted so many megabytes in. */
function carried(end: Spawned, megabytes: number): Promise<ConnectorStatus> {
  return statusWhen(end, ({ tunnels }) => tunnels[0]!.traffic.inBytes >= megabytes << 20)
}

describe.skipIf(skipWithoutNamespaces('offloads'))('with offloads', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it(
    'a large transfer over either IP version arrives byte for byte',
    async () => {
      pair = await createPair()
      const ends = await pair.start(PLAIN)
      await stream(pair.world, 'a', 'b', '10.8.2.1', MEGABYTES)
      await stream(pair.world, 'b', 'a', 'fd00:8:1::1', MEGABYTES)
      const status = await statusOf(ends[0])
      expect(status.offloads).toMatchObject({ udpSend: 'gso', udpReceive: 'gro' })
      expect(status.offloads!.tun).toMatch(/^tso/)
    },
    2 * streamMs(MEGABYTES),
  )

  it.each([
    ['none', 'none', { tun: 'none', udpSend: 'single', udpReceive: 'single' }],
    ['all', 'none', { tun: 'none', udpSend: 'single', udpReceive: 'single' }],
    ['tso', 'gso,gro', { tun: 'none', udpSend: 'gso', udpReceive: 'gro' }],
    ['tso,gro', 'tso,gso', { tun: 'tso', udpSend: 'gso', udpReceive: 'single' }],
  ])(
    'ends that use %s and %s understand each other',
    async (left, right, used) => {
      pair = await createPair()
      const ends = await pair.start({ ...PLAIN, offloads: [left, right] })
      await stream(pair.world, 'a', 'b', '10.8.2.1', 32)
      await stream(pair.world, 'b', 'a', 'fd00:8:1::1', 32)
      expect((await statusOf(ends[1])).offloads).toMatchObject(used)
    },
    60_000,
  )

  it.each([
    ['aes-128-gcm', 'esp', 1283],
    ['aes-256-gcm', 'esp', 1399],
    ['chacha20-poly1305', 'udp', 1283],
    ['aes-128-gcm', 'udp', 1381],
  ] as const)(
    'in segments of odd sizes: %s, %s, a device of %i bytes',
    async (suite, encapsulation, mtu) => {
      pair = await createPair()
      const ends = await pair.start({ ...PLAIN, suite, encapsulation })
      await pair.world.exec('b', `ip link set isthmus0 mtu ${mtu}`)
      await stream(pair.world, 'a', 'b', '10.8.2.1', 32)
      await stream(pair.world, 'a', 'b', 'fd00:8:2::1', 32)
      await stream(pair.world, 'b', 'a', '10.8.1.1', 32)
      expect((await carried(ends[1], 64)).drops).toEqual({})
      expect((await carried(ends[0], 32)).drops).toEqual({})
    },
    60_000,
  )

  it('where the path is narrower than the packets, they go one by one, in fragments', async () => {
    pair = await createPair()
    for (const [ns, device] of [
      ['a', 'to-b'],
      ['b', 'to-a'],
    ] as const) {
      await pair.world.exec(ns, `ip link set ${device} mtu 1300`)
    }
    const ends = await pair.start(PLAIN)
    await stream(pair.world, 'a', 'b', '10.8.2.1', 16)
    await stream(pair.world, 'b', 'a', 'fd00:8:1::1', 16)
    for (const end of ends) {
      const { offloads, drops } = await carried(end, 16)
      expect(offloads).toMatchObject({ udpSend: 'single', why: 'UDP_SEGMENT: refused for a path' })
      expect(drops).toEqual({})
    }
  }, 60_000)

  it.each(['all', 'none'])(
    'on a wire that loses and reorders, offloads %s',
    async (offloads) => {
      pair = await createPair({ lost: 1, late: 3 })
      const ends = await pair.start({ ...PLAIN, offloads: [offloads, offloads] })
      await stream(pair.world, 'a', 'b', '10.8.2.1', BAD_WIRE_MEGABYTES)
      await stream(pair.world, 'b', 'a', 'fd00:8:1::1', BAD_WIRE_MEGABYTES)
      // The wire was as bad as it was meant to be.
      const left = await tcpCounts(pair, 'a')
      const right = await tcpCounts(pair, 'b')
      expect(left.RetransSegs! + right.RetransSegs!).toBeGreaterThan(10 * BAD_WIRE_MEGABYTES)
      // The kernel counts what is coalesced as one. Without that, what does not arrive is what is lost.
      const arrived = (left.InSegs! + right.InSegs!) / (left.OutSegs! + right.OutSegs!)
      if (offloads === 'all') expect(arrived).toBeLessThan(0.9)
      else expect(arrived).toBeGreaterThan(0.95)
      expect((await carried(ends[1], BAD_WIRE_MEGABYTES)).drops).toEqual({})
    },
    2 * streamMs(BAD_WIRE_MEGABYTES),
  )

  it('UDP of every size keeps its boundaries', async () => {
    pair = await createPair()
    await pair.start(PLAIN)
    const echo = `
      const socket = require('node:dgram').createSocket('udp4')
      socket.on('message', (message, { port, address }) => socket.send(message, port, address))
      socket.bind(8091, '10.8.2.1', () => console.log('bound'))`
    const ask = `
      const socket = require('node:dgram').createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
      let back = 0
      socket.on('message', (message) => {
        if (message.every((byte) => byte === (message.length & 255))) back++
        if (back === 2000) process.exit(0)
      })
      let size = 0
      const next = () => {
        for (let i = 0; i < 20 && size < 2000; i++, size++) {
          socket.send(Buffer.alloc(1 + (size >> 2), (1 + (size >> 2)) & 255), 8091, '10.8.2.1')
        }
        if (size < 2000) setTimeout(next, 2)
      }
      next()
      setTimeout(() => process.exit(1), 10000)`
    const server = pair.world.spawn('b', [process.execPath, '-e', echo])
    await server.waitFor(/bound/)
    expect((await pair.world.exec('a', [process.execPath, '-e', ask], { check: false })).code).toBe(0)
  }, 30_000)
})
