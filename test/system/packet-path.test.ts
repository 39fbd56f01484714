/** The packet path in real namespaces, with fixed keys in place of IKE: device, sockets, routes, engine, clean-up. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../connector/handle.ts'
import type { ConnectorStatus, Traffic } from '../../protocol/status.ts'
import { type Spawned, skipWithoutNamespaces, type World } from './netns.ts'
import { createPair, type Pair, type Shape, statusOf, statusWhen } from './pair.ts'
import { ping } from './ping.ts'
import { until } from './until.ts'

const PLAIN: Shape = { suite: 'aes-128-gcm', encapsulation: 'udp', engine: 'wasm', outer: '4' }

describe.skipIf(skipWithoutNamespaces('the packet path'))('the packet path', () => {
  let pair: Pair
  let world: World

  beforeEach(async () => {
    pair = await createPair()
    world = pair.world
  })
  afterEach(() => pair.close())

  const shapes: Shape[] = [
    PLAIN,
    { suite: 'chacha20-poly1305', encapsulation: 'esp', engine: 'wasm', outer: '4' },
    { suite: 'aes-256-gcm', encapsulation: 'esp', engine: 'wasm-strict', outer: '6' },
    { suite: 'aes-256-gcm', encapsulation: 'udp', engine: 'node', outer: '6' },
  ]
  it.each(shapes)('carries IPv4 and IPv6: $suite in $encapsulation over IPv$outer, engine $engine', async (shape) => {
    const ends = await pair.start(shape)
    const options = { count: 20, intervalMs: 20 }
    const all = { sent: 20, received: 20 }
    expect(await ping(world, 'a', '10.8.2.1', options)).toMatchObject(all)
    expect(await ping(world, 'b', 'fd00:8:1::1', options)).toMatchObject(all)
    expect(await ping(world, 'a', '10.8.2.1', { ...options, payloadBytes: 3000 })).toMatchObject(all)
    await pair.transfer(8)
    const [left, right] = await settled(ends, 8 << 20)
    expect(left.engine.kind).toBe(shape.engine === 'node' ? 'node' : 'wasm')
    expect(left.drops).toEqual({})
    expect(right.drops).toEqual({})
    expect(left.tunnels[0]!.encapsulation).toBe(shape.encapsulation)
    for (const end of ends) {
      await end.stop()
      expect(await end.exited).toBe(0)
    }
    const left0 = await world.exec('a', 'ip -o link show; ip route show proto 151; ip -6 route show proto 151')
    expect(left0.stdout).not.toContain('isthmus0')
  })

  it.each(['udp', 'esp'] as const)(
    'goes on, in outer fragments, where the path is narrower than configured: %s',
    async (encapsulation) => {
      const ends = await pair.start({ ...PLAIN, encapsulation })
      await world.exec('a', 'ip link set to-b mtu 1300')
      await world.exec('b', 'ip link set to-a mtu 1300')
      await pair.transfer(4)
      const wide = await ping(world, 'a', '10.8.2.1', { count: 10, intervalMs: 20, payloadBytes: 1372 })
      expect(wide).toMatchObject({ sent: 10, received: 10 })
      const [left, right] = await settled(ends, 4 << 20)
      expect(left.drops).toEqual({})
      expect(right.drops).toEqual({})
    },
  )

  it('loses nothing when Child SAs are replaced under traffic', async () => {
    const ends = await pair.start({ ...PLAIN, rekeyMs: 800 })
    const options = { count: 2000, intervalMs: 2 }
    const [forth, back] = await Promise.all([
      ping(world, 'a', '10.8.2.1', options),
      ping(world, 'b', 'fd00:8:1::1', options),
    ])
    expect(forth).toMatchObject({ sent: 2000, received: 2000 })
    expect(back).toMatchObject({ sent: 2000, received: 2000 })
    const [left, right] = await settled(ends, 2 * 2000 * 84)
    expect(left.drops).toEqual({})
    expect(right.drops).toEqual({})
  })

  it('sends nothing in the clear while there is no Child SA', async () => {
    const [end] = await pair.start({ ...PLAIN, suite: 'none' })
    // A way out that a leak would find, and somebody there to answer.
    await world.exec('a', 'ip route add default via 192.0.2.2')
    await world.exec('b', 'ip addr add 10.8.2.9/32 dev lo; echo 1 > /proc/sys/net/ipv4/ip_forward')
    const leaked = await ping(world, 'a', '10.8.2.9', { count: 3, intervalMs: 100, timeoutMs: 1000 })
    expect(leaked).toMatchObject({ sent: 3, received: 0 })
    await statusWhen(end, ({ drops }) => (drops.no_sa ?? 0) >= 3)
  })

  it('leaves nothing after SIGKILL that the next start does not clean', async () => {
    const [end] = await pair.start(PLAIN)
    end.child.kill('SIGKILL')
    await end.exited
    // The device and its routes went with the process; what might stay behind is made by hand.
    await world.exec('a', 'ip tuntap add dev isthmus0 mode tun && ip link set isthmus0 up')
    await world.exec('a', 'ip route add 10.8.2.0/24 dev isthmus0 proto 151')
    const again = world.spawn('a', pair.vector(0, PLAIN))
    const [, count] = await again.waitFor(/"routes-cleaned","count":(\d+)/)
    expect(Number(count)).toBe(2)
    await again.waitFor(/^ready$/m)
    const routes = await world.exec('a', 'ip route show proto 151')
    expect(routes.stdout.trim().split('\n')).toHaveLength(1)
    expect(routes.stdout).toContain('10.8.2.0/24 dev isthmus0')
    await again.stop()
    const third = world.spawn('a', pair.vector(0, PLAIN))
    await third.waitFor(/^ready$/m)
    expect(third.output()).not.toContain('routes-cleaned')
  })

  it('says why it cannot start, and undoes what it had done', async () => {
    const holder = world.spawn('a', [
      process.execPath,
      '-e',
      `require('node:dgram').createSocket('udp4').bind(4500, '192.0.2.1', () => console.log('bound'))`,
    ])
    await holder.waitFor(/bound/)
    const busy = await world.exec('a', pair.vector(0, PLAIN), { check: false })
    expect(busy.code).toBe(EXIT.portBusy)
    expect(busy.stdout).toContain('"code":"port-busy"')
    expect(busy.stdout).toContain(`(pid ${holder.pid})`)
    expect((await world.exec('a', 'ip -o link')).stdout).not.toContain('isthmus0')
    await holder.stop()

    await world.exec(
      'a',
      'ip link add dummy0 type veth peer name dummy1; ip link set dummy0 up; ip route add 10.8.2.0/24 dev dummy0',
    )
    const taken = await world.exec('a', pair.vector(0, PLAIN), { check: false })
    expect(taken.stdout).toContain('"code":"route-conflict"')
    expect((await world.exec('a', 'ip -o link')).stdout).not.toContain('isthmus0')
    await world.exec('a', 'ip link del dummy0')

    const bare = ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin']
    const unable = await world.exec('a', [...bare, ...pair.vector(0, PLAIN)], { check: false })
    expect(unable.stdout).toContain('"code":"tun-permission"')
    expect(unable.code).toBe(EXIT.permission)
  })

  it('lets only one connector use a state directory', async () => {
    const [end] = await pair.start(PLAIN)
    const second = await world.exec('a', pair.vector(0, PLAIN), { check: false })
    expect(second.stdout).toContain('"code":"already-running"')
    expect(second.stdout).toContain(`pid ${end.pid}`)
  })

  it('ends with a clear failure when its device is taken away', async () => {
    const [end] = await pair.start(PLAIN)
    await world.exec('a', 'ip link del isthmus0')
    await ping(world, 'a', '10.8.2.1', { count: 1, intervalMs: 100, timeoutMs: 100 })
    expect(await end.exited).toBe(EXIT.failed)
    expect(end.output()).toContain('the TUN device is gone')
  })
})

/** Both ends' status once it holds all traffic: at least so many bytes from right to left, and equal counts. */
async function settled(ends: readonly [Spawned, Spawned], bytes: number): Promise<[ConnectorStatus, ConnectorStatus]> {
  let both: [ConnectorStatus, ConnectorStatus] | undefined
  await until('both ends to have counted all traffic', async () => {
    both = [await statusOf(ends[0]), await statusOf(ends[1])]
    const [left, right] = both.map((status) => status.tunnels[0]!.traffic) as [Traffic, Traffic]
    const isEqual = left.inPackets === right.outPackets && right.inPackets === left.outPackets
    return right.outBytes >= bytes && isEqual
  })
  return both!
}
