/** Which way AES-GCM goes on this machine: measured at start, or asked for. */

import { BATCH } from './abi.ts'
import { NodeAes } from './aes-offload.ts'
import type { WasmEngine } from './engine.ts'
import { AES_SUITES, type AesPlan, type AesSuite, type AesUse, type HostAes } from './engine-offload.ts'
import { fillSynthetic, installSynthetic, sealSynthetic, setUpSynthetic } from './engine-synthetic.ts'

const BLOCK = 16
/** Small enough to take a few milliseconds, and long enough for the optimising compiler. */
const WARM_UP_BATCHES = 20
const LONG_WARM_UP_BATCHES = 3
const SLICES = 5
const PACKET_BYTES = 1400
/** A long packet, as in networks of large frames. */
const LONG_BYTES = 8192
const PACKET_BLOCKS = Math.ceil((PACKET_BYTES + 2) / BLOCK) + 1
/** Shorter packets than this are never done whole, whatever the figures say of them. */
const LEAST_WHOLE = 512

export interface AesChoice {
  readonly plan: AesPlan
  readonly use: AesUse
}

/** In the engine; blocks by the host, one call for a batch; by the host packet by packet. */
const WAYS = ['wasm', 'offload', 'whole'] as const

/** Nanoseconds for each packet of a batch, of PACKET_BYTES and of LONG_BYTES. */
interface Figures {
  readonly short: number
  readonly long: number
}

interface SuiteChoice {
  readonly suite: AesSuite
  readonly way: 'wasm' | 'offload'
  /** Nanoseconds that the offload saves for each block. */
  readonly saved: number
  /** Bytes from which on packets are done whole, or undefined. */
  readonly leastWhole: number | undefined
  readonly why: string
}

/** Measures all ways of AES-GCM, on engines that `makeEngine` makes for it; some 100 ms. */
export function chooseAes(makeEngine: () => WasmEngine, makeAes: () => HostAes = () => new NodeAes()): AesChoice {
  const { name } = makeAes()
  const choices = AES_SUITES.map((suite) => chooseFrom(suite, measure(makeEngine, makeAes, suite), name))
  const offloaded = choices.filter(({ way }) => way === 'offload')
  const leastBlocks = Math.max(
    1,
    Math.ceil(callNanoseconds(makeAes()) / Math.min(...offloaded.map(({ saved }) => saved))),
  )
  const suites = offloaded.map(({ suite }) => suite)
  const whole = choices.flatMap(({ suite, leastWhole }) => (leastWhole === undefined ? [] : [[suite, leastWhole]]))
  const plan = { suites, leastBlocks, leastWhole: Object.fromEntries(whole) as AesPlan['leastWhole'] }
  return { plan, use: aesUse(suites, choices.map(({ why }) => why).join('; ')) }
}

/** What has been chosen without measuring. */
export function fixedAes(way: 'wasm' | 'offload'): AesChoice {
  const suites = way === 'offload' ? AES_SUITES : []
  return { plan: { suites, leastBlocks: 1, leastWhole: {} }, use: aesUse(suites, `${way} was asked for`) }
}

/** The best way for ordinary packets, and where a whole packet at a time is faster than that. */
export function chooseFrom(
  suite: AesSuite,
  figures: Readonly<Record<(typeof WAYS)[number], Figures>>,
  name = 'node:crypto',
): SuiteChoice {
  const { wasm, offload, whole } = figures
  const way = offload.short < wasm.short ? 'offload' : 'wasm'
  const best = figures[way]
  const leastWhole = whole.long < best.long ? crossing(best, whole) : undefined
  const ordinary =
    way === 'offload'
      ? `${suite} with the AES of ${name} (${micros(offload.short)} us a packet, in WebAssembly ${micros(wasm.short)})`
      : `${suite} in WebAssembly (${micros(wasm.short)} us a packet, with the AES of ${name} ${micros(offload.short)})`
  const long = `${micros(whole.long)} us for ${LONG_BYTES} bytes, otherwise ${micros(best.long)}`
  const why =
    leastWhole === undefined
      ? ordinary
      : `${ordinary}, from ${leastWhole} bytes on with node:crypto packet by packet (${long})`
  return { suite, way, saved: (wasm.short - offload.short) / PACKET_BLOCKS, leastWhole, why }
}

/** Bytes at which two straight lines meet, of which `other` is the lower at LONG_BYTES. */
function crossing(one: Figures, other: Figures): number {
  const before = other.short - one.short
  const after = one.long - other.long
  const at = PACKET_BYTES + ((LONG_BYTES - PACKET_BYTES) * before) / (before + after)
  return Number.isFinite(at) ? Math.min(LONG_BYTES, Math.max(LEAST_WHOLE, Math.ceil(at))) : LEAST_WHOLE
}

function aesUse(offloaded: readonly AesSuite[], why: string): AesUse {
  const way = (suite: AesSuite) => (offloaded.includes(suite) ? 'offload' : 'wasm')
  return { suites: { 'aes-128-gcm': way('aes-128-gcm'), 'aes-256-gcm': way('aes-256-gcm') }, why }
}

function micros(nanoseconds: number): string {
  return (nanoseconds / 1000).toFixed(2)
}

function measure(
  makeEngine: () => WasmEngine,
  makeAes: () => HostAes,
  suite: AesSuite,
): Record<(typeof WAYS)[number], Figures> {
  const engines = WAYS.map((way) => {
    const engine = makeEngine()
    const { plan, use } = fixedAes(way === 'offload' ? 'offload' : 'wasm')
    const leastWhole = way === 'whole' ? { [suite]: 1 } : {}
    if (way !== 'wasm') engine.offloadAes(makeAes(), { plan: { ...plan, leastWhole }, use })
    setUpSynthetic(engine)
    installSynthetic(engine, suite, 256)
    return engine
  })
  const [short, long] = [
    slices(engines, PACKET_BYTES, WARM_UP_BATCHES),
    slices(engines, LONG_BYTES, LONG_WARM_UP_BATCHES),
  ]
  const figuresOf = (i: number): Figures => ({ short: short[i]!, long: long[i]! })
  return { wasm: figuresOf(0), offload: figuresOf(1), whole: figuresOf(2) }
}

/** Of each engine the shortest of some batches, in turns: nanoseconds for each packet. */
function slices(engines: readonly WasmEngine[], bytes: number, warmUp: number): number[] {
  for (const engine of engines) {
    fillSynthetic(engine, bytes)
    for (let i = 0; i < warmUp; i++) sealSynthetic(engine, 0)
  }
  const best = engines.map(() => Number.POSITIVE_INFINITY)
  for (let slice = 0; slice < SLICES; slice++) {
    for (const [i, engine] of engines.entries()) {
      const start = process.hrtime.bigint()
      sealSynthetic(engine, 0)
      best[i] = Math.min(best[i]!, Number(process.hrtime.bigint() - start) / BATCH)
    }
  }
  return best
}

/** What a call of the cipher costs that has next to nothing to do. */
function callNanoseconds(aes: HostAes): number {
  aes.install(0, 'aes-128-gcm', new Uint8Array(16))
  const block = new Uint8Array(BLOCK)
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < 200; i++) {
    const start = process.hrtime.bigint()
    aes.encrypt(0, block)
    best = Math.min(best, Number(process.hrtime.bigint() - start))
  }
  aes.remove(0)
  return best
}
