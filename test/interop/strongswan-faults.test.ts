/** strongSwan on a bad day: restarts, a lossy link, a NAT that rebinds, fragmented IKE, wrong configurations. */
import { describe, expect } from 'vitest'
import { skipWithoutNamespaces } from '../system/netns.ts'
import { ping } from '../system/ping.ts'
import { until } from '../system/until.ts'
import { startIsthmus } from './isthmus.ts'
import { test } from './lab-test.ts'
import {
  flowBetween,
  INNER4,
  isthmusOptions,
  type Lab,
  lossless,
  OUTER4,
  type PairOptions,
  startPair,
  strongSwanOptions,
  vethOf,
} from './pair.ts'
import { skipWithoutPeers } from './peers.ts'
import { startStrongSwan } from './strongswan.ts'

const what = 'interop with strongSwan under faults'
const skip = skipWithoutNamespaces(what) || skipWithoutPeers(what, 'strongswan', 'nftables')
const SUITES = { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16' }

describe.skipIf(skip).concurrent('restarts', () => {
  test('strongSwan crashes and comes back: we notice and join again', async ({ lab }) => {
    const { us, them } = await startPair(lab, { initiator: 'us', ...SUITES, peerKeys: ['dpd: 1s'], keys: QUICK })
    const before = await us.up()
    await them.kill()
    await until('the dead peer to be noticed', async () => (await us.tunnel()).state !== 'up', 60_000)
    expect((await us.tunnel()).lastError?.code).toMatch(/peer-dead|no-response/)
    await them.start()
    const after = await us.up(60_000)
    expect(after.initiatorSpi).not.toBe(before.initiatorSpi)
    await expectLossless(lab)
  })

  test('we crash and come back: strongSwan replaces the old SA', async ({ lab }) => {
    const { us, them } = await startPair(lab, { initiator: 'us', ...SUITES })
    await us.up()
    await us.kill()
    const again = await startIsthmus(lab.world, 'us', lab.directory, isthmusOptions({ initiator: 'us', ...SUITES }))
    await again.up()
    await expectLossless(lab)
    await until('strongSwan to hold one IKE SA', async () => {
      const sas = await them.swanctl('--list-sas')
      return [...sas.matchAll(/ESTABLISHED/g)].length === 1
    })
  })

  test('strongSwan stops in good order: both ends know at once', async ({ lab }) => {
    const { us, them } = await startPair(lab, { initiator: 'them', ...SUITES })
    await us.up()
    await them.swanctl('--terminate', '--ike', 'c')
    await until('the tunnel to be closed', async () => (await us.tunnel()).children.length === 0, 10_000)
    await them.initiate('t')
    await us.up()
    await expectLossless(lab)
  })
})

describe.skipIf(skip).concurrent.each(['us', 'them'] as const)(
  'a fifth of the IKE datagrams lost, %s initiating',
  (initiator) => {
    test('the tunnel comes up all the same', async ({ lab }) => {
      for (const ns of ['us', 'them']) await loseDatagrams(lab, ns, 20)
      const { us } = await startPair(lab, {
        initiator,
        ...SUITES,
        keys: QUICK,
        daemon: 'retransmit_timeout = 0.3\n retransmit_base = 1.2\n retransmit_tries = 20',
      })
      await us.up(60_000)
    })
  },
)

describe.skipIf(skip).concurrent('fragments of IKE messages', () => {
  test.for(['us', 'them'] as const)('%s initiating with long identities', async (initiator, { lab }) => {
    const long = (letter: string) =>
      `${letter.repeat(60)}.${letter.repeat(60)}.${letter.repeat(60)}.${letter.repeat(50)}.example`
    const { us, them } = await startPair(lab, {
      initiator,
      ...SUITES,
      connection: { localId: long('b'), remoteId: long('a') },
      daemon: 'fragment_size = 400',
      peerKeys: ['fragment_size: 576', `id: ${long('b')}`, `local_id: ${long('a')}`],
    })
    await us.up()
    // Our answer holds one identity and fits; our request holds two.
    if (initiator === 'us') expect(/received fragment #1 of \d/.test(them.log())).toBe(true)
    expect(/splitting IKE message/.test(them.log())).toBe(true)
    await expectLossless(lab)
  })
})

describe.skipIf(skip).concurrent('a NAT in between', () => {
  test('strongSwan behind a NAT that rebinds: ESP tells us where it went', async ({ lab }) => {
    await putNatBetween(lab)
    const options: PairOptions = { initiator: 'them', ...SUITES }
    const us = await startIsthmus(lab.world, 'us', lab.directory, {
      ...isthmusOptions(options),
      peer: {
        ...isthmusOptions(options).peer,
        address: OUTER4.us.replace(/1$/, '254'),
        keys: ['initiate: false', `id: ${INSIDE}`],
      },
    })
    const them = await startStrongSwan(lab.world, 'them', lab.directory, {
      connections: {
        c: { ...strongSwanOptions(options).connections.c, local: INSIDE, remoteId: OUTER4.us, localId: INSIDE },
      },
    })
    await them.initiate('t')
    const before = await us.up()
    await expectLossless(lab)
    await rebind(lab)
    await expectFlowFromThem(lab)
    const after = await us.tunnel()
    expect(after.remote).not.toBe(before.remote)
    expect(after.initiatorSpi).toBe(before.initiatorSpi)
    await expectLossless(lab, 7002)
  })
})

describe.skipIf(skip).concurrent('wrong configurations', () => {
  test('another secret: one sentence with cause and remedy', async ({ lab }) => {
    const { us } = await startPair(lab, { initiator: 'us', ...SUITES, connection: { secret: 'something else' } })
    await until('the failure to be told', async () => (await us.tunnel()).lastError !== undefined)
    const { lastError } = await us.tunnel()
    expect(lastError?.code).toBe('authentication-failed')
    expect(lastError?.remedy).not.toBe('')
    expect(us.log()).not.toContain('correct horse')
  })

  test('no common proposal', async ({ lab }) => {
    const { us } = await startPair(lab, {
      initiator: 'us',
      ...SUITES,
      connection: { proposals: 'aes256-sha512-modp4096' },
    })
    await until('the failure to be told', async () => (await us.tunnel()).lastError !== undefined)
    expect((await us.tunnel()).lastError?.code).toBe('no-proposal-chosen')
  })

  test('selectors that do not meet', async ({ lab }) => {
    const child = { name: 't', local: '10.99.0.0/24', remote: '10.98.0.0/24', proposals: 'aes128gcm16' }
    const { us } = await startPair(lab, { initiator: 'us', ...SUITES, connection: { children: [child] } })
    await until('the failure to be told', async () => (await us.tunnel()).lastError !== undefined)
    expect((await us.tunnel()).lastError?.code).toBe('ts-unacceptable')
  })
})

/** Retransmits that suit a test on one machine. */
const QUICK = [
  'limits: { retransmit: 300ms, retransmit_factor: 1.2, retransmit_tries: 12, retry: 500ms, retry_max: 2s }',
]
/** strongSwan's address behind the NAT. */
const INSIDE = '172.31.0.2'

async function expectLossless(lab: Lab, port = 7000): Promise<void> {
  const results = await flowBetween(lab.world, ['us', 'them'], [INNER4.us, INNER4.them], 500, 1, port)
  expect(results).toEqual([lossless(500, 1), lossless(500, 1)])
}

/** Five datagrams a second from their side; some of our answers find the new way. */
async function expectFlowFromThem(lab: Lab): Promise<void> {
  const options = { count: 20, intervalMs: 200, timeoutMs: 1000, source: INNER4.them }
  expect((await ping(lab.world, 'them', INNER4.us, options)).received).toBeGreaterThan(0)
}

async function loseDatagrams(lab: Lab, ns: string, percent: number): Promise<void> {
  const device = await vethOf(lab, ns)
  const rules = `table netdev faults {
    chain e {
      type filter hook ingress device "${device}" priority 0; policy accept;
      udp dport { 500, 4500 } numgen random mod 100 < ${percent} counter drop
    }
  }`
  await lab.world.exec(ns, `printf '%s' '${rules}' | nft -f -`)
}

/** Moves `them` behind a third namespace that masquerades with random ports. */
async function putNatBetween(lab: Lab): Promise<void> {
  const { world } = lab
  await world.ns('nat')
  await world.ns('inside')
  const outside = await vethOf(lab, 'them')
  // The former link now ends in nothing: `us` keeps its address towards a new neighbour.
  await world.exec('them', `ip link del ${outside}`)
  await world.link('us', 'nat', {
    names: ['wan', 'wan'],
    addresses: [[`${OUTER4.us}/24`], ['192.168.77.254/24']],
  })
  await world.link('nat', 'them', { names: ['lan', 'lan'], addresses: [['172.31.0.1/24'], [`${INSIDE}/24`]] })
  await world.exec('them', 'ip route add default via 172.31.0.1')
  await world.exec(
    'nat',
    `echo 1 > /proc/sys/net/ipv4/ip_forward
     printf 'table ip nat { chain post {\ntype nat hook postrouting priority 100\noifname "wan" masquerade random\n}\n}\n' | nft -f -`,
  )
}

/** Masquerading forgets the mappings of a device that goes down: the next datagram through it is mapped anew. */
async function rebind(lab: Lab): Promise<void> {
  await lab.world.exec('nat', 'ip link set wan down && ip link set wan up')
}
