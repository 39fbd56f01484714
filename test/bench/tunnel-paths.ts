/** The three paths of `bench:tunnel`: each a world of two namespaces, its gateways up, ready to be measured. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startIsthmus } from '../interop/isthmus.ts'
import { findPeer } from '../interop/peers.ts'
import { type StrongSwanOptions, startStrongSwan } from '../interop/strongswan.ts'
import { createWorld, type World } from '../system/netns.ts'
import type { Figures } from './tunnel-report.ts'

export const PATHS = ['isthmus', 'strongswan', 'wireguard-go'] as const
export type PathKind = (typeof PATHS)[number]

export interface BenchPath {
  readonly kind: PathKind
  readonly suite: string
  measure(seconds: number): Promise<Figures>
  close(): Promise<void>
}

const OUTER = ['192.168.77.1', '192.168.77.2'] as const
const INNER = ['10.8.1.1', '10.8.2.1'] as const
const SECRET = 'a secret for measuring only'
/** Packets of 64 bytes: 20 IPv4, 8 UDP, 36 payload. */
const UDP_PAYLOAD = 36
/** And of 1,400. */
const UDP_LARGE_PAYLOAD = 1372
const OFFERED_KPPS = [25, 50, 100, 200]

export async function preparePath(kind: PathKind, suite: string, wire: boolean): Promise<BenchPath> {
  const world = await createWorld()
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-bench-'))
  const close = async (): Promise<void> => {
    await world.close()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await world.ns('a')
    await world.ns('b')
    const devices = await world.link('a', 'b', { addresses: [[`${OUTER[0]}/24`], [`${OUTER[1]}/24`]] })
    for (const [side, ns] of (['a', 'b'] as const).entries()) {
      await world.exec(ns, `ip addr add ${INNER[side]}/32 dev lo`)
      if (wire) await world.exec(ns, `ethtool -K ${devices[side]} tx-udp-segmentation off`)
    }
    await START[kind](world, directory, suite)
    await world.exec('a', `ping -c 1 -W 10 -I ${INNER[0]} ${INNER[1]}`)
    const server = world.spawn('b', ['iperf3', '-s', '--forceflush', '-B', INNER[1]])
    await server.waitFor(/listening/)
    return { kind, suite, measure: (seconds) => measure(world, seconds), close }
  } catch (error) {
    await close()
    throw error
  }
}

const START: Readonly<Record<PathKind, (world: World, directory: string, suite: string) => Promise<void>>> = {
  isthmus: startIsthmusPair,
  strongswan: startStrongSwanPair,
  'wireguard-go': startWireGuardPair,
}

async function startIsthmusPair(world: World, directory: string, suite: string): Promise<void> {
  for (const [side, ns] of (['b', 'a'] as const).entries()) {
    const own = 1 - side
    const started = await startIsthmus(world, ns, directory, {
      address: OUTER[own]!,
      networks: [`10.8.${own + 1}.0/24`],
      peer: {
        address: OUTER[side]!,
        networks: [`10.8.${side + 1}.0/24`],
        secret: SECRET,
        keys: [`initiate: ${ns === 'a'}`, `esp: { proposals: [${suite}] }`],
      },
      keys: [`tun: { addresses: [${INNER[own]}] }`],
    })
    if (ns === 'a') await started.up()
  }
}

async function startStrongSwanPair(world: World, directory: string, suite: string): Promise<void> {
  const options = (own: number): StrongSwanOptions => ({
    connections: {
      c: {
        local: OUTER[own]!,
        remote: OUTER[1 - own]!,
        secret: SECRET,
        proposals: 'aes128gcm16-prfsha256-x25519',
        children: [{ name: 't', local: `10.8.${own + 1}.0/24`, remote: `10.8.${2 - own}.0/24`, proposals: suite }],
      },
    },
  })
  await startStrongSwan(world, 'b', directory, options(1))
  const initiator = await startStrongSwan(world, 'a', directory, options(0))
  await initiator.initiate('t')
}

async function startWireGuardPair(world: World, _directory: string, _suite: string): Promise<void> {
  const program = findPeer('wireguard-go')!
  const keys: { secret: string; public: string }[] = []
  for (const ns of ['a', 'b'] as const) {
    const secret = (await world.exec(ns, ['wg', 'genkey'])).stdout.trim()
    keys.push({ secret, public: (await world.exec(ns, `echo ${secret} | wg pubkey`)).stdout.trim() })
  }
  for (const [own, ns] of (['a', 'b'] as const).entries()) {
    const other = 1 - own
    const tunnel = world.spawn(ns, [program, '-f', 'wg0'], { env: { LOG_LEVEL: 'verbose' } })
    await tunnel.waitFor(/UAPI listener started/)
    await world.exec(
      ns,
      `echo ${keys[own]!.secret} | wg set wg0 private-key /dev/stdin listen-port 51820 peer ${keys[other]!.public} \
       allowed-ips 10.8.${other + 1}.0/24 endpoint ${OUTER[other]}:51820 &&
       ip link set wg0 up && ip route add 10.8.${other + 1}.0/24 dev wg0 src ${INNER[own]}`,
    )
  }
}

async function measure(world: World, seconds: number): Promise<Figures> {
  const tcp = await iperf(world, ['-t', String(seconds), '-O', '1'])
  const tcpGbps = (tcp.end.sum_received?.bits_per_second ?? 0) / 1e9
  const udpKpps = await bestUdp(world, UDP_PAYLOAD)
  const udpLargeKpps = await bestUdp(world, UDP_LARGE_PAYLOAD)
  return { tcpGbps, udpKpps, udpLargeKpps, rttMsP50: await medianPing(world) }
}

/** Thousands of datagrams that arrive in a second, at the best of the offered rates. */
async function bestUdp(world: World, payload: number): Promise<number> {
  let best = 0
  for (const offered of OFFERED_KPPS) {
    const rate = offered * 1000 * payload * 8
    const { sum } = (await iperf(world, ['-u', '-b', String(rate), '-l', String(payload), '-t', '1'])).end
    if (sum !== undefined) best = Math.max(best, (sum.packets - sum.lost_packets) / sum.seconds / 1000)
  }
  return best
}

interface IperfResult {
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number }
    readonly sum?: { readonly packets: number; readonly lost_packets: number; readonly seconds: number }
  }
}

async function iperf(world: World, args: readonly string[]): Promise<IperfResult> {
  const command = ['iperf3', '-c', INNER[1], '-B', INNER[0], '-J', ...args]
  const { stdout } = await world.exec('a', command)
  return JSON.parse(stdout) as IperfResult
}

async function medianPing(world: World): Promise<number> {
  const { stdout } = await world.exec('a', `ping -c 200 -i 0.005 -I ${INNER[0]} ${INNER[1]}`)
  const times = [...stdout.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1])).sort((a, b) => a - b)
  return times[times.length >> 1] ?? Number.NaN
}
