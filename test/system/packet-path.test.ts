/** The packet path in real namespaces, with fixed keys in place of IKE: device, sockets, routes, engine, clean-up. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../connector/handle.ts'
import { skipWithoutNamespaces, type World } from './netns.ts'
import { createPair, type Pair, type Shape, statusOf } from './pair.ts'

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
    const ping = ['ping', '-c', '20', '-i', '0.02', '-W', '2', '-q']
    expect((await world.exec('a', [...ping, '10.8.2.1'])).stdout).toContain('20 received')
    expect((await world.exec('b', [...ping, 'fd00:8:1::1'])).stdout).toContain('20 received')
    expect((await world.exec('a', [...ping, '-s', '3000', '10.8.2.1'])).stdout).toContain('20 received')
    await pair.transfer(8)
    await new Promise((resolve) => setTimeout(resolve, 1100))
    const [left, right] = [await statusOf(ends[0]), await statusOf(ends[1])]
    expect(left.engine.kind).toBe(shape.engine === 'node' ? 'node' : 'wasm')
    expect(left.drops).toEqual({})
    expect(right.drops).toEqual({})
    expect(left.tunnels[0]!.encapsulation).toBe(shape.encapsulation)
    expect(right.tunnels[0]!.traffic.outBytes).toBeGreaterThan(8 << 20)
    expect(left.tunnels[0]!.traffic.inPackets).toBe(right.tunnels[0]!.traffic.outPackets)
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
      expect((await world.exec('a', 'ping -c 10 -i 0.02 -W 2 -q -s 1372 10.8.2.1')).stdout).toContain('10 received')
      await new Promise((resolve) => setTimeout(resolve, 1100))
      expect((await statusOf(ends[1])).drops).toEqual({})
    },
  )

  it('loses nothing when Child SAs are replaced under traffic', async () => {
    const ends = await pair.start({ ...PLAIN, rekeyMs: 400 })
    const ping = 'ping -c 2000 -i 0.002 -W 2 -q'
    const [forth, back] = await Promise.all([
      world.exec('a', `${ping} 10.8.2.1`),
      world.exec('b', `${ping} fd00:8:1::1`),
    ])
    expect(forth.stdout).toContain('2000 received')
    expect(back.stdout).toContain('2000 received')
    expect((await statusOf(ends[0])).drops).toEqual({})
  })

  it('sends nothing in the clear while there is no Child SA', async () => {
    const [end] = await pair.start({ ...PLAIN, suite: 'none' })
    // A way out that a leak would find, and somebody there to answer.
    await world.exec('a', 'ip route add default via 192.0.2.2')
    await world.exec('b', 'ip addr add 10.8.2.9/32 dev lo; sysctl -qw net.ipv4.ip_forward=1')
    const ping = await world.exec('a', 'ping -c 3 -i 0.1 -W 1 10.8.2.9', { check: false })
    expect(ping.stdout).toContain('0 received')
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect((await statusOf(end)).drops.no_sa).toBeGreaterThanOrEqual(3)
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
    expect((await world.exec('a', 'ping -c 3 -i 0.1 -W 2 10.8.2.1')).stdout).toContain('received')
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
    await world.exec('a', 'ping -c 1 -W 1 10.8.2.1', { check: false })
    expect(await end.exited).toBe(EXIT.failed)
    expect(end.output()).toContain('the TUN device is gone')
  })
})
