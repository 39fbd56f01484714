/** Two sites with two tunnels between them: one is cut, drained, and made to lose packets, while packets flow. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controlRequest } from '../../connector/ops/client.ts'
import type { ClassRow, PathRow, PathsStatus } from '../../protocol/paths.ts'
import { skipWithoutPeers } from '../interop/peers.ts'
import { ConnectorsByFile } from './by-file.ts'
import { createWorld, type Spawned, skipWithoutNamespaces, type World } from './netns.ts'
import { until } from './until.ts'

const ROUTERS = { a: 1, b: 2 } as const
type Site = keyof typeof ROUTERS

function configuration(site: Site): string {
  const [own, other] = site === 'a' ? [1, 2] : [2, 1]
  const peer = (name: string, network: string) =>
    `  ${name}: { address: ${network}.${other}, local_address: ${network}.${own}, id: ${name}-${other}, local_id: ${name}-${own}, ` +
    `networks: [10.8.${other}.0/24], secret: { file: psk }, probe: fast }`
  return `site: ${site}
address: 192.0.2.${own}
networks: [10.8.${own}.0/24]
tun: { addresses: [10.8.${own}.1] }
peers:
${peer('one', '192.0.2')}
${peer('two', '198.51.100')}
groups: { all: { order: [one, two] } }
steering:
  pings: { match: [{ protocol: icmp }], prefer: [one, two], limits: { loss: 1% }, hold: 5s }
`
}

const what = 'failover between two tunnels'
const skip = skipWithoutNamespaces(what) || skipWithoutPeers(what, 'nftables')

describe.skipIf(skip)('two tunnels', () => {
  let world: World
  let connectors: ConnectorsByFile

  beforeAll(async () => {
    world = await createWorld()
    connectors = new ConnectorsByFile(world)
    for (const site of ['a', 'b']) await world.ns(site)
    await world.link('a', 'b', { names: ['one', 'one'], addresses: [['192.0.2.1/30'], ['192.0.2.2/30']] })
    await world.link('a', 'b', { names: ['two', 'two'], addresses: [['198.51.100.1/30'], ['198.51.100.2/30']] })
    for (const site of ['b', 'a'] as const) connectors.start(site, configuration(site))
    await connectors.until('all paths to be up', async () => {
      const all = [...(await rows('a')), ...(await rows('b'))]
      return (
        all.length === 4 && all.every(({ state, probe, lossIn }) => state === 'up' && probe === 'up' && lossIn === 0)
      )
    })
  })

  afterAll(async () => {
    await connectors?.stop()
    await world?.close()
  })

  it('a drained tunnel loses no packet either way, and has its traffic back when it is not drained any more', async () => {
    const pings = ping(600)
    await until('some to have passed', () => pings.output().includes('icmp_seq=50 '))
    await connectors.verb('a', 'drain', 'one')
    await until('it to be drained', async () => (await row('a', 'one')).state === 'drained')
    expect(await row('a', 'two')).toMatchObject({ prefixes: 1, classes: ['pings'] })
    await connectors.verb('a', 'undrain', 'one')
    await until('it to be used', async () => (await row('a', 'one')).classes.includes('pings'))
    expect(await lostOf(pings)).toBe(0)
  })

  it('a silent cut costs less than 300 ms, and is told with what it cost', async () => {
    const pings = ping(600)
    await until('some to have passed', () => pings.output().includes('icmp_seq=50 '))
    await faults('drop')
    await until('both to have moved', async () => {
      const [here, there] = await Promise.all([row('a', 'one'), row('b', 'one')])
      return here.lastFailover !== undefined && there.lastFailover !== undefined
    })
    // 5 ms apart; the cut is at both ends, so a ping and its answer are lost one after the other at most.
    expect(await lostOf(pings)).toBeLessThan(60)
    const { state, lastFailover, passing } = await row('a', 'one')
    expect([state, passing]).toEqual(['down', false])
    expect(lastFailover).toMatchObject({ to: ['two'], cause: 'probe' })
    expect(lastFailover!.ms).toBeLessThan(300)
    expect(lastFailover!.lostPackets).toBeGreaterThan(0)
    expect(lastFailover!.lostPackets).toBeLessThan(120)
    expect(connectors.output('a')).toMatch(/"code":"failover","tunnel":"one","cause":"probe".*one gives way to two/)
    await faults(undefined)
    await until('it to be back', async () => (await row('a', 'one')).state === 'up')
  })

  it('a class leaves a tunnel that loses packets, whose other traffic stays', async () => {
    await until('the class to be back, and free to move again', async () => {
      const both = await Promise.all([paths('a'), paths('b')])
      const rows = both.flatMap(({ classes }): readonly ClassRow[] => classes)
      return (
        rows.length === 2 && rows.every(({ peer, since }) => peer === 'one' && Date.now() - Date.parse(since) > 3_000)
      )
    })
    await faults('numgen random mod 100 < 5 drop')
    // Each end decides on what it sends: answers leave the tunnel when the other one has moved.
    await until('the class to have moved at both ends', async () => {
      const [here, there] = await Promise.all([row('a', 'two'), row('b', 'two')])
      return here.classes.includes('pings') && there.classes.includes('pings')
    })
    expect(await row('a', 'one')).toMatchObject({ state: 'up', prefixes: 1, classes: [] })
    expect((await paths('a')).classes).toMatchObject([{ because: 'loss', from: 'one', peer: 'two' }])
    const pings = ping(100)
    expect(await lostOf(pings)).toBe(0)
    const { stdout } = await connectors.verb('a', 'paths')
    expect(stdout).toMatch(/pings +two +\S+ +one loses too much; one is beyond its limit of loss/)
    await faults(undefined)
  })

  const paths = async (site: Site): Promise<PathsStatus> =>
    (await controlRequest(connectors.socket(site), 'GET', '/paths').catch(() => ({
      paths: [],
      classes: [],
    }))) as PathsStatus

  const rows = async (site: Site): Promise<readonly PathRow[]> => (await paths(site)).paths

  const row = async (site: Site, peer: string): Promise<PathRow> =>
    (await rows(site)).find((each) => each.peer === peer)!

  function ping(count: number): Spawned {
    return world.spawn('a', ['ping', '-i', '0.005', '-c', String(count), '-W', '1', '-I', '10.8.1.1', '10.8.2.1'])
  }

  async function lostOf(pings: Spawned): Promise<number> {
    const [, sent, received] = await pings.waitFor(/(\d+) packets transmitted, (\d+) received/)
    return Number(sent) - Number(received)
  }

  /** Of all that arrives by the first link, at both ends; undefined: nothing any more. */
  async function faults(verdict: string | undefined): Promise<void> {
    const rules = `table netdev faults { chain e { type filter hook ingress device "one" priority 0; policy accept; udp dport 4500 ${verdict}; udp dport 500 ${verdict}; }; }`
    const clear = 'nft delete table netdev faults 2>/dev/null'
    const line = verdict === undefined ? `${clear}; true` : `${clear}; printf '%s' '${rules}' | nft -f -`
    await Promise.all(['a', 'b'].map((ns) => world.exec(ns, line)))
  }
})
