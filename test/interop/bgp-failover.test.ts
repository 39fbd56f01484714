import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Spawned, skipWithoutNamespaces } from '../system/netns.ts'
import { until } from '../system/until.ts'
import { AS } from './bgp-lab.ts'
import { type Bird, birdConfiguration, startBird } from './bird.ts'
import { type Isthmus, startIsthmus } from './isthmus.ts'
import { createLab, type Lab, SECRET, vethOf } from './pair.ts'
import { skipWithoutPeers } from './peers.ts'
import { type StrongSwan, startStrongSwan } from './strongswan.ts'

const WHAT = 'two tunnels to a gateway like a cloud has it'
const missing = skipWithoutNamespaces(WHAT) || skipWithoutPeers(WHAT, 'strongswan', 'bird')
const IKE = 'aes128gcm16-prfsha256-x25519'
const ESP = 'aes128gcm16'
const SIDES = [
  {
    ns: 'them',
    name: 'first',
    outer: ['192.168.77.1', '192.168.77.2'],
    inside: ['169.254.10.2', '169.254.10.1'],
    med: 10,
  },
  {
    ns: 'other',
    name: 'second',
    outer: ['192.168.78.1', '192.168.78.2'],
    inside: ['169.254.11.2', '169.254.11.1'],
    med: 20,
  },
] as const
/** Both ends of the cloud have it. */
const SERVER = '10.9.0.1'

describe.skipIf(missing)(WHAT, () => {
  let lab: Lab
  let us: Isthmus
  const daemons: { stop(): Promise<void> }[] = []

  beforeEach(async () => {
    lab = await createLab()
    await lab.world.ns('other')
    await lab.world.link('us', 'other', { addresses: [['192.168.78.1/24'], ['192.168.78.2/24']] })
    for (const side of SIDES) daemons.push(await startSide(lab, side), await startRouter(lab, side))
    us = await startConnector(lab)
  })

  afterEach(async () => {
    await us?.stop()
    for (const daemon of daemons.splice(0).reverse()) await daemon.stop()
    await lab.close()
  })

  it('BFD moves the traffic to the other tunnel when one is cut without a word, and back when it is there again', async () => {
    await until('both to be up', async () => {
      const { bgp } = await us.status()
      return bgp!.neighbours.every(({ state, bfd }) => state === 'established' && bfd?.state === 'up')
    })
    await until('the first to be preferred', async () => (await tunnelOf('10.9.0.0/16')) === 'first')
    const pings = lab.world.spawn('us', ['ping', '-D', '-O', '-i', '0.05', '-W', '1', '-I', '10.8.1.1', SERVER])
    await pings.waitFor(/icmp_seq=20 /)
    const veth = await vethOf(lab, 'them')
    const cutAt = Date.now() / 1000
    await lab.world.exec('them', `ip link set ${veth} down`)
    await until('the second to carry it', async () => (await tunnelOf('10.9.0.0/16')) === 'second', 10_000)
    await until('packets to come back', async () => answersAfter(pings, cutAt + 3).length > 5)
    const [firstAfter] = answersAfter(pings, lastBefore(pings, cutAt))
    expect(firstAfter! - cutAt).toBeLessThan(5)
    process.stderr.write(`failover by BFD: ${Math.round((firstAfter! - cutAt) * 1000)} ms without answers\n`)
    await lab.world.exec('them', `ip link set ${veth} up`)
    await until('the first to be preferred again', async () => (await tunnelOf('10.9.0.0/16')) === 'first', 60_000)
    await pings.stop()
  })

  async function tunnelOf(prefix: string): Promise<string | undefined> {
    const { stdout } = await lab.world.exec('us', [
      'curl',
      '-s',
      '--unix-socket',
      us.paths.socket,
      '-d',
      JSON.stringify({ prefix }),
      'http://isthmus/routes/explain',
    ])
    const { used } = JSON.parse(stdout) as { used?: { tunnels: { peer: string }[] } }
    return used?.tunnels[0]?.peer
  }
})

type Side = (typeof SIDES)[number]

async function startSide(lab: Lab, { ns, outer, inside }: Side): Promise<StrongSwan> {
  const gateway = await startStrongSwan(lab.world, ns, lab.directory, {
    daemon: 'install_routes = no',
    connections: {
      c: {
        local: outer[1],
        remote: outer[0],
        secret: SECRET,
        proposals: IKE,
        children: [{ name: 't', local: '0.0.0.0/0', remote: '0.0.0.0/0', proposals: ESP }],
      },
    },
  })
  await lab.world.exec(
    ns,
    `ip addr add ${inside[1]}/30 dev ipsec0; ip link set ipsec0 up; ip addr add ${SERVER}/32 dev lo`,
  )
  return gateway
}

function startRouter(lab: Lab, { ns, inside, med }: Side): Promise<Bird> {
  const configuration = birdConfiguration({
    routerId: inside[1],
    localAs: AS.them,
    local: inside[1],
    neighbour: inside[0],
    neighbourAs: AS.us,
    prefixes4: ['10.9.0.0/16'],
    bfd: true,
    extra: `default bgp_med ${med};`,
  })
  return startBird(lab.world, ns, lab.directory, configuration)
}

/** The first tunnel by its local preference. */
function startConnector(lab: Lab): Promise<Isthmus> {
  const [first, second] = SIDES
  const tunnelKeys = (side: Side) => [
    `inside: [${side.inside[0]}/30]`,
    'routes: bgp',
    'dpd: 30s',
    `ike: { proposals: [${IKE}] }`,
    `esp: { proposals: [${ESP}] }`,
  ]
  const neighbour = (side: Side) =>
    `${side.name}: { peer: ${side.name}, address: ${side.inside[1]}, as: ${AS.them}, import: ${side.name}, export: ours, connect_retry: 1s, bfd: {} }`
  return startIsthmus(lab.world, 'us', lab.directory, {
    address: first.outer[0],
    networks: ['10.8.1.0/24'],
    peer: {
      name: first.name,
      address: first.outer[1],
      networks: ['0.0.0.0/0'],
      secret: SECRET,
      keys: tunnelKeys(first),
    },
    morePeers: [
      `${second.name}:`,
      ...[
        `address: ${second.outer[1]}`,
        `local_address: ${second.outer[0]}`,
        'secret: { file: psk }',
        ...tunnelKeys(second),
      ].map((line) => `  ${line}`),
    ],
    keys: [
      'tun: { addresses: [10.8.1.1] }',
      'metrics: { enabled: false }',
      `bgp: { as: ${AS.us}, neighbours: { ${SIDES.map(neighbour).join(', ')} }, policies: {`,
      '    first: { rules: [{ set: { local_pref: 200 }, do: accept }] }, second: { rules: [], otherwise: accept },',
      '    ours: { rules: [{ if: { from: [local] }, do: accept }] } } }',
    ],
  })
}

/** Seconds since 1970 of answers that came after `at`. */
function answersAfter(pings: Spawned, at: number): number[] {
  const times = [...pings.output().matchAll(/^\[([\d.]+)\] \d+ bytes from/gm)].map(([, time]) => Number(time))
  return times.filter((time) => time > at)
}

/** The last answer over the path that was cut: the one before the longest pause. */
function lastBefore(pings: Spawned, cutAt: number): number {
  const times = answersAfter(pings, cutAt - 1)
  let last = cutAt
  let longest = 0
  for (const [i, time] of times.entries()) {
    const pause = (times[i + 1] ?? time) - time
    if (pause > longest) [last, longest] = [time, pause]
  }
  return last
}
