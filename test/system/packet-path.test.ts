/** The packet path in real namespaces, with fixed keys in place of IKE: device, sockets, routes, engine, clean-up. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../connector/handle.ts'
import type { ConnectorStatus } from '../../protocol/status.ts'
import { createWorld, type Spawned, skipWithoutNamespaces, type World } from './netns.ts'

const END = join(import.meta.dirname, 'static-end.ts')

interface Shape {
  suite: string
  encapsulation: 'udp' | 'esp'
  engine: string
  outer: '4' | '6'
  rekeyMs?: number
}
const PLAIN: Shape = { suite: 'aes-128-gcm', encapsulation: 'udp', engine: 'wasm', outer: '4' }

describe.skipIf(skipWithoutNamespaces('the packet path'))('the packet path', () => {
  let world: World
  let directory: string

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'isthmus-path-'))
    world = await createWorld()
    await world.ns('a')
    await world.ns('b')
    await world.link('a', 'b', {
      names: ['to-b', 'to-a'],
      addresses: [
        ['192.0.2.1/24', '2001:db8::1/64'],
        ['192.0.2.2/24', '2001:db8::2/64'],
      ],
    })
  })
  afterEach(async () => {
    await world.close()
    rmSync(directory, { recursive: true, force: true })
  })

  function vector(side: 0 | 1, shape: Shape): string[] {
    const state = join(directory, side === 0 ? 'a' : 'b')
    const words = [String(side), shape.suite, shape.encapsulation, shape.engine, state, shape.outer]
    if (shape.rekeyMs !== undefined) words.push(String(shape.rekeyMs))
    return [process.execPath, END, ...words]
  }

  async function start(shape: Shape): Promise<[Spawned, Spawned]> {
    const ends = [world.spawn('a', vector(0, shape)), world.spawn('b', vector(1, shape))] as const
    await Promise.all(ends.map((end) => end.waitFor(/^ready$/m)))
    return [...ends]
  }

  async function status(end: Spawned): Promise<ConnectorStatus> {
    const before = end.output().length
    process.kill(end.pid, 'SIGUSR2')
    for (let i = 0; i < 200; i++) {
      const text = end
        .output()
        .slice(before)
        .match(/^status (.+)$/m)?.[1]
      if (text !== undefined) return JSON.parse(text) as ConnectorStatus
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error(`no status:\n${end.output()}`)
  }

  /** Serves a megabyte-sized body of known bytes in b, fetches it from a; both print its hash. */
  async function transfer(megabytes: number): Promise<void> {
    const body = `
      const { createHash } = require('node:crypto')
      const body = Buffer.alloc(${megabytes} << 20)
      for (let i = 0; i < body.length; i += 4) body.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i)
      const hash = (data) => createHash('sha256').update(data).digest('hex')`
    const server = world.spawn('b', [
      process.execPath,
      '-e',
      `${body}
      require('node:http').createServer((_, answer) => answer.end(body))
        .listen(8080, '10.8.2.1', () => console.log('sha256 ' + hash(body)))`,
    ])
    const [, expected] = await server.waitFor(/sha256 (\w+)/)
    const { stdout } = await world.exec('a', [
      process.execPath,
      '-e',
      `${body}
      fetch('http://10.8.2.1:8080/').then((answer) => answer.bytes()).then((got) => console.log(hash(got)))`,
    ])
    expect(stdout.trim()).toBe(expected)
  }

  const shapes: Shape[] = [
    PLAIN,
    { suite: 'chacha20-poly1305', encapsulation: 'esp', engine: 'wasm', outer: '4' },
    { suite: 'aes-256-gcm', encapsulation: 'esp', engine: 'wasm-strict', outer: '6' },
    { suite: 'aes-256-gcm', encapsulation: 'udp', engine: 'node', outer: '6' },
  ]
  it.each(shapes)('carries IPv4 and IPv6: $suite in $encapsulation over IPv$outer, engine $engine', async (shape) => {
    const ends = await start(shape)
    const ping = ['ping', '-c', '20', '-i', '0.02', '-W', '2', '-q']
    expect((await world.exec('a', [...ping, '10.8.2.1'])).stdout).toContain('20 received')
    expect((await world.exec('b', [...ping, 'fd00:8:1::1'])).stdout).toContain('20 received')
    expect((await world.exec('a', [...ping, '-s', '3000', '10.8.2.1'])).stdout).toContain('20 received')
    await transfer(8)
    await new Promise((resolve) => setTimeout(resolve, 1100))
    const [left, right] = [await status(ends[0]), await status(ends[1])]
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

  it('loses nothing when Child SAs are replaced under traffic', async () => {
    const ends = await start({ ...PLAIN, rekeyMs: 400 })
    const ping = 'ping -c 2000 -i 0.002 -W 2 -q'
    const [forth, back] = await Promise.all([
      world.exec('a', `${ping} 10.8.2.1`),
      world.exec('b', `${ping} fd00:8:1::1`),
    ])
    expect(forth.stdout).toContain('2000 received')
    expect(back.stdout).toContain('2000 received')
    expect((await status(ends[0])).drops).toEqual({})
  })

  it('sends nothing in the clear while there is no Child SA', async () => {
    const [end] = await start({ ...PLAIN, suite: 'none' })
    // A way out that a leak would find, and somebody there to answer.
    await world.exec('a', 'ip route add default via 192.0.2.2')
    await world.exec('b', 'ip addr add 10.8.2.9/32 dev lo; sysctl -qw net.ipv4.ip_forward=1')
    const ping = await world.exec('a', 'ping -c 3 -i 0.1 -W 1 10.8.2.9', { check: false })
    expect(ping.stdout).toContain('0 received')
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect((await status(end)).drops.no_sa).toBeGreaterThanOrEqual(3)
  })

  it('leaves nothing after SIGKILL that the next start does not clean', async () => {
    const [end] = await start(PLAIN)
    end.child.kill('SIGKILL')
    await end.exited
    // The device and its routes went with the process; what might stay behind is made by hand.
    await world.exec('a', 'ip tuntap add dev isthmus0 mode tun && ip link set isthmus0 up')
    await world.exec('a', 'ip route add 10.8.2.0/24 dev isthmus0 proto 151')
    const again = world.spawn('a', vector(0, PLAIN))
    const [, count] = await again.waitFor(/"routes-cleaned","count":(\d+)/)
    expect(Number(count)).toBe(2)
    await again.waitFor(/^ready$/m)
    expect((await world.exec('a', 'ping -c 3 -i 0.1 -W 2 10.8.2.1')).stdout).toContain('received')
    await again.stop()
    const third = world.spawn('a', vector(0, PLAIN))
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
    const busy = await world.exec('a', vector(0, PLAIN), { check: false })
    expect(busy.code).toBe(EXIT.portBusy)
    expect(busy.stdout).toContain('"code":"port-busy"')
    expect(busy.stdout).toContain(`(pid ${holder.pid})`)
    expect((await world.exec('a', 'ip -o link')).stdout).not.toContain('isthmus0')
    await holder.stop()

    await world.exec(
      'a',
      'ip link add dummy0 type veth peer name dummy1; ip link set dummy0 up; ip route add 10.8.2.0/24 dev dummy0',
    )
    const taken = await world.exec('a', vector(0, PLAIN), { check: false })
    expect(taken.stdout).toContain('"code":"route-conflict"')
    expect((await world.exec('a', 'ip -o link')).stdout).not.toContain('isthmus0')
    await world.exec('a', 'ip link del dummy0')

    const bare = ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin']
    const unable = await world.exec('a', [...bare, ...vector(0, PLAIN)], { check: false })
    expect(unable.stdout).toContain('"code":"tun-permission"')
    expect(unable.code).toBe(EXIT.permission)
  })

  it('lets only one connector use a state directory', async () => {
    const [end] = await start(PLAIN)
    const second = await world.exec('a', vector(0, PLAIN), { check: false })
    expect(second.stdout).toContain('"code":"already-running"')
    expect(second.stdout).toContain(`pid ${end.pid}`)
  })

  it('ends with a clear failure when its device is taken away', async () => {
    const [end] = await start(PLAIN)
    await world.exec('a', 'ip link del isthmus0')
    await world.exec('a', 'ping -c 1 -W 1 10.8.2.1', { check: false })
    expect(await end.exited).toBe(EXIT.failed)
    expect(end.output()).toContain('the TUN device is gone')
  })
})
