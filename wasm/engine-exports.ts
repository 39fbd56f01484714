/** What `assembly/index.ts` exports, as raw WebAssembly gives it: every integer comes back signed. */
export interface RawGlobal {
  readonly value: number
}

export interface RawExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly LAN_RX: RawGlobal
  readonly LAN_RX_HAND_OVER: RawGlobal
  readonly LAN_RX_LENGTH: RawGlobal
  readonly LAN_RX_VIA: RawGlobal
  readonly LAN_TX_COUNT: RawGlobal
  readonly LAN_TX_LENGTH: RawGlobal
  readonly LAN_TX_OFFSET: RawGlobal
  readonly WIRE_RX: RawGlobal
  readonly WIRE_RX_ELSEWHERE: RawGlobal
  readonly WIRE_RX_LENGTH: RawGlobal
  readonly WIRE_RX_NAMES: RawGlobal
  readonly WIRE_RX_TOS: RawGlobal
  readonly WIRE_RX_VERDICT: RawGlobal
  readonly WIRE_TX_COUNT: RawGlobal
  readonly WIRE_TX_ENDPOINT: RawGlobal
  readonly WIRE_TX_LENGTH: RawGlobal
  readonly WIRE_TX_OFFSET: RawGlobal
  readonly WIRE_TX_TOS: RawGlobal
  readonly PROBES_COUNT: RawGlobal
  readonly PROBES_LENGTH: RawGlobal
  readonly PROBES_OFFSET: RawGlobal
  readonly PROBES_TOS: RawGlobal
  readonly PROBES_TUNNEL: RawGlobal
  readonly TRANSIT_COUNT: RawGlobal
  readonly TRANSIT_HAND_OVER: RawGlobal
  readonly TRANSIT_LENGTH: RawGlobal
  readonly TRANSIT_OFFSET: RawGlobal
  readonly TRANSIT_VIA: RawGlobal
  readonly LARGE_LAN_START: RawGlobal
  readonly LARGE_LAN_RX_HAND_OVER: RawGlobal
  readonly LARGE_LAN_RX_LENGTH: RawGlobal
  readonly LARGE_LAN_RX_VIA: RawGlobal
  readonly LARGE_WIRE_RX: RawGlobal
  readonly LARGE_WIRE_RX_LENGTH: RawGlobal
  readonly LARGE_WIRE_RX_NAMES: RawGlobal
  readonly LARGE_WIRE_RX_SEGMENT: RawGlobal
  readonly LARGE_WIRE_RX_TOS: RawGlobal
  readonly runDatagrams: RawGlobal
  readonly STREAM_KEYS: RawGlobal
  readonly HOST_PACKETS: RawGlobal
  readonly CONTROL_KEY: RawGlobal
  readonly CONTROL_NONCE: RawGlobal
  readonly CONTROL_ADDRESSES: RawGlobal
  readonly CONTROL_HANDLES: RawGlobal
  readonly CONTROL_PROBE: RawGlobal
  readonly AEAD_SOURCE: RawGlobal
  readonly AEAD_TARGET: RawGlobal
  readonly AEAD_AAD: RawGlobal
  /** Once, before any other call; `memory.buffer` is replaced. */
  configure(sas: number, routes: number, seedHigh: number, seedLow: number): number
  sealBatch(first: number, count: number, now: number, fromInbox: number): number
  openBatch(count: number, udp: number, now: number): void
  /** `streamed`: whether the blocks that STREAM_KEYS names have been encrypted. HOST_PACKETS has an outcome for each. */
  completeBatch(streamed: number): void
  setOffload(aes128: number, aes256: number, leastBlocks: number): void
  /** Bytes of text from which on the host takes a packet whole, 0 for never. */
  setHostPackets(aes128: number, aes256: number): void
  setLanFormat(header: number, datagrams: number): void
  sealLarge(first: number, count: number, now: number, fromInbox: number): number
  openRuns(first: number, count: number, now: number): number
  sealTransit(now: number): number
  tunnelSentOn(tunnel: number): number
  tunnelAsymmetric(tunnel: number): number
  /** The payload is at CONTROL_PROBE. */
  sealProbe(tunnel: number, payload: number, size: number, now: number): number
  /** 0 where no SA carries anything. */
  outerLength(tunnel: number, size: number): number
  /** A handle, -1 when the table is full, -2 when the SPI is taken. */
  installInbound(
    spi: number,
    suite: number,
    esn: number,
    window: number,
    tunnel: number,
    highestHigh: number,
    highestLow: number,
  ): number
  installOutbound(
    spi: number,
    suite: number,
    esn: number,
    tunnel: number,
    endpoint: number,
    sequenceHigh: number,
    sequenceLow: number,
  ): number
  setLimits(handle: number, softPackets: number, hardPackets: number, softBytes: number, hardBytes: number): void
  addSelector(
    handle: number,
    local: number,
    version: number,
    protocol: number,
    startPort: number,
    endPort: number,
  ): number
  installAeadKey(suite: number): number
  removeSa(handle: number): void
  setEndpoint(handle: number, overhead: number): number
  /** `handOver`: 1 more than the worker, or 0. */
  setTunnel(
    handle: number,
    pathMtu: number,
    clampMss: number,
    copyDscp: number,
    handOver: number,
    down: number,
    transit: number,
    reversePath: number,
    count: number,
  ): number
  removeTunnel(handle: number): void
  /** With `weighted` the weights are in the control area behind MAX_GROUP_MEMBERS handles. */
  setGroup(handle: number, count: number, weighted: number): number
  setRefusal(handle: number, reason: number): number
  clearClasses(): void
  /** `place` counts from 1. */
  setPreference(index: number, tunnel: number, place: number): void
  /** 0, 256 and 64 are any version, protocol and DSCP; ports are start << 16 | end. */
  addMatch(
    index: number,
    version: number,
    sourceBits: number,
    destinationBits: number,
    protocol: number,
    dscp: number,
    readsPorts: number,
    sourcePorts: number,
    destinationPorts: number,
  ): void
  setFlowSeed(seed: number): void
  clearOwnAddresses(): void
  setOwnAddress(version: number): void
  setShare(worker: number, workers: number): void
  setRoute(version: number, bits: number, group: number): number
  removeRoute(version: number, bits: number): number
  lookupRoute(version: number): number
  routeCount(): number
  nodeCount(): number
  contextCount(): number
  innerMtu(handle: number): number
  saKind(handle: number): number
  saPackets(handle: number): number
  saBytes(handle: number): number
  saLastAt(handle: number): number
  /** -1 where it is not known. */
  saMissing(handle: number): number
  saDrops(handle: number, reason: number): number
  /** A bit for each reason that has been counted. */
  saDropMask(handle: number): number
  globalDrops(reason: number): number
  takeEvent(): number
  takenSubject(): number
  takenFamily(): number
  takenPort(): number
  takenAddress(): number
  sealText(handle: number, aadLength: number, length: number): void
  openText(handle: number, aadLength: number, length: number): number
  wipeText(length: number): void
}
