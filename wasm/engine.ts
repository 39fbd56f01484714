/**
 * The packet engine on WebAssembly. The only TypeScript that touches engine memory and sees raw
 * returns; no imports of `node:`, so it runs wherever a module can be compiled. `load.ts` reads the
 * module from disk.
 */
import { type Address, addressBytes, familyOf, type Prefix } from '../protocol/net.ts'
import {
  MAX_ENDPOINTS,
  MAX_GROUP_MEMBERS,
  MAX_GROUPS,
  MAX_INNER,
  MAX_OUTER,
  MAX_ROUTES,
  MAX_SAS,
  MAX_TUNNEL_SAS,
  MAX_TUNNELS,
  SMALL_ROUTES,
  SMALL_SAS,
} from './abi.ts'
import { DROP_NAMES, type DropName } from './drop-reasons.ts'
import { lanOutbox, lanReceiveArea, largeLanArea, runReceiveArea, wireOutbox, wireReceiveArea } from './engine-areas.ts'
import {
  checkHandle,
  checkReplayWindow,
  checkSa,
  checkWorker,
  handOverCode,
  integerIn,
  limitValue,
  sequenceHalves,
  splitPrefix,
  suiteCode,
} from './engine-arguments.ts'
import { takeEvent } from './engine-events.ts'
import type { RawExports } from './engine-exports.ts'
import { type AesPlan, type AesUse, type HostAes, OffloadRunner } from './engine-offload.ts'
import { putClasses } from './engine-steering.ts'
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
  type RefusalAnswer,
  type RunReceiveArea,
  type SaCounters,
  type SaHandle,
  type SaKeys,
  type TrafficClass,
  type TrafficSelector,
  type Tunnel,
  type TunnelHandle,
  type WireOutbox,
  type WireReceiveArea,
} from './packet-engine.ts'
import { checkClasses, checkFlowSeed, checkOwnAddresses, checkWeights, refusalReason } from './steering-arguments.ts'

const NONCE_BYTES = 12
const TAG_BYTES = 16
const AAD_MAX = 4096
const UDP_HEADER = 8
const FULL = -1
const OUTBOUND = 2
const AEAD_KEY = 3
const ALL_WASM: AesUse = {
  suites: { 'aes-128-gcm': 'wasm', 'aes-256-gcm': 'wasm' },
  why: 'the engine needs no host for it',
}

/**
 * How much the tables hold: `large` MAX_SAS and MAX_ROUTES in some 560 MB of address space, of which memory is used as
 * entries come; `small` SMALL_SAS and SMALL_ROUTES, for hosts that count address space as memory.
 */
export type Capacity = 'small' | 'large'

const CAPACITIES: Record<Capacity, { readonly sas: number; readonly routes: number }> = {
  small: { sas: SMALL_SAS, routes: SMALL_ROUTES },
  large: { sas: MAX_SAS, routes: MAX_ROUTES },
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
  readonly #module: WebAssembly.Module
  readonly #raw: RawExports
  readonly #bytes: Uint8Array
  readonly #handles: Uint32Array
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
    this.#module = module
    this.#raw = raw
    this.#bytes = new Uint8Array(this.memory)
    this.#handles = new Uint32Array(this.memory, raw.CONTROL_HANDLES.value, MAX_TUNNEL_SAS)
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
    this.#putKeys(sa)
    const handle = this.#raw.installInbound(sa.spi, suite, +sa.esn, sa.replayWindow, sa.tunnel, high, low)
    this.#wipeControl()
    return this.#installed(handle, sa)
  }

  installOutbound(sa: OutboundSa): SaHandle {
    const suite = suiteCode(sa.suite, sa.key)
    checkSa(sa)
    checkHandle('tunnel', sa.tunnel, MAX_TUNNELS)
    checkHandle('endpoint', sa.endpoint, MAX_ENDPOINTS)
    const [high, low] = sequenceHalves(sa.initialSequence, sa.esn)
    const limits = [sa.softPackets, sa.hardPackets, sa.softBytes, sa.hardBytes].map(limitValue)
    this.#putKeys(sa)
    const handle = this.#raw.installOutbound(sa.spi, suite, +sa.esn, sa.tunnel, sa.endpoint, high, low)
    this.#wipeControl()
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
    const { pathMtu, clampMss, copyDscp, down = false, sas } = tunnel
    this.#raw.setTunnel(handle, pathMtu, +clampMss, +copyDscp, handOver, +down, sas.length)
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
    const sources = checkOwnAddresses(addresses)
    this.#raw.clearOwnAddresses()
    for (const source of sources) {
      this.#bytes.set(source, this.#raw.CONTROL_ADDRESSES.value)
      this.#raw.setOwnAddress(source.length === 4 ? 4 : 6)
    }
  }

  setShare(worker: number, workers: number): void {
    checkWorker(worker, workers)
    this.#raw.setShare(worker, workers)
  }

  setRoute(prefix: Prefix, group: GroupHandle): void {
    checkHandle('group', group, MAX_GROUPS)
    const { version, address, bits } = splitPrefix(prefix)
    this.#bytes.set(address, this.#raw.CONTROL_ADDRESSES.value)
    if (this.#raw.setRoute(version, bits, group) === 0) throw this.#full('routes')
  }

  removeRoute(prefix: Prefix): void {
    const { version, address, bits } = splitPrefix(prefix)
    this.#bytes.set(address, this.#raw.CONTROL_ADDRESSES.value)
    this.#raw.removeRoute(version, bits)
  }

  lookupRoute(destination: Address): GroupHandle | undefined {
    this.#bytes.set(addressBytes(destination), this.#raw.CONTROL_ADDRESSES.value)
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

  pollEvent(): EngineEvent | undefined {
    return takeEvent(this.#raw, this.#bytes)
  }

  counters(sa: SaHandle): SaCounters {
    if (!this.#isLive(sa)) throw new EngineError(`no SA ${sa}`)
    const drops: Partial<Record<DropName, number>> = {}
    for (let left = this.#raw.saDropMask(sa); left !== 0; left &= left - 1) {
      const reason = 31 - Math.clz32(left & -left)
      drops[DROP_NAMES[reason]!] = this.#raw.saDrops(sa, reason)
    }
    const missing = this.#raw.saMissing(sa)
    return {
      packets: this.#raw.saPackets(sa),
      bytes: this.#raw.saBytes(sa),
      lastAt: this.#raw.saLastAt(sa),
      drops,
      ...(missing >= 0 && { missing }),
    }
  }

  drops(): Record<DropName, number> {
    const entries = DROP_NAMES.map((name, reason) => [name, this.#raw.globalDrops(reason)])
    return Object.fromEntries(entries) as Record<DropName, number>
  }

  installAead(suite: AeadSuite, key: Uint8Array): SaHandle {
    const code = suiteCode(suite, key)
    this.#bytes.set(key, this.#raw.CONTROL_KEY.value)
    const handle = this.#raw.installAeadKey(code)
    this.#wipeControl()
    if (handle < 0) throw this.#full('sas')
    return handle
  }

  aeadSeal(key: SaHandle, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    this.#putText(key, nonce, aad, plaintext, MAX_INNER)
    this.#raw.sealText(key, aad.length, plaintext.length)
    return this.#takeText(plaintext.length + TAG_BYTES)
  }

  aeadOpen(key: SaHandle, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    this.#putText(key, nonce, aad, sealed, MAX_INNER + TAG_BYTES)
    if (sealed.length < TAG_BYTES) return undefined
    const length = sealed.length - TAG_BYTES
    return this.#raw.openText(key, aad.length, length) === 0 ? undefined : this.#takeText(length)
  }

  /**
   * Runs synthetic packets until the host's optimising compiler has taken over, so that the first
   * real ones are fast. They run in an instance of their own on the same compiled module: nothing of
   * this engine changes. Takes some tens of milliseconds.
   */
  warmUp(): void {
    runWarmUp(new WasmEngine(this.#module, this.build, 'small'))
  }

  #putKeys(keys: SaKeys): void {
    this.#bytes.set(keys.key, this.#raw.CONTROL_KEY.value)
    this.#bytes.set(keys.salt, this.#raw.CONTROL_NONCE.value)
  }

  #wipeControl(): void {
    this.#bytes.fill(0, this.#raw.CONTROL_KEY.value, this.#raw.CONTROL_KEY.value + 64)
    this.#bytes.fill(0, this.#raw.CONTROL_NONCE.value, this.#raw.CONTROL_NONCE.value + 64)
  }

  #installed(handle: number, sa: InboundSa | OutboundSa): SaHandle {
    if (handle === FULL) throw this.#full('sas')
    if (handle < 0) throw new EngineError(`inbound SPI ${sa.spi} is taken`)
    this.#offload?.install(handle, sa.suite, sa.key)
    this.#addSelectors(handle, true, sa.local)
    this.#addSelectors(handle, false, sa.remote)
    return handle
  }

  #addSelectors(handle: SaHandle, local: boolean, selectors: readonly TrafficSelector[]): void {
    const at = this.#raw.CONTROL_ADDRESSES.value
    for (const { protocol, startPort, endPort, startAddress, endAddress } of selectors) {
      this.#bytes.fill(0, at, at + 32)
      this.#bytes.set(addressBytes(startAddress), at)
      this.#bytes.set(addressBytes(endAddress), at + 16)
      this.#raw.addSelector(handle, +local, familyOf(startAddress), protocol, startPort, endPort)
    }
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

  #putText(key: SaHandle, nonce: Uint8Array, aad: Uint8Array, text: Uint8Array, max: number): void {
    this.#requireKind(key, AEAD_KEY, 'AEAD key')
    if (nonce.length !== NONCE_BYTES) throw new EngineError(`a nonce has ${NONCE_BYTES} bytes, not ${nonce.length}`)
    if (aad.length > AAD_MAX) throw new EngineError(`more than ${AAD_MAX} bytes of additional data`)
    if (text.length > max) throw new EngineError(`more than ${max} bytes of text`)
    this.#bytes.set(nonce, this.#raw.CONTROL_NONCE.value)
    this.#bytes.set(aad, this.#raw.AEAD_AAD.value)
    this.#bytes.set(text, this.#raw.AEAD_SOURCE.value)
  }

  /** A copy of the result; nothing of it stays in engine memory. */
  #takeText(length: number): Uint8Array {
    const at = this.#raw.AEAD_TARGET.value
    const text = this.#bytes.slice(at, at + length)
    this.#raw.wipeText(length + TAG_BYTES)
    return text
  }
}
