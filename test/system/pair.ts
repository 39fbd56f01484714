/** Two namespaces joined by a link, with an end of one tunnel in each. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SpawnOptions } from '../../connector/io/namespaces.ts'
import type { ProbePlan } from '../../connector/plan.ts'
import type { ConnectorStatus } from '../../protocol/status.ts'
import { createWorld, type Spawned, type World } from './netns.ts'
import { until } from './until.ts'

const END = join(import.meta.dirname, 'end.ts')
const BRIDGE = join(import.meta.dirname, 'bridge.ts')
const OUTER = [
  ['192.0.2.1/24', '2001:db8::1/64'],
  ['192.0.2.2/24', '2001:db8::2/64'],
] as const

/** The arguments of `end.ts`. */
export interface Shape {
  readonly suite: string
  readonly encapsulation: 'udp' | 'esp'
  readonly engine: string
  readonly outer: '4' | '6'
  readonly rekeyMs?: number
  /** Packet workers of either end. */
  readonly workers?: readonly [number, number]
  /** Of either end. */
  readonly probe?: ProbePlan
  /** ISTHMUS_OFFLOADS of either end. */
  readonly offloads?: readonly [string, string]
}

/** A wire between the namespaces that is not a veth: see bridge.ts. */
export interface BadWire {
  readonly lost: number
  readonly late: number
}

/**
 * Namespace `a` has 192.0.2.1 and 2001:db8::1 on `to-b`, and 10.8.1.1 and fd00:8:1::1 in the tunnel; `b` likewise
 * with 2 for 1.
 */
export class Pair {
  readonly world: World
  readonly directory: string

  constructor(world: World, directory: string) {
    this.world = world
    this.directory = directory
  }

  /** The command that runs one end. */
  vector(side: 0 | 1, shape: Shape): string[] {
    const state = join(this.directory, side === 0 ? 'a' : 'b')
    const words = [String(side), shape.suite, shape.encapsulation, shape.engine, state, shape.outer]
    words.push(String(shape.rekeyMs ?? 0), String(shape.workers?.[side] ?? 1))
    if (shape.probe !== undefined) words.push(JSON.stringify(shape.probe))
    return [process.execPath, END, ...words]
  }

  /** Both ends, their Child SA in place. */
  async start(shape: Shape): Promise<[Spawned, Spawned]> {
    const ends: [Spawned, Spawned] = [
      this.world.spawn('a', this.vector(0, shape), environment(shape, 0)),
      this.world.spawn('b', this.vector(1, shape), environment(shape, 1)),
    ]
    await Promise.all(ends.map((end) => end.waitFor(/^ready$/m)))
    return ends
  }

  /** Fetches so many megabytes of known bytes from b to a; throws unless every one is right. */
  async transfer(megabytes: number): Promise<void> {
    const body = `
      const { createHash } = require('node:crypto')
      const body = Buffer.alloc(${megabytes} << 20)
      for (let i = 0; i < body.length; i += 4) body.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i)
      const hash = (data) => createHash('sha256').update(data).digest('hex')`
    const serve = `${body}
      require('node:http').createServer((_, answer) => answer.end(body))
        .listen(8080, '10.8.2.1', () => console.log('sha256 ' + hash(body)))`
    const fetch = `${body}
      fetch('http://10.8.2.1:8080/').then((answer) => answer.bytes()).then((got) => console.log(hash(got)))`
    const server = this.world.spawn('b', [process.execPath, '-e', serve])
    const [, expected] = await server.waitFor(/sha256 (\w+)/)
    const { stdout } = await this.world.exec('a', [process.execPath, '-e', fetch])
    await server.stop()
    if (stdout.trim() !== expected) throw new Error(`sent ${expected}, received ${stdout}`)
  }

  async close(): Promise<void> {
    await this.world.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

function environment({ offloads }: Shape, side: 0 | 1): SpawnOptions {
  return offloads === undefined ? {} : { env: { ISTHMUS_OFFLOADS: offloads[side] } }
}

export async function createPair(wire?: BadWire): Promise<Pair> {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-pair-'))
  const world = await createWorld()
  await world.ns('a')
  await world.ns('b')
  if (wire === undefined) await world.link('a', 'b', { names: ['to-b', 'to-a'], addresses: OUTER })
  else await badLink(world, join(directory, 'wire'), wire)
  return new Pair(world, directory)
}

async function badLink(world: World, socket: string, { lost, late }: BadWire): Promise<void> {
  const ends: Spawned[] = []
  for (const [side, [ns, device, role]] of (
    [
      ['a', 'to-b', 'listen'],
      ['b', 'to-a', 'connect'],
    ] as const
  ).entries()) {
    const end = world.spawn(ns, [process.execPath, BRIDGE, device, socket, role, String(lost), String(late)])
    await end.waitFor(/device/)
    const addresses = OUTER[side]!.map((each) => `ip addr add ${each} dev ${device}`)
    await world.exec(ns, [...addresses, `ip link set ${device} up mtu 1500`].join('; '))
    ends.push(end)
  }
  await Promise.all(ends.map((end) => end.waitFor(/ready/)))
}

/** What an end says of itself when asked. */
export async function statusOf(end: Spawned): Promise<ConnectorStatus> {
  const before = end.output().length
  process.kill(end.pid, 'SIGUSR2')
  let text: string | undefined
  await until(`a status of\n${end.output()}`, () => {
    text = end
      .output()
      .slice(before)
      .match(/^status (.+)\n/m)?.[1]
    return text !== undefined
  })
  return JSON.parse(text!) as ConnectorStatus
}

/** Its status as soon as that holds; counters follow the traffic by up to a second. */
export async function statusWhen(
  end: Spawned,
  holds: (status: ConnectorStatus) => boolean,
  limitMs?: number,
): Promise<ConnectorStatus> {
  let status: ConnectorStatus | undefined
  await until(
    'a status that holds what is expected',
    async () => {
      status = await statusOf(end)
      return holds(status)
    },
    limitMs,
  )
  return status!
}
