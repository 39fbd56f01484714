/**
 * Two spokes and a hub: `a` has two tunnels to the hub that share its flows, `b` has one, and the hub passes packets on
 * between them without its kernel. All that is not known better the hub sends to `b`.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controlClient } from '../../connector/ops/client.ts'
import type { ConnectorStatus, TunnelStatus } from '../../protocol/status.ts'
import { ConnectorsByFile } from './by-file.ts'
import { createWorld, skipWithoutNamespaces, type World } from './netns.ts'
import { until } from './until.ts'

const FLOWS = 400

const peer = (keys: string) => `{ ${keys}, secret: { file: psk }, probe: off, dpd: 2s }`

const CONFIGURATIONS = {
  a: `site: a
address: 192.0.2.1
networks: [10.8.1.0/24]
tun: { addresses: [10.8.1.1] }
peers:
  one: ${peer('address: 192.0.2.2, id: hub-one, local_id: a-one, networks: [10.8.2.0/24, 10.8.3.0/24]')}
  two: ${peer('address: 198.51.100.2, local_address: 198.51.100.1, id: hub-two, local_id: a-two, networks: [10.8.2.0/24, 10.8.3.0/24]')}
groups: { hub: { weights: { one: 3, two: 1 } } }
refuse:
  - { prefix: 10.8.0.0/16 }
  - { prefix: 10.9.0.0/16, answer: prohibited }
  - { prefix: 10.10.0.0/16, answer: blackhole }
`,
  hub: `site: hub
address: 192.0.2.2
networks: [10.8.3.0/24]
tun: { addresses: [10.8.3.1] }
peers:
  a-one: ${peer('address: 192.0.2.1, id: a-one, local_id: hub-one, networks: [10.8.1.0/24], transit: true, children: { net: { local: [10.8.2.0/24, 10.8.3.0/24] } }')}
  a-two: ${peer('address: 198.51.100.1, local_address: 198.51.100.2, id: a-two, local_id: hub-two, networks: [10.8.1.0/24], transit: true, children: { net: { local: [10.8.2.0/24, 10.8.3.0/24] } }')}
  b: ${peer('address: 203.0.113.1, local_address: 203.0.113.2, id: b, local_id: hub-b, networks: [10.8.2.0/24], routes: [10.8.2.0/24, 10.8.0.0/16], transit: true, reverse_path: strict, children: { net: { local: [10.8.1.0/24, 10.8.3.0/24] } }')}
groups: { a: { order: [a-two, a-one] } }
`,
  b: `site: b
address: 203.0.113.1
networks: [10.8.2.0/24]
tun: { addresses: [10.8.2.1] }
peers:
  hub: ${peer('address: 203.0.113.2, id: hub-b, local_id: b, networks: [10.8.1.0/24, 10.8.3.0/24]')}
`,
} as const

type Site = keyof typeof CONFIGURATIONS

describe.skipIf(skipWithoutNamespaces('forwarding'))('a hub and two spokes', () => {
  let world: World
  let connectors: ConnectorsByFile

  beforeAll(async () => {
    world = await createWorld()
    connectors = new ConnectorsByFile(world)
    for (const ns of Object.keys(CONFIGURATIONS)) await world.ns(ns)
    await world.link('a', 'hub', { addresses: [['192.0.2.1/30'], ['192.0.2.2/30']] })
    await world.link('a', 'hub', { addresses: [['198.51.100.1/30'], ['198.51.100.2/30']] })
    await world.link('b', 'hub', { addresses: [['203.0.113.1/30'], ['203.0.113.2/30']] })
    for (const ns of Object.keys(CONFIGURATIONS)) await world.exec(ns, 'sysctl -qw net.ipv4.ip_forward=0')
    for (const site of ['hub', 'a', 'b'] as const) connectors.start(site, CONFIGURATIONS[site])
    await connectors.until('all tunnels to be up', async () => {
      const all = await Promise.all((['a', 'hub', 'b'] as const).map(statusOf))
      return all.every((status) => status?.tunnels.every(({ state }) => state === 'up') === true)
    })
  })

  afterAll(async () => {
    await connectors?.stop()
    await world?.close()
  })

  it('the hub passes packets on from spoke to spoke, without its kernel', async () => {
    const { stdout } = await world.exec('a', 'ping -c 5 -i 0.05 -W 2 10.8.2.1')
    expect(stdout).toContain('5 received')
    // Each connector on the way takes one of it.
    expect(stdout).toContain('ttl=63')
    const passed = async (name: string) => (await tunnelOf('hub', name)).transit ?? 0
    await until(
      'the hub to count them',
      async () => (await passed('b')) >= 5 && (await passed('a-one')) + (await passed('a-two')) >= 5,
    )
  })

  it('what comes for the hub’s own network stays there, though a wider one leads into a tunnel', async () => {
    const { stdout } = await world.exec('a', 'ping -c 5 -i 0.05 -W 2 10.8.3.1')
    expect(stdout).toContain('5 received')
    // From the LAN they should not come; they go nowhere.
    const home = await world.exec('hub', 'ping -c 1 -W 1 -I isthmus0 10.8.3.9', { check: false })
    expect(home.stdout).toContain('From 10.8.3.9 icmp_seq=1 Destination Host Unreachable')
    expect((await connectors.verb('hub', 'routes', 'explain', '10.8.3.0/24')).stdout).toContain(
      '10.8.3.0/24 leads to this site (local)',
    )
    expect((await connectors.verb('hub', 'routes', 'explain', '10.8.0.0/16')).stdout).toContain(
      'leads to b (configured)',
    )
  })

  it('a packet whose TTL ends at the hub is answered from its own address', async () => {
    const { stdout } = await world.exec('a', 'ping -c 1 -t 1 -W 2 10.8.2.1', { check: false })
    expect(stdout).toContain('From 10.8.3.1 icmp_seq=1 Time to live exceeded')
    await until('the drop to be counted', async () => ((await statusOf('hub'))!.drops.ttl_exceeded ?? 0) > 0)
  })

  it('what is refused is answered, or not, by the connector, and what leads nowhere stays here', async () => {
    const ping = async (target: string) => (await world.exec('a', `ping -c 1 -W 1 ${target}`, { check: false })).stdout
    expect(await ping('10.8.77.1')).toContain('From 10.8.77.1 icmp_seq=1 Destination Host Unreachable')
    expect(await ping('10.9.0.1')).toContain('From 10.9.0.1 icmp_seq=1 Packet filtered')
    expect(await ping('10.10.0.1')).toContain('100% packet loss')
    const wanted = { unreachable: 1, prohibited: 1, blackhole: 1 }
    await until('the drops to be counted', async () => {
      const { drops } = (await statusOf('a'))!
      return Object.entries(wanted).every(([reason, count]) => drops[reason] === count)
    })
  })

  it('two tunnels share flows by weight; where one is drained the other takes them all', async () => {
    const [one, two] = await sharesOf(FLOWS)
    expect(one + two).toBe(FLOWS)
    // Three quarters, with four standard deviations to either side.
    expect(one / FLOWS).toBeGreaterThan(0.66)
    expect(one / FLOWS).toBeLessThan(0.84)
    // The same flows take the same ways.
    expect(await sharesOf(FLOWS)).toEqual([one, two])
    await connectors.verb('a', 'drain', 'one')
    await until('the first to be empty', async () => (await sharesOf(20))[0] === 0)
    expect(await sharesOf(FLOWS)).toEqual([0, FLOWS])
    await connectors.verb('a', 'undrain', 'one')
    await until('the first to be back', async () => (await sharesOf(20))[0] > 0)
    expect(await sharesOf(FLOWS)).toEqual([one, two])
  })

  async function statusOf(site: Site): Promise<ConnectorStatus | undefined> {
    return controlClient(connectors.socket(site))
      .status()
      .catch(() => undefined)
  }

  async function tunnelOf(site: Site, name: string): Promise<TunnelStatus> {
    return (await statusOf(site))!.tunnels.find((tunnel) => tunnel.name === name)!
  }

  /** How many of so many datagrams, each of a flow of its own, went by either tunnel of `a`. */
  async function sharesOf(flows: number): Promise<[one: number, two: number]> {
    const sent = async () =>
      [await tunnelOf('a', 'one'), await tunnelOf('a', 'two')].map(({ traffic }) => traffic.outPackets)
    const before = await sent()
    const send = `
      const { createSocket } = require('node:dgram')
      for (let i = 0; i < ${flows}; i++) {
        const socket = createSocket('udp4')
        socket.bind(20000 + i, '10.8.1.1', () => socket.send('x', 9, '10.8.3.1', () => socket.close()))
      }`
    await world.exec('a', [process.execPath, '-e', send])
    let shares: number[] = []
    await until('all to be counted', async () => {
      const after = await sent()
      shares = after.map((count, i) => count - before[i]!)
      return shares[0]! + shares[1]! >= flows
    })
    return [shares[0]!, shares[1]!]
  }
})
