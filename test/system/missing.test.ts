/** Packets that a filter on the path drops, and what the connectors say of them. */
import { afterEach, describe, expect, it } from 'vitest'
import type { Traffic } from '../../protocol/status.ts'
import { skipWithoutPeers } from '../interop/peers.ts'
import { type ChangingEnd, createSites, type EndName, type Sites } from './changing.ts'
import { skipWithoutNamespaces, type World } from './netns.ts'
import { statusWhen } from './pair.ts'
import { ping } from './ping.ts'

const what = 'counting what never came'
const skip = skipWithoutNamespaces(what) || skipWithoutPeers(what, 'nftables')
const to = (peer: EndName, ...keys: number[]) => ({ tunnels: [{ peer, keys }] })

describe.skipIf(skip)('packets that never came', () => {
  let sites: Sites | undefined
  afterEach(() => sites?.close())

  it('are counted to the packet, and stay counted when their SA is gone', async () => {
    // One packet to a datagram all the way: a filter sees what the kernel has not yet cut as one.
    sites = await createSites(1, { ISTHMUS_OFFLOADS: 'none' })
    const { world } = sites
    const b = await sites.start('b', to('a', 1))
    const a = await sites.start('a', to('b', 1))
    const lift = await loseEveryTenth(world)
    const options = { count: 100, intervalMs: 5 }
    expect(await ping(world, 'a', '10.8.2.1', options)).toMatchObject({ sent: 100, received: 90 })
    // The first of all is among them.
    expect(await lift()).toBe(10)
    const lossy = { inPackets: 90, inMissing: 10, drops: {} }
    const whole = { inPackets: 90, inMissing: 0, drops: {} }
    expect(await trafficWhen(b, ({ inPackets }) => inPackets >= 90)).toMatchObject(lossy)
    expect(await trafficWhen(a, ({ inPackets }) => inPackets >= 90)).toMatchObject(whole)

    const before = await childrenOf(b)
    await Promise.all([a.apply(to('b', 1, 2)), b.apply(to('a', 1, 2))])
    await Promise.all([a.apply(to('b', 2, 1)), b.apply(to('a', 2, 1))])
    await Promise.all([a.apply(to('b', 2)), b.apply(to('a', 2))])
    await statusWhen(b.process, ({ tunnels }) => {
      const [tunnel] = tunnels
      return tunnel?.state === 'up' && !tunnel.children.some(({ inboundSpi }) => before.includes(inboundSpi))
    })
    expect(await ping(world, 'a', '10.8.2.1', options)).toMatchObject({ sent: 100, received: 100 })
    const later = await trafficWhen(b, ({ inPackets }) => inPackets >= 190)
    expect(later).toMatchObject({ ...lossy, inPackets: 190 })
  })
})

/** Of ESP towards `b`, the first packet and every tenth from there on. What it returns ends that, and says how many. */
async function loseEveryTenth(world: World): Promise<() => Promise<number>> {
  // IKE on the same port has zeros where ESP has its SPI (RFC 3948 section 2.2).
  const rules = `table netdev faults {
    chain e {
      type filter hook ingress device "to-a" priority 0; policy accept;
      udp dport 4500 @th,64,32 != 0 numgen inc mod 10 == 0 counter drop
    }
  }`
  await world.exec('b', `printf '%s' '${rules}' | nft -f -`)
  return async () => {
    const { stdout } = await world.exec('b', 'nft list table netdev faults; nft delete table netdev faults')
    return Number(stdout.match(/counter packets (\d+)/)?.[1])
  }
}

async function trafficWhen(end: ChangingEnd, holds: (traffic: Traffic) => boolean): Promise<Traffic> {
  const { tunnels } = await statusWhen(end.process, ({ tunnels }) => holds(tunnels[0]!.traffic))
  return tunnels[0]!.traffic
}

async function childrenOf(end: ChangingEnd): Promise<string[]> {
  const { tunnels } = await statusWhen(end.process, () => true)
  return tunnels[0]!.children.map(({ inboundSpi }) => inboundSpi)
}
