/**
 * The namespaces of `bench:routing`: a connector (`us`), connectors at the other ends of its tunnels, and feeders of BGP
 * behind these. Addresses inside tunnel `n` are 169.254.1n.2 (ours) and .1, and fd1n::2 and ::1.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Isthmus, startIsthmus } from '../interop/isthmus.ts'
import { createWorld, type Spawned, type World } from '../system/netns.ts'
import { until } from '../system/until.ts'

export const OUR_AS = 4_200_000_000
export const SECRET = 'a secret for measuring only'

export interface BenchLab {
  readonly world: World
  readonly directory: string
  close(): Promise<void>
}

export async function createBenchLab(): Promise<BenchLab> {
  const world = await createWorld()
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-routing-'))
  const close = async (): Promise<void> => {
    await world.close()
    rmSync(directory, { recursive: true, force: true })
  }
  return { world, directory, close }
}

/** One tunnel of `us`, to namespace `ns`. */
export interface Way {
  readonly ns: string
  readonly number: number
  readonly as: number
}

export function insideOf({ number }: Pick<Way, 'number'>) {
  return {
    us: { 4: `169.254.1${number}.2`, 6: `fd1${number}::2` },
    them: { 4: `169.254.1${number}.1`, 6: `fd1${number}::1` },
  } as const
}

export function outerOf({ number }: Pick<Way, 'number'>) {
  return { us: `192.168.8${number}.1`, them: `192.168.8${number}.2` } as const
}

/** The namespace at the other end, joined with `us`. */
export async function joinWay({ world }: BenchLab, way: Way): Promise<void> {
  const { us, them } = outerOf(way)
  await world.ns(way.ns)
  await world.link('us', way.ns, { addresses: [[`${us}/24`], [`${them}/24`]] })
}

/** The connector at the other end: without BGP, so that whatever stands behind it is the neighbour. */
export function startFarEnd({ world, directory }: BenchLab, way: Way, keys: readonly string[] = []): Promise<Isthmus> {
  const inside = insideOf(way)
  return startIsthmus(world, way.ns, directory, {
    address: outerOf(way).them,
    networks: ['0.0.0.0/0', '::/0'],
    peer: {
      address: outerOf(way).us,
      networks: ['0.0.0.0/0', '::/0'],
      secret: SECRET,
      keys: [
        `inside: [${inside.them[4]}/30, '${inside.them[6]}/126']`,
        `routes: [${inside.us[4]}/32, '${inside.us[6]}/128']`,
        'initiate: false',
        ...keys,
      ],
    },
    keys: ['metrics: { enabled: false }'],
  })
}

/** `us`, a neighbour behind each tunnel. */
export function startNear({ world, directory }: BenchLab, ways: readonly Way[]): Promise<Isthmus> {
  const [first, ...more] = ways
  const keysOf = (way: Way) => [
    `inside: [${insideOf(way).us[4]}/30, '${insideOf(way).us[6]}/126']`,
    'routes: bgp',
    'initiate: true',
  ]
  const neighbour = (way: Way) =>
    `${way.ns}: { peer: ${way.ns}, address: ${insideOf(way).them[4]}, as: ${way.as}, passive: true, import: all, export: none }`
  return startIsthmus(world, 'us', directory, {
    address: outerOf(first!).us,
    networks: ['172.31.1.0/24', 'fd31:1::/48'],
    peer: {
      name: first!.ns,
      address: outerOf(first!).them,
      networks: ['0.0.0.0/0', '::/0'],
      secret: SECRET,
      keys: keysOf(first!),
    },
    morePeers: more.flatMap((way) => [
      `${way.ns}:`,
      ...[
        `address: ${outerOf(way).them}`,
        `local_address: ${outerOf(way).us}`,
        "networks: [0.0.0.0/0, '::/0']",
        'secret: { file: psk }',
        ...keysOf(way),
      ].map((line) => `  ${line}`),
    ]),
    keys: [
      "tun: { addresses: [172.31.1.1, 'fd31:1::1'] }",
      `bgp: { as: ${OUR_AS}, neighbours: { ${ways.map(neighbour).join(', ')} }, policies: {`,
      '    all: { rules: [], otherwise: accept }, none: { rules: [], otherwise: reject } } }',
      'metrics: { enabled: false }',
    ],
  })
}

const FEED = join(import.meta.dirname, 'routing-feed.ts')

export interface Feeder {
  /** Tells everything; resolves with the time of day in milliseconds of the first octet. */
  tell(): Promise<number>
  /** Without a word. */
  kill(): Promise<void>
}

/** A neighbour in `ns` that has called and is established. */
export async function startFeeder(
  { world }: BenchLab,
  ns: string,
  file: string,
  [local, remote]: readonly [string, string],
  as: number,
): Promise<Feeder> {
  const process_ = world.spawn(ns, [process.execPath, FEED, file, local, remote, String(as)])
  await process_.waitFor(/^established$/m, 60_000)
  return {
    tell: async () => {
      process.kill(process_.pid, 'SIGUSR1')
      return Number((await process_.waitFor(/^began (\d+)$/m))[1])
    },
    kill: async () => {
      process_.child.kill('SIGKILL')
      await process_.exited
    },
  }
}

export interface Memory {
  readonly residentMb: number
  readonly peakMb: number
  /** Of it, in memories of WebAssembly. */
  readonly engineMb: number
}

/** Of a process that runs. Mappings of half a gigabyte and more are those of engines with large tables. */
export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) / 1000
  const engine = readFileSync(`/proc/${pid}/smaps`, 'utf8')
    .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
    .map((text) => [/^Size:\s+(\d+) kB$/m, /^Rss:\s+(\d+) kB$/m].map((each) => Number(each.exec(text)?.[1] ?? 0)))
    .filter(([size]) => size! > 500_000)
    .reduce((sum, [, rss]) => sum + rss!, 0)
  return { residentMb: field('VmRSS'), peakMb: field('VmHWM'), engineMb: engine / 1000 }
}

/** Routes of IPv4 and of IPv6 in the kernel of the namespace that the process is in. */
export function kernelRoutes(pid: number): number {
  const four = /^Main:[\s\S]*?Prefixes:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/net/fib_triestat`, 'utf8'))
  const six = readFileSync(`/proc/${pid}/net/rt6_stats`, 'utf8').trim().split(' ')[3] ?? '0'
  return Number(four?.[1] ?? 0) + Number.parseInt(six, 16)
}

/** The time of day in milliseconds at which it held, looked at every `everyMs`. */
export async function timeWhen(
  what: string,
  holds: () => boolean | Promise<boolean>,
  limitMs: number,
  everyMs = 50,
): Promise<number> {
  const end = Date.now() + limitMs
  for (;;) {
    const at = Date.now()
    if (await holds()) return at
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

export async function whenUp(us: Isthmus): Promise<void> {
  await until(
    'all tunnels to be up',
    async () => (await us.status()).tunnels.every(({ state }) => state === 'up'),
    60_000,
  )
}

export type { Isthmus, Spawned }
