/**
 * The packet engine on WebAssembly. The only TypeScript that touches engine memory and sees raw
 * returns; no imports of `node:`, so it runs wherever a module can be compiled. `load.ts` reads the
 * module from disk.
 */
import { type Address, addressBytes, familyOf, type Prefix } from '../protocol/net.ts'
import type { PrefixBlock } from '../protocol/prefix-block.ts'
import {
  MAX_ENDPOINTS,
  MAX_GROUP_MEMBERS,
  MAX_GROUPS,
  MAX_INNER,
  MAX_OUTER,
  MAX_TUNNEL_SAS,
  MAX_TUNNELS,
} from './abi.ts'
import { CAPACITIES, type Capacity } from './capacity.ts'
import type { DropName } from './drop-reasons.ts'
import {
  lanOutbox,
  lanReceiveArea,
  largeLanArea,
  probeList,
  runReceiveArea,
  transitList,
  wireOutbox,
  wireReceiveArea,
} from './engine-areas.ts'
import {
  checkHandle,
  checkProbe,
  checkReplayWindow,
  checkSa,
  checkWorker,
  handOverCode,
  integerIn,
  limitValue,
  reversePathCode,
  sequenceHalves,
  suiteCode,
} from './engine-arguments.ts'
import { ControlArea } from './engine-control.ts'
import { countersOf, dropsOf } from './engine-counters.ts'
import { takeEvent } from './engine-events.ts'
import type { RawExports } from './engine-exports.ts'
import { type AesPlan, type AesUse, type HostAes, OffloadRunner } from './engine-offload.ts'
import { putClasses } from './engine-steering.ts'
import { BareText } from './engine-text.ts'
import { runWarmUp } from './engine-warm-up.ts'
import {
  type AeadSuite,
  type Encapsulation,
  type Endpoint,
  type EndpointHandle,
  EngineError,
  type EngineEvent,
  type GroupHandle,
  type InboundSa,
  type LanFormat,
  type LanOutbox,
  type LanReceiveArea,
  type OutboundSa,
  type PacketEngine,
  type ProbeList,
  type RefusalAnswer,
  type RunReceiveArea,
  type SaCounters,
  type SaHandle,
  type TrafficClass,
  type TransitList,
  type Tunnel,
  type TunnelCounters,
  type TunnelHandle,
  type WireOutbox,
  type WireReceiveArea,
} from './packet-engine.ts'
import { checkClasses, checkFlowSeed, checkOwnAddresses, checkWeights, refusalReason } from './steering-arguments.ts'

const UDP_HEADER = 8

export type { Capacity } from './capacity.ts'

const FULL = -1
const OUTBOUND = 2
const AEAD_KEY = 3
const ALL_WASM: AesUse = {
  suites: { 'aes-128-gcm': 'wasm', 'aes-256-gcm': 'wasm' },
  why: 'the engine needs no host for it',
}

/** An engine with empty tables on a compiled module of `wasm/build/`; `build` says which one it is. */
export function instantiateEngine(
  module: WebAssembly.Module,
  build: 'relaxed' | 'strict' = 'relaxed',
  capacity: Capacity = 'large',
): WasmEngine {
  return new WasmEngine(module, build, capacity)
}

export class WasmEngine implements PacketEngine {
  readonly kind = 'wasm'
  readonly build: 'relaxed' | 'strict'
  readonly capacity: Capacity
  readonly memory: ArrayBuffer
  readonly lanRx: LanReceiveArea
  readonly wireRx: WireReceiveArea
  readonly lanLarge: LanReceiveArea
  readonly wireLarge: RunReceiveArea
  readonly lanTx: LanOutbox
  readonly wireTx: WireOutbox
  readonly probes: ProbeList
  readonly transit: TransitList
  readonly #module: WebAssembly.Module
  readonly #raw: RawExports
  readonly #bytes: Uint8Array
  readonly #handles: Uint32Array
  readonly #control: ControlArea
  readonly #text: BareText
  #offload: OffloadRunner | undefined
  #aes: AesUse = ALL_WASM

  constructor(module: WebAssembly.Module, build: 'relaxed' | 'strict', capacity: Capacity = 'large') {
    const raw = new WebAssembly.Instance(module, {}).exports as unknown as RawExports
    const { sas, routes } = CAPACITIES[capacity]
    const [high, low] = crypto.getRandomValues(new Uint32Array(2))
    if (raw.configure(sas, routes, high!, low!) === 0) throw new EngineError('the host has no memory for the tables')
    this.build = build
    this.capacity = capacity
    this.memory = raw.memory.buffer
    this.lanRx = lanReceiveArea(raw)
    this.wireRx = wireReceiveArea(raw)
    this.lanLarge = largeLanArea(raw)
    this.wireLarge = runReceiveArea(raw)
    this.lanTx = lanOutbox(raw)
    this.wireTx = wireOutbox(raw)
    this.probes = probeList(raw)
    this.transit = transitList(raw)
    this.#module = module
    this.#raw = raw
    this.#bytes = new Uint8Array(this.memory)
    this.#handles = new Uint32Array(this.memory, raw.CONTROL_HANDLES.value, MAX_TUNNEL_SAS)
    this.#control = new ControlArea(raw)
    this.#text = new BareText(raw)
  }

  /** Has the host do AES from now on. To be called before the first SA is installed. */
  offloadAes(aes: HostAes, { plan, use }: { readonly plan: AesPlan; readonly use: AesUse }): void {
    this.#offload = new OffloadRunner(this.#raw, aes, plan)
    this.#aes = use
  }

  /** AES-GCM contexts that there are at present: of SAs that are or were busy. */
  get contexts(): number {
    return this.#raw.contextCount()
  }

  /** Which way AES goes, and why. */
  get aes(): AesUse {
    return this.#aes
  }

  installInbound(sa: InboundSa): SaHandle {
    const suite = suiteCode(sa.suite, sa.key)
    checkSa(sa)
    checkReplayWindow(sa.replayWindow)
    checkHandle('tunnel', sa.tunnel, MAX_TUNNELS)
    const [high, low] = sequenceHalves(sa.initialHighest, sa.esn)
    this.#control.putKeys(sa)
    const handle = this.#raw.installInbound(sa.spi, suite, +sa.esn, sa.replayWindow, sa.tunnel, high, low)
    this.#control.wipe()
    return this.#installed(handle, sa)
  }

  installOutbound(sa: OutboundSa): SaHandle {
    const suite = suiteCode(sa.suite, sa.key)
    checkSa(sa)
    checkHandle('tunnel', sa.tunnel, MAX_TUNNELS)
    checkHandle('endpoint', sa.endpoint, MAX_ENDPOINTS)
    const [high, low] = sequenceHalves(sa.initialSequence, sa.esn)
    const limits = [sa.softPackets, sa.hardPackets, sa.softBytes, sa.hardBytes].map(limitValue)
    this.#control.putKeys(sa)
    const handle = this.#raw.installOutbound(sa.spi, suite, +sa.esn, sa.tunnel, sa.endpoint, high, low)
    this.#control.wipe()
    this.#raw.setLimits(handle, limits[0]!, limits[1]!, limits[2]!, limits[3]!)
    return this.#installed(handle, sa)
  }

  removeSa(sa: SaHandle): void {
    if (!integerIn(sa, 0, 0x7fff_ffff)) return
    this.#raw.removeSa(sa)
    this.#offload?.remove(sa)
  }

  setEndpoint(handle: EndpointHandle, endpoint: Endpoint): void {
    checkHandle('endpoint', handle, MAX_ENDPOINTS)
    const ip = familyOf(endpoint.remote.address) === 6 ? 40 : 20
    this.#raw.setEndpoint(handle, ip + (endpoint.encapsulation === 'udp' ? UDP_HEADER : 0))
  }

  setTunnel(handle: TunnelHandle, tunnel: Tunnel): void {
    checkHandle('tunnel', handle, MAX_TUNNELS)
    if (!integerIn(tunnel.pathMtu, 576, MAX_OUTER)) {
      throw new EngineError(`a path MTU is from 576 to ${MAX_OUTER} bytes, not ${tunnel.pathMtu}`)
    }
    if (tunnel.sas.length > MAX_TUNNEL_SAS) throw new EngineError(`more than ${MAX_TUNNEL_SAS} SAs in one tunnel`)
    const handOver = handOverCode(tunnel.handOver)
    for (const sa of tunnel.sas) this.#requireKind(sa, OUTBOUND, 'outbound SA')
    this.#handles.set(tunnel.sas)
    const { pathMtu, clampMss, copyDscp, down = false, transit = false, sas } = tunnel
    const reversePath = reversePathCode(tunnel.reversePath)
    this.#raw.setTunnel(handle, pathMtu, +clampMss, +copyDscp, handOver, +down, +transit, reversePath, sas.length)
  }

  removeTunnel(handle: TunnelHandle): void {
    if (integerIn(handle, 0, MAX_TUNNELS - 1)) this.#raw.removeTunnel(handle)
  }

  setGroup(handle: GroupHandle, tunnels: readonly TunnelHandle[], weights?: readonly number[]): void {
    checkHandle('group', handle, MAX_GROUPS)
    if (tunnels.length > MAX_GROUP_MEMBERS) throw new EngineError(`more than ${MAX_GROUP_MEMBERS} tunnels in one group`)
    for (const tunnel of tunnels) checkHandle('tunnel', tunnel, MAX_TUNNELS)
    if (weights !== undefined) checkWeights(weights, tunnels.length)
    this.#handles.set(tunnels)
    if (weights !== undefined) this.#handles.set(weights, MAX_GROUP_MEMBERS)
    this.#raw.setGroup(handle, tunnels.length, weights === undefined ? 0 : 1)
  }

  setRefusal(handle: GroupHandle, answer: RefusalAnswer): void {
    checkHandle('group', handle, MAX_GROUPS)
    this.#raw.setRefusal(handle, refusalReason(answer))
  }

  setClasses(classes: readonly TrafficClass[]): void {
    putClasses(this.#raw, this.#bytes, checkClasses(classes))
  }

  setFlowSeed(seed: number): void {
    checkFlowSeed(seed)
    this.#raw.setFlowSeed(seed)
  }

  setOwnAddresses(addresses: readonly Address[]): void {
    this.#control.putOwnAddresses(checkOwnAddresses(addresses))
  }

  setShare(worker: number, workers: number): void {
    checkWorker(worker, workers)
    this.#raw.setShare(worker, workers)
  }

  setRoute(prefix: Prefix, group: GroupHandle): void {
    checkHandle('group', group, MAX_GROUPS)
    if (!this.#control.setRoute(prefix, group)) throw this.#full('routes')
  }

  removeRoute(prefix: Prefix): void {
    this.#control.removeRoute(prefix)
  }

  setRoutes(prefixes: PrefixBlock, group: GroupHandle): void {
    checkHandle('group', group, MAX_GROUPS)
    if (!this.#control.setRoutes(prefixes, group)) throw this.#full('routes')
  }

  removeRoutes(prefixes: PrefixBlock): void {
    this.#control.removeRoutes(prefixes)
  }

  lookupRoute(destination: Address): GroupHandle | undefined {
    this.#control.putAddress(addressBytes(destination))
    const group = this.#raw.lookupRoute(familyOf(destination))
    return group < 0 ? undefined : group
  }

  innerMtu(sa: SaHandle): number {
    this.#requireKind(sa, OUTBOUND, 'outbound SA')
    return this.#raw.innerMtu(sa)
  }

  sealBatch(first: number, count: number, now: number, fromInbox = false): number {
    const consumed = this.#raw.sealBatch(first, count, now, +fromInbox)
    this.#offload?.completeSeal()
    return consumed
  }

  openBatch(count: number, encapsulation: Encapsulation, now: number): void {
    this.#raw.openBatch(count, encapsulation === 'udp' ? 1 : 0, now)
    this.#offload?.completeOpen()
  }

  setLanFormat({ header, datagrams }: LanFormat): void {
    this.#raw.setLanFormat(+header, +(header && datagrams))
  }

  sealLarge(first: number, count: number, now: number, fromInbox = false): number {
    const consumed = this.#raw.sealLarge(first, count, now, +fromInbox)
    this.#offload?.completeSeal()
    return consumed
  }

  openRuns(first: number, count: number, now: number): number {
    const consumed = this.#raw.openRuns(first, count, now)
    this.#offload?.completeOpen()
    return consumed
  }

  sealTransit(now: number): number {
    const consumed = this.#raw.sealTransit(now)
    this.#offload?.completeSeal()
    return consumed
  }

  sealProbe(tunnel: TunnelHandle, payload: Uint8Array, size: number, now: number): boolean {
    checkProbe(tunnel, payload, size)
    this.#bytes.set(payload, this.#raw.CONTROL_PROBE.value)
    const sealed = this.#raw.sealProbe(tunnel, payload.length, size, now) !== 0
    this.#offload?.completeSeal()
    return sealed
  }

  outerLength(tunnel: TunnelHandle, size: number): number | undefined {
    checkHandle('tunnel', tunnel, MAX_TUNNELS)
    checkHandle('size', size, MAX_INNER + 1)
    return this.#raw.outerLength(tunnel, size) || undefined
  }

  probeOverhead(tunnel: TunnelHandle): number | undefined {
    // Two bytes of trailer and no padding.
    const length = this.outerLength(tunnel, 2)
    return length && length - 2
  }

  pollEvent(): EngineEvent | undefined {
    return takeEvent(this.#raw, this.#bytes)
  }

  counters(sa: SaHandle): SaCounters {
    if (!this.#isLive(sa)) throw new EngineError(`no SA ${sa}`)
    return countersOf(this.#raw, sa)
  }

  tunnelCounters(tunnel: TunnelHandle): TunnelCounters {
    checkHandle('tunnel', tunnel, MAX_TUNNELS)
    return { transit: this.#raw.tunnelSentOn(tunnel), asymmetric: this.#raw.tunnelAsymmetric(tunnel) }
  }

  drops(): Record<DropName, number> {
    return dropsOf(this.#raw)
  }

  installAead(suite: AeadSuite, key: Uint8Array): SaHandle {
    const code = suiteCode(suite, key)
    this.#bytes.set(key, this.#raw.CONTROL_KEY.value)
    const handle = this.#raw.installAeadKey(code)
    this.#control.wipe()
    if (handle < 0) throw this.#full('sas')
    return handle
  }

  aeadSeal(key: SaHandle, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    this.#requireKind(key, AEAD_KEY, 'AEAD key')
    return this.#text.seal(key, nonce, aad, plaintext)
  }

  aeadOpen(key: SaHandle, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    this.#requireKind(key, AEAD_KEY, 'AEAD key')
    return this.#text.open(key, nonce, aad, sealed)
  }

  /**
   * Runs synthetic packets until the host's optimising compiler has taken over, so that the first
   * real ones are fast. They run in an instance of their own on the same compiled module: nothing of
   * this engine changes. Takes some tens of milliseconds.
   */
  warmUp(): void {
    runWarmUp(new WasmEngine(this.#module, this.build, 'small'))
  }

  #installed(handle: number, sa: InboundSa | OutboundSa): SaHandle {
    if (handle === FULL) throw this.#full('sas')
    if (handle < 0) throw new EngineError(`inbound SPI ${sa.spi} is taken`)
    this.#offload?.install(handle, sa.suite, sa.key)
    this.#control.addSelectors(handle, true, sa.local)
    this.#control.addSelectors(handle, false, sa.remote)
    return handle
  }

  #full(table: 'sas' | 'routes'): EngineError {
    return new EngineError(`more than ${CAPACITIES[this.capacity][table]} ${table === 'sas' ? 'SAs' : 'routes'}`)
  }

  #isLive(handle: SaHandle): boolean {
    return integerIn(handle, 0, 0x7fff_ffff) && this.#raw.saKind(handle) !== 0
  }

  #requireKind(handle: SaHandle, kind: number, name: string): void {
    if (!this.#isLive(handle) || this.#raw.saKind(handle) !== kind) throw new EngineError(`${handle} is no ${name}`)
  }
}
