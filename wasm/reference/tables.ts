/** The control side: SAs, endpoints, tunnels, groups. Every refusal is an EngineError and changes nothing. */
import type { SocketAddress } from '../../protocol/net.ts'
import {
  MAX_ENDPOINTS,
  MAX_GROUP_MEMBERS,
  MAX_GROUPS,
  MAX_OUTER,
  MAX_SAS,
  MAX_TUNNEL_SAS,
  MAX_TUNNELS,
  MAX_WORKERS,
  REPLAY_WINDOW_MAX,
} from '../abi.ts'
import { checkWorker, reversePathCode } from '../engine-arguments.ts'
import {
  type AeadSuite,
  type Endpoint,
  EngineError,
  type GroupHandle,
  type InboundSa,
  type OutboundSa,
  type RefusalAnswer,
  type SaHandle,
  type SaKeys,
  type Tunnel,
  type TunnelHandle,
} from '../packet-engine.ts'
import { type CheckedClass, checkWeights, refusalReason } from '../steering-arguments.ts'
import { keyLength } from './aead.ts'
import { ReplayWindow } from './replay.ts'
import { compileSelectors, type SelectorPair } from './selectors.ts'
import type { Member, Steering } from './steering.ts'
import { SaTally } from './tally.ts'

export interface InboundState {
  readonly kind: 'inbound'
  readonly handle: SaHandle
  readonly sa: InboundSa
  readonly selectors: SelectorPair
  readonly window: ReplayWindow
  readonly tally: SaTally
  /** Where the highest sequence numbers come from; undefined before the first. */
  peer: SocketAddress | undefined
}

export interface OutboundState {
  readonly kind: 'outbound'
  readonly handle: SaHandle
  readonly sa: OutboundSa
  readonly selectors: SelectorPair
  readonly tally: SaTally
  /** Of the last packet sent. */
  sequence: bigint
  softReported: boolean
  /** At a hard limit: carries nothing more. */
  stopped: boolean
}

/** See `TunnelCounters`. */
export interface TunnelTally {
  transit: number
  asymmetric: number
}

export interface BareKey {
  readonly kind: 'aead'
  readonly handle: SaHandle
  readonly sa: SaKeys
  readonly tally: SaTally
}

/** Tunnels, or the DROP_ reason of what it refuses. */
export type Group = { readonly members: readonly Member[] } | { readonly refuses: number }

export class Tables implements Steering {
  readonly #sas = new Map<SaHandle, InboundState | OutboundState | BareKey>()
  readonly #freed: SaHandle[] = []
  readonly #inboundBySpi = new Map<number, InboundState>()
  readonly #endpoints = new Map<number, Endpoint>()
  readonly #tunnels = new Map<TunnelHandle, Tunnel>()
  readonly #tunnelTallies = new Map<TunnelHandle, TunnelTally>()
  readonly #groups = new Map<GroupHandle, Group>()
  classes: readonly CheckedClass[] = []
  flowSeed = 0

  installInbound(sa: InboundSa): SaHandle {
    checkKeys(sa)
    checkSpi(sa.spi)
    if (this.#inboundBySpi.has(sa.spi)) throw new EngineError(`inbound SPI ${sa.spi} is taken`)
    if (sa.replayWindow % 64 !== 0 || sa.replayWindow < 0 || sa.replayWindow > REPLAY_WINDOW_MAX) {
      throw new EngineError(`replay window of ${sa.replayWindow} packets`)
    }
    checkHandle('tunnel', sa.tunnel, MAX_TUNNELS)
    checkSequence(sa.initialHighest, sa.esn)
    const state: InboundState = {
      kind: 'inbound',
      handle: this.#freeHandle(),
      sa: withOwnKeys(sa),
      selectors: { source: compileSelectors(sa.remote), destination: compileSelectors(sa.local) },
      window: new ReplayWindow(sa.replayWindow, sa.initialHighest),
      tally: new SaTally(),
      peer: undefined,
    }
    this.#sas.set(state.handle, state)
    this.#inboundBySpi.set(sa.spi, state)
    return state.handle
  }

  installOutbound(sa: OutboundSa): SaHandle {
    checkKeys(sa)
    checkSpi(sa.spi)
    checkHandle('tunnel', sa.tunnel, MAX_TUNNELS)
    checkHandle('endpoint', sa.endpoint, MAX_ENDPOINTS)
    checkSequence(sa.initialSequence, sa.esn)
    checkLimits(sa)
    const state: OutboundState = {
      kind: 'outbound',
      handle: this.#freeHandle(),
      sa: withOwnKeys(sa),
      selectors: { source: compileSelectors(sa.local), destination: compileSelectors(sa.remote) },
      tally: new SaTally(),
      sequence: sa.initialSequence ?? 0n,
      softReported: false,
      stopped: false,
    }
    this.#sas.set(state.handle, state)
    return state.handle
  }

  installAead(suite: AeadSuite, key: Uint8Array): SaHandle {
    const keys: SaKeys = { suite, key, salt: new Uint8Array(4) }
    checkKeys(keys)
    const handle = this.#freeHandle()
    this.#sas.set(handle, { kind: 'aead', handle, sa: withOwnKeys(keys), tally: new SaTally() })
    return handle
  }

  removeSa(handle: SaHandle): void {
    const state = this.#sas.get(handle)
    if (state === undefined) return
    state.sa.key.fill(0)
    state.sa.salt.fill(0)
    this.#sas.delete(handle)
    this.#freed.push(handle)
    if (state.kind === 'inbound') this.#inboundBySpi.delete(state.sa.spi)
    for (const [name, tunnel] of this.#tunnels) {
      this.#tunnels.set(name, { ...tunnel, sas: tunnel.sas.filter((sa) => sa !== handle) })
    }
  }

  setEndpoint(handle: number, endpoint: Endpoint): void {
    checkHandle('endpoint', handle, MAX_ENDPOINTS)
    if (!isIntegerBelow(endpoint.remote.port, 0x10000)) throw new EngineError(`port ${endpoint.remote.port}`)
    this.#endpoints.set(handle, { ...endpoint })
  }

  setTunnel(handle: TunnelHandle, tunnel: Tunnel): void {
    checkHandle('tunnel', handle, MAX_TUNNELS)
    if (!Number.isInteger(tunnel.pathMtu) || tunnel.pathMtu < 576 || tunnel.pathMtu > MAX_OUTER) {
      throw new EngineError(`path MTU of ${tunnel.pathMtu} bytes`)
    }
    if (tunnel.sas.length > MAX_TUNNEL_SAS) throw new EngineError(`more than ${MAX_TUNNEL_SAS} SAs in one tunnel`)
    if (tunnel.handOver !== undefined) checkWorker(tunnel.handOver, MAX_WORKERS)
    reversePathCode(tunnel.reversePath)
    for (const sa of tunnel.sas) this.outbound(sa)
    this.#tunnels.set(handle, { ...tunnel, sas: [...tunnel.sas] })
  }

  removeTunnel(handle: TunnelHandle): void {
    this.#tunnelTallies.delete(handle)
    this.#tunnels.delete(handle)
  }

  setGroup(handle: GroupHandle, tunnels: readonly TunnelHandle[], weights?: readonly number[]): void {
    checkGroup(handle)
    if (tunnels.length > MAX_GROUP_MEMBERS) throw new EngineError(`more than ${MAX_GROUP_MEMBERS} tunnels in one group`)
    for (const tunnel of tunnels) checkHandle('tunnel', tunnel, MAX_TUNNELS)
    if (weights !== undefined) checkWeights(weights, tunnels.length)
    this.#groups.set(handle, { members: tunnels.map((tunnel, i) => ({ tunnel, weight: weights?.[i] })) })
  }

  setRefusal(handle: GroupHandle, answer: RefusalAnswer): void {
    checkGroup(handle)
    this.#groups.set(handle, { refuses: refusalReason(answer) })
  }

  sa(handle: SaHandle): InboundState | OutboundState | BareKey {
    const state = this.#sas.get(handle)
    if (state === undefined) throw new EngineError(`no SA with handle ${handle}`)
    return state
  }

  outbound(handle: SaHandle): OutboundState {
    const state = this.sa(handle)
    if (state.kind !== 'outbound') throw new EngineError(`SA ${handle} is not outbound`)
    return state
  }

  inboundBySpi(spi: number): InboundState | undefined {
    return this.#inboundBySpi.get(spi)
  }

  endpoint(handle: number): Endpoint | undefined {
    return this.#endpoints.get(handle)
  }

  tunnel(handle: TunnelHandle): Tunnel | undefined {
    return this.#tunnels.get(handle)
  }

  isDown(tunnel: TunnelHandle): boolean {
    return this.#tunnels.get(tunnel)?.down === true
  }

  /** To be counted in; of a tunnel that is not set nobody sees it. */
  tunnelTally(handle: TunnelHandle): TunnelTally {
    checkHandle('tunnel', handle, MAX_TUNNELS)
    const tally = this.#tunnelTallies.get(handle) ?? { transit: 0, asymmetric: 0 }
    if (this.#tunnels.has(handle)) this.#tunnelTallies.set(handle, tally)
    return tally
  }

  /** Tunnels of a group; none of one that refuses. */
  members(handle: GroupHandle): readonly TunnelHandle[] {
    const group = this.group(handle)
    return 'refuses' in group ? [] : group.members.map(({ tunnel }) => tunnel)
  }

  group(handle: GroupHandle): Group {
    return this.#groups.get(handle) ?? { members: [] }
  }

  #freeHandle(): SaHandle {
    if (this.#sas.size >= MAX_SAS) throw new EngineError(`more than ${MAX_SAS} SAs`)
    return this.#freed.pop() ?? this.#sas.size
  }
}

export function checkGroup(handle: GroupHandle): void {
  checkHandle('group', handle, MAX_GROUPS)
}

function checkHandle(what: string, handle: number, limit: number): void {
  if (!isIntegerBelow(handle, limit)) throw new EngineError(`${what} handle ${handle} is not below ${limit}`)
}

function isIntegerBelow(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit
}

/** 0 to 255 are reserved (RFC 4303 section 2.1). */
function checkSpi(spi: number): void {
  if (!Number.isInteger(spi) || spi < 256 || spi > 0xffff_ffff) throw new EngineError(`SPI ${spi}`)
}

function checkKeys(keys: SaKeys): void {
  if (keys.key.length !== keyLength(keys.suite))
    throw new EngineError(`key of ${keys.key.length} bytes for ${keys.suite}`)
  if (keys.salt.length !== 4) throw new EngineError(`salt of ${keys.salt.length} bytes`)
}

function checkSequence(sequence: bigint | undefined, esn: boolean): void {
  if (sequence === undefined) return
  const bits = esn ? 64n : 32n
  if (sequence < 0n || sequence >> bits !== 0n) throw new EngineError(`sequence number ${sequence}`)
}

function checkLimits(sa: OutboundSa): void {
  for (const limit of [sa.softPackets, sa.hardPackets, sa.softBytes, sa.hardBytes]) {
    if (limit !== undefined && !(limit >= 0)) throw new EngineError(`limit of ${limit}`)
  }
}

/** The caller wipes its own copy. */
function withOwnKeys<Sa extends SaKeys>(sa: Sa): Sa {
  return { ...sa, key: sa.key.slice(), salt: sa.salt.slice() }
}
