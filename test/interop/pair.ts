/**
 * One of our connectors (namespace `us`) and strongSwan (namespace `them`) on one link, with a network behind each.
 * Inner addresses sit on the gateways themselves.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createWorld, type World } from '../system/netns.ts'
import type { FlowResult } from './flow.ts'
import { type Isthmus, type IsthmusOptions, startIsthmus } from './isthmus.ts'
import { type StrongSwan, type StrongSwanConnection, startStrongSwan } from './strongswan.ts'

export interface Addresses {
  readonly us: string
  readonly them: string
}

export const OUTER4: Addresses = { us: '192.168.77.1', them: '192.168.77.2' }
export const OUTER6: Addresses = { us: 'fd77::1', them: 'fd77::2' }
export const INNER4: Addresses = { us: '10.8.1.1', them: '10.8.2.1' }
export const INNER6: Addresses = { us: 'fd08:1::1', them: 'fd08:2::1' }
export const SECRET = 'correct horse battery staple'

export interface Lab {
  readonly world: World
  readonly directory: string
  close(): Promise<void>
}

/** Two namespaces `us` and `them`, joined, with every outer and inner address in place. */
export async function createLab(): Promise<Lab> {
  const world = await createWorld()
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-interop-'))
  const close = async (): Promise<void> => {
    await world.close()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await world.ns('us')
    await world.ns('them')
    await world.link('us', 'them', {
      addresses: [
        [`${OUTER4.us}/24`, `${OUTER6.us}/64`],
        [`${OUTER4.them}/24`, `${OUTER6.them}/64`],
      ],
    })
    for (const side of ['us', 'them'] as const) {
      await world.exec(side, `ip addr add ${INNER4[side]}/32 dev lo && ip addr add ${INNER6[side]}/128 dev lo nodad`)
    }
    return { world, directory, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Name of the veth device in a namespace that has one. */
export async function vethOf(lab: Lab, ns: string): Promise<string> {
  const { stdout } = await lab.world.exec(ns, 'ip -o link show type veth')
  return stdout.match(/\d+: ([^@:]+)/)![1]!
}

export interface PairOptions {
  readonly initiator: 'us' | 'them'
  readonly outer?: Addresses
  readonly ike: string
  readonly esp: string
  /** Networks behind each; default the IPv4 ones. */
  readonly networks?: { readonly us: readonly string[]; readonly them: readonly string[] }
  /** Seconds until each side rekeys by itself; absent: not within a test. */
  readonly rekey?: {
    readonly us?: { readonly ike: number; readonly child: number }
    readonly them?: { readonly ike: number; readonly child: number }
  }
  readonly connection?: Partial<StrongSwanConnection>
  readonly daemon?: string
  readonly peerKeys?: readonly string[]
  readonly keys?: readonly string[]
  /** Let our side offer another suite than theirs. */
  readonly ourEsp?: string
}

export interface Pair {
  readonly us: Isthmus
  readonly them: StrongSwan
}

/** Starts both sides; the responder is ready before the initiator calls. Does not wait for the tunnel. */
export async function startPair(lab: Lab, options: PairOptions): Promise<Pair> {
  const weInitiate = options.initiator === 'us'
  const startThem = () => startStrongSwan(lab.world, 'them', lab.directory, strongSwanOptions(options))
  const startUs = () => startIsthmus(lab.world, 'us', lab.directory, isthmusOptions(options))
  if (weInitiate) {
    const them = await startThem()
    return { them, us: await startUs() }
  }
  const us = await startUs()
  const them = await startThem()
  await them.initiate('t')
  return { us, them }
}

function networksOf(options: PairOptions) {
  return options.networks ?? { us: ['10.8.1.0/24'], them: ['10.8.2.0/24'] }
}

export function strongSwanOptions(options: PairOptions) {
  const outer = options.outer ?? OUTER4
  const networks = networksOf(options)
  const rekey = options.rekey?.them
  return {
    ...(options.daemon === undefined ? {} : { daemon: options.daemon }),
    connections: {
      c: {
        local: outer.them,
        remote: outer.us,
        secret: SECRET,
        proposals: options.ike,
        ...(rekey === undefined ? {} : { rekeySeconds: rekey.ike }),
        children: [
          {
            name: 't',
            local: networks.them.join(','),
            remote: networks.us.join(','),
            proposals: options.esp,
            ...(rekey === undefined ? {} : { rekeySeconds: rekey.child }),
          },
        ],
        ...options.connection,
      },
    },
  }
}

export function isthmusOptions(options: PairOptions): IsthmusOptions {
  const outer = options.outer ?? OUTER4
  const networks = networksOf(options)
  const rekey = options.rekey?.us
  const ikeKeys = [
    `proposals: [${options.ike}]`,
    ...(rekey === undefined ? [] : [`rekey: ${rekey.ike}s`, `expire: ${rekey.ike + 60}s`, 'jitter: 0s']),
  ]
  const espKeys = [
    `proposals: [${options.ourEsp ?? options.esp}]`,
    ...(rekey === undefined ? [] : [`rekey: ${rekey.child}s`, `expire: ${rekey.child + 30}s`, 'jitter: 0s']),
  ]
  return {
    address: outer.us,
    networks: networks.us,
    peer: {
      address: outer.them,
      networks: networks.them,
      secret: SECRET,
      keys: [
        `initiate: ${options.initiator === 'us'}`,
        `ike: { ${ikeKeys.join(', ')} }`,
        `esp: { ${espKeys.join(', ')} }`,
        ...(options.peerKeys ?? []),
      ],
    },
    keys: ["tun: { addresses: ['10.8.1.1', 'fd08:1::1'] }", ...(options.keys ?? [])],
  }
}

/** The same connector's options seen from the other side, for a pair of ours. */
export function mirrored(options: IsthmusOptions): IsthmusOptions {
  const keys = options.peer.keys!.map((line) => line.replace('initiate: true', 'initiate: false'))
  return {
    address: OUTER4.them,
    networks: options.peer.networks,
    peer: { ...options.peer, address: OUTER4.us, networks: options.networks, keys },
    keys: [`tun: { addresses: ['${INNER4.them}'] }`],
  }
}

/** Numbered datagrams both ways; both ends' results. */
export async function flowBetween(
  world: World,
  ends: readonly [ns: string, ns: string],
  addresses: readonly [string, string],
  rate: number,
  seconds: number,
  port = 7000,
): Promise<readonly [FlowResult, FlowResult]> {
  const program = join(import.meta.dirname, 'flow.ts')
  const run = async (own: 0 | 1): Promise<FlowResult> => {
    const args = [addresses[own], addresses[1 - own]!, String(port), String(rate), String(seconds)]
    const flow = world.spawn(ends[own], [process.execPath, program, ...args])
    const code = await flow.exited
    if (code !== 0) throw new Error(`flow in ${ends[own]} ended with ${code}: ${flow.output()}`)
    return JSON.parse(flow.output().trim().split('\n').at(-1)!) as FlowResult
  }
  return Promise.all([run(0), run(1)])
}

/** What a flow without loss returns at each end. */
export function lossless(rate: number, seconds: number) {
  const total = rate * seconds
  return { sent: total, received: total, duplicates: 0, missing: [] }
}
