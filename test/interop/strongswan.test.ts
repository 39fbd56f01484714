/** strongSwan in both roles: suites, groups, address families, children. What needs little of the machine goes at once. */
import { describe, expect, test as plain } from 'vitest'
import { inOrder, runFlows } from '../system/flows.ts'
import { skipWithoutNamespaces } from '../system/netns.ts'
import { stream } from '../system/stream.ts'
import { until } from '../system/until.ts'
import {
  createLab,
  flowBetween,
  INNER4,
  INNER6,
  type Lab,
  lossless,
  OUTER6,
  type PairOptions,
  startPair,
} from './pair.ts'
import { skipWithoutPeers } from './peers.ts'

const skip =
  skipWithoutNamespaces('interop with strongSwan') || skipWithoutPeers('interop with strongSwan', 'strongswan')

/** Each in a lab of its own. */
const test = plain.extend<{ readonly lab: Lab }>({
  lab: async ({ task: _ }, use) => {
    const lab = await createLab()
    await use(lab)
    await lab.close()
  },
})

const SUITES = [
  { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16', group: 31 },
  { ike: 'aes256gcm16-prfsha384-ecp256', esp: 'aes256gcm16-ecp256', group: 19 },
  { ike: 'chacha20poly1305-prfsha256-ecp384', esp: 'chacha20poly1305-ecp384', group: 20 },
  { ike: 'aes128-sha256-modp2048', esp: 'aes128gcm16-modp2048', group: 14 },
  { ike: 'aes256-sha512-ecp521', esp: 'aes256gcm16', group: 21 },
  { ike: 'aes256gcm16-prfsha512-modp3072', esp: 'chacha20poly1305-modp3072', group: 15 },
]

describe.skipIf(skip).each(['us', 'them'] as const)('%s initiating', (initiator) => {
  test.concurrent.for(SUITES)('$ike / $esp', async ({ ike, esp }, { lab }) => {
    const { us } = await startPair(lab, { initiator, ike, esp })
    const tunnel = await us.up()
    expect(tunnel.role).toBe(initiator === 'us' ? 'initiator' : 'responder')
    await expectLossless(lab, '4')
    // A rekey with the suite's own group: the first Child SA never uses it.
    await us.rekey((await us.tunnel()).children[0]!.name)
    await expectLossless(lab, '4', 7001)
    expect((await us.tunnel()).children[0]!.rekeys).toBe(1)
  })

  test.concurrent('IPv6 inside IPv6', ({ lab }) =>
    carries(lab, initiator, { outer: OUTER6, networks: V6_NETWORKS }, '6'))
  test.concurrent('IPv4 inside IPv6', ({ lab }) => carries(lab, initiator, { outer: OUTER6 }, '4'))
  test.concurrent('IPv6 inside IPv4', ({ lab }) => carries(lab, initiator, { networks: V6_NETWORKS }, '6'))
  test.concurrent('both families in one Child SA', async ({ lab }) => {
    await carries(lab, initiator, { networks: MIXED_NETWORKS }, '4')
    await expectLossless(lab, '6', 7001)
  })
})

describe.skipIf(skip)('several Child SAs', () => {
  test.for(['us', 'them'] as const)('%s initiating three', async (initiator, { lab }) => {
    // charon installs a policy only where it has an address of its own in the network.
    await lab.world.exec('us', 'ip addr add 10.8.11.1/32 dev lo')
    await lab.world.exec('them', 'ip addr add 10.8.12.1/32 dev lo')
    const child = (name: string, local: string, remote: string) => ({ name, local, remote, proposals: 'aes128gcm16' })
    const { us, them } = await startPair(lab, {
      initiator,
      ike: 'aes128gcm16-prfsha256-x25519',
      esp: 'aes128gcm16',
      connection: {
        children: [
          child('t', '10.8.2.0/24', '10.8.1.0/24'),
          child('second', '10.8.12.0/24', '10.8.11.0/24'),
          child('third', 'fd08:2::/64', 'fd08:1::/64'),
        ],
      },
      networks: {
        us: ['10.8.1.0/24', '10.8.11.0/24', 'fd08:1::/64'],
        them: ['10.8.2.0/24', '10.8.12.0/24', 'fd08:2::/64'],
      },
      peerKeys: [
        `children: { first: { local: [10.8.1.0/24], remote: [10.8.2.0/24] }, second: { local: [10.8.11.0/24], remote: [10.8.12.0/24] }, third: { local: ['fd08:1::/64'], remote: ['fd08:2::/64'] } }`,
      ],
    })
    if (initiator === 'them') {
      await them.initiate('second')
      await them.initiate('third')
    }
    const tunnel = await us.up()
    expect(tunnel.children.map(({ name }) => name).sort()).toEqual(['first', 'second', 'third'])
    await expectLossless(lab, '4')
    await expectLossless(lab, '6', 7001)
  })
})

describe.skipIf(skip)('two packet workers of ours', () => {
  // charon knows nothing of RFC 9611: what the worker without the Child SA reads is handed to the one that has it.
  test.for(['us', 'them'] as const)('share the one Child SA, %s initiating', async (initiator, { lab }) => {
    const { us } = await startPair(lab, {
      initiator,
      ike: 'aes128gcm16-prfsha256-x25519',
      esp: 'aes128gcm16',
      keys: ['workers: 2'],
    })
    await us.up()
    await expectLossless(lab, '4')
    const counts = Array<number>(8).fill(500)
    const flows = { from: 'us', fromAddress: INNER4.us, to: 'them', toAddress: INNER4.them, port: 9000, rate: 500 }
    expect(await runFlows(lab.world, { ...flows, counts })).toEqual(counts.map(inOrder))
    await stream(lab.world, 'us', 'them', INNER4.them, 20)
    await stream(lab.world, 'them', 'us', INNER4.us, 20)
    await us.rekey((await us.tunnel()).children[0]!.name)
    expect(await runFlows(lab.world, { ...flows, port: 9100, counts })).toEqual(counts.map(inOrder))
    await until('both workers to tell of their packets', async () => {
      const { workers } = await us.status()
      return workers![0]!.outPackets >= 9000 && workers![1]!.handedOver > 0
    })
    const { drops, tunnels, workers } = await us.status()
    expect(drops).toEqual({})
    expect(tunnels[0]).toMatchObject({ state: 'up', children: [{ worker: 0, active: true, rekeys: 1 }] })
    expect(workers![1]).toMatchObject({ inPackets: 0, outPackets: 0 })
  })
})

const V6_NETWORKS = { us: ['fd08:1::/64'], them: ['fd08:2::/64'] }
const MIXED_NETWORKS = { us: ['10.8.1.0/24', 'fd08:1::/64'], them: ['10.8.2.0/24', 'fd08:2::/64'] }

async function carries(
  lab: Lab,
  initiator: 'us' | 'them',
  options: Partial<PairOptions>,
  family: '4' | '6',
): Promise<void> {
  const suites = { ike: 'aes256gcm16-prfsha256-x25519', esp: 'aes256gcm16' }
  const { us } = await startPair(lab, { initiator, ...suites, ...options })
  await us.up()
  await expectLossless(lab, family)
}

async function expectLossless(lab: Lab, family: '4' | '6', port = 7000): Promise<void> {
  const inner = family === '4' ? INNER4 : INNER6
  const results = await flowBetween(lab.world, ['us', 'them'], [inner.us, inner.them], 500, 1, port)
  expect(results).toEqual([lossless(500, 1), lossless(500, 1)])
}
