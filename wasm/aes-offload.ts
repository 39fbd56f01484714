/** AES of node:crypto for the engine, and whether that is worth it on this machine. */
import { type Cipheriv, createCipheriv } from 'node:crypto'
import { BATCH } from './abi.ts'
import type { WasmEngine } from './engine.ts'
import { AES_SUITES, type AesPlan, type AesSuite, type AesUse, type HostAes } from './engine-offload.ts'
import { fillSynthetic, installSynthetic, sealSynthetic, setUpSynthetic } from './engine-synthetic.ts'
import type { SaHandle } from './packet-engine.ts'

const BLOCK = 16
const CIPHERS: Record<AesSuite, string> = { 'aes-128-gcm': 'aes-128-ecb', 'aes-256-gcm': 'aes-256-ecb' }
const KEY_BYTES: Record<AesSuite, number> = { 'aes-128-gcm': 16, 'aes-256-gcm': 32 }

/**
 * One cipher object for each SA, from its installation to its removal. Its key schedule lies in memory of OpenSSL, which
 * erases it when the object is collected, at some time after `remove`; key stream lies in buffers that are collected and
 * not erased.
 */
export class NodeAes implements HostAes {
  readonly name = 'node:crypto'
  readonly #ciphers = new Map<SaHandle, Cipheriv>()

  install(sa: SaHandle, suite: AesSuite, key: Uint8Array): void {
    this.#ciphers.set(sa, createCipheriv(CIPHERS[suite], key, null).setAutoPadding(false))
  }

  remove(sa: SaHandle): void {
    this.#ciphers.delete(sa)
  }

  encrypt(sa: SaHandle, blocks: Uint8Array): void {
    const cipher = this.#ciphers.get(sa)
    if (cipher === undefined) throw new Error(`no cipher for SA ${sa}`)
    const encrypted = cipher.update(blocks)
    if (encrypted.length !== blocks.length) throw new Error(`${encrypted.length} of ${blocks.length} bytes`)
    blocks.set(encrypted)
  }
}

/** Small enough to take a few milliseconds, and long enough for the optimising compiler. */
const WARM_UP_BATCHES = 20
const SLICES = 5
const PACKET_BYTES = 1400
const PACKET_BLOCKS = Math.ceil((PACKET_BYTES + 2) / BLOCK) + 1

export interface AesChoice {
  readonly plan: AesPlan
  readonly use: AesUse
}

/** Measures both ways of AES, on engines that `makeEngine` makes for it; some 40 ms. */
export function chooseAes(makeEngine: () => WasmEngine, makeAes: () => HostAes = () => new NodeAes()): AesChoice {
  const { name } = makeAes()
  const results = AES_SUITES.map((suite) => measure(makeEngine, makeAes, suite))
  const faster = results.filter(({ wasm, offload }) => offload < wasm)
  const saved = faster.map(({ wasm, offload }) => (wasm - offload) / PACKET_BLOCKS)
  const leastBlocks = faster.length === 0 ? 0 : Math.max(1, Math.ceil(callNanoseconds(makeAes()) / Math.min(...saved)))
  const suites = faster.map(({ suite }) => suite)
  const figures = results.map(({ suite, wasm, offload }) =>
    offload < wasm
      ? `${suite} with the AES of ${name} (${micros(offload)} us a packet, in WebAssembly ${micros(wasm)})`
      : `${suite} in WebAssembly (${micros(wasm)} us a packet, with the AES of ${name} ${micros(offload)})`,
  )
  return { plan: { suites, leastBlocks }, use: aesUse(suites, figures.join('; ')) }
}

/** What has been chosen without measuring. */
export function fixedAes(way: 'wasm' | 'offload'): AesChoice {
  const suites = way === 'offload' ? AES_SUITES : []
  return { plan: { suites, leastBlocks: 1 }, use: aesUse(suites, `${way} was asked for`) }
}

function aesUse(offloaded: readonly AesSuite[], why: string): AesUse {
  const way = (suite: AesSuite) => (offloaded.includes(suite) ? 'offload' : 'wasm')
  return { suites: { 'aes-128-gcm': way('aes-128-gcm'), 'aes-256-gcm': way('aes-256-gcm') }, why }
}

function micros(nanoseconds: number): string {
  return (nanoseconds / 1000).toFixed(2)
}

function measure(makeEngine: () => WasmEngine, makeAes: () => HostAes, suite: AesSuite) {
  const ways = (['wasm', 'offload'] as const).map((way) => {
    const engine = makeEngine()
    if (way === 'offload') engine.offloadAes(makeAes(), fixedAes('offload'))
    setUpSynthetic(engine)
    installSynthetic(engine, suite, 256)
    fillSynthetic(engine, PACKET_BYTES)
    for (let i = 0; i < WARM_UP_BATCHES; i++) sealSynthetic(engine, 0)
    return engine
  })
  const best = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let slice = 0; slice < SLICES; slice++) {
    for (const [i, engine] of ways.entries()) {
      const start = process.hrtime.bigint()
      sealSynthetic(engine, 0)
      best[i] = Math.min(best[i]!, Number(process.hrtime.bigint() - start) / BATCH)
    }
  }
  return { suite, wasm: best[0]!, offload: best[1]! }
}

/** What a call of the cipher costs that has next to nothing to do. */
function callNanoseconds(aes: HostAes): number {
  aes.install(0, 'aes-128-gcm', new Uint8Array(KEY_BYTES['aes-128-gcm']))
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
