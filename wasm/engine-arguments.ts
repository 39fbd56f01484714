/** Checks of control arguments: what passes here is safe to hand to the module. Each throws EngineError. */
import { addressBytes, familyOf, type Prefix } from '../protocol/net.ts'
import {
  MAX_INNER,
  MAX_SELECTORS,
  MAX_TUNNELS,
  MAX_WORKERS,
  PROBE_MAGIC,
  PROBE_PAYLOAD,
  REPLAY_WINDOW_MAX,
  REVERSE_PATH_LOOSE,
  REVERSE_PATH_OFF,
  REVERSE_PATH_STRICT,
  SUITE_AES_128_GCM,
  SUITE_AES_256_GCM,
  SUITE_CHACHA20_POLY1305,
} from './abi.ts'
import {
  type AeadSuite,
  EngineError,
  type InboundSa,
  type OutboundSa,
  type ReversePath,
  type TrafficSelector,
} from './packet-engine.ts'

const SALT_BYTES = 4
/** RFC 4303 section 2.1: 1 to 255 are reserved. */
const SPI_MIN = 256

const SUITES: Record<AeadSuite, { readonly code: number; readonly keyBytes: number }> = {
  'aes-128-gcm': { code: SUITE_AES_128_GCM, keyBytes: 16 },
  'aes-256-gcm': { code: SUITE_AES_256_GCM, keyBytes: 32 },
  'chacha20-poly1305': { code: SUITE_CHACHA20_POLY1305, keyBytes: 32 },
}

const REVERSE_PATHS: Record<ReversePath, number> = {
  off: REVERSE_PATH_OFF,
  loose: REVERSE_PATH_LOOSE,
  strict: REVERSE_PATH_STRICT,
}

export function suiteCode(suite: AeadSuite, key: Uint8Array): number {
  const known = Object.hasOwn(SUITES, suite) ? SUITES[suite] : undefined
  if (known === undefined) throw new EngineError(`no suite ${String(suite)}`)
  if (key.length !== known.keyBytes) {
    throw new EngineError(`a key for ${suite} has ${known.keyBytes} bytes, not ${key.length}`)
  }
  return known.code
}

export function checkSa(sa: InboundSa | OutboundSa): void {
  if (sa.salt.length !== SALT_BYTES) throw new EngineError(`a salt has ${SALT_BYTES} bytes, not ${sa.salt.length}`)
  if (!integerIn(sa.spi, SPI_MIN, 0xffff_ffff)) throw new EngineError(`SPI ${sa.spi} is not one of an SA`)
  for (const side of [sa.local, sa.remote]) {
    if (side.length > MAX_SELECTORS) throw new EngineError(`more than ${MAX_SELECTORS} traffic selectors on a side`)
    for (const selector of side) checkSelector(selector)
  }
}

export function checkReplayWindow(packets: number): void {
  if (!integerIn(packets, 0, REPLAY_WINDOW_MAX) || packets % 64 !== 0) {
    throw new EngineError(`a replay window has a multiple of 64 packets up to ${REPLAY_WINDOW_MAX}, not ${packets}`)
  }
}

function checkSelector(selector: TrafficSelector): void {
  const { protocol, startPort, endPort, startAddress, endAddress } = selector
  if (!integerIn(protocol, 0, 255) || !integerIn(startPort, 0, 65535) || !integerIn(endPort, 0, 65535)) {
    throw new EngineError('a traffic selector has a protocol or port out of range')
  }
  const start = addressBytes(startAddress)
  const end = addressBytes(endAddress)
  if (start.length !== end.length) throw new EngineError('a traffic selector mixes IPv4 and IPv6')
  if (compareBytes(start, end) > 0) throw new EngineError('a traffic selector has a range that runs backwards')
}

function compareBytes(left: Uint8Array, right: Uint8Array): number {
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return left[i]! - right[i]!
  return 0
}

export function checkHandle(what: string, handle: number, limit: number): void {
  if (!integerIn(handle, 0, limit - 1)) throw new EngineError(`${what} ${handle} is not from 0 to ${limit - 1}`)
}

export function checkWorker(worker: number, workers: number): void {
  if (!integerIn(workers, 1, MAX_WORKERS)) throw new EngineError(`${workers} workers are not 1 to ${MAX_WORKERS}`)
  checkHandle('worker', worker, workers)
}

/** 1 more than the worker that `handOver` names, or 0 for none. */
export function handOverCode(handOver: number | undefined): number {
  if (handOver === undefined) return 0
  checkWorker(handOver, MAX_WORKERS)
  return handOver + 1
}

/** The REVERSE_PATH_ number. */
export function reversePathCode(check: ReversePath = 'off'): number {
  const code = Object.hasOwn(REVERSE_PATHS, check) ? REVERSE_PATHS[check] : undefined
  if (code === undefined) throw new EngineError(`no check of the reverse path is ${String(check)}`)
  return code
}

/** Of a probe of `size` bytes with `payload` at its start. */
export function checkProbe(tunnel: number, payload: Uint8Array, size: number): void {
  checkHandle('tunnel', tunnel, MAX_TUNNELS)
  if (!isProbe(payload)) throw new EngineError('a probe does not begin as probes do')
  if (payload.length > PROBE_PAYLOAD) throw new EngineError(`more than ${PROBE_PAYLOAD} bytes of payload in a probe`)
  if (!integerIn(size, payload.length, MAX_INNER)) {
    throw new EngineError(`a probe of ${size} bytes is not from ${payload.length} to ${MAX_INNER}`)
  }
}

/** Whether the content of a dummy packet begins with PROBE_MAGIC. */
export function isProbe(content: Uint8Array): boolean {
  if (content.length < 4) return false
  const { buffer, byteOffset } = content
  return new DataView(buffer, byteOffset, 4).getUint32(0) === PROBE_MAGIC
}

/** A limit for the module: `undefined` is none. */
export function limitValue(limit: number | undefined): number {
  if (limit === undefined) return Number.POSITIVE_INFINITY
  if (!(limit >= 0)) throw new EngineError(`a limit of ${limit}`)
  return limit
}

/** High and low half of a sequence number. */
export function sequenceHalves(sequence: bigint | undefined, esn: boolean): readonly [number, number] {
  const value = sequence ?? 0n
  if (value < 0n || value > (esn ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn)) {
    throw new EngineError(`a sequence number of ${value}`)
  }
  return [Number(value >> 32n), Number(value & 0xffff_ffffn)]
}

export function splitPrefix(prefix: Prefix): { version: number; address: Uint8Array; bits: number } {
  const slash = prefix.indexOf('/')
  const address = addressBytes(prefix.slice(0, slash) as never)
  const bits = Number(prefix.slice(slash + 1))
  if (slash < 0 || !integerIn(bits, 0, address.length * 8)) throw new EngineError(`${prefix} is not a prefix`)
  return { version: familyOf(prefix), address, bits }
}

export function integerIn(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high
}
