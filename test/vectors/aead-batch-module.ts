/** The engine's batch AEADs as a module of their own: for tests and the benchmark. */

import type { Target } from '../../wasm/build.ts'
import type { HostAes } from '../../wasm/engine-offload.ts'
import type { AeadSuite } from '../../wasm/packet-engine.ts'
import { compileEntry, SLACK_BYTES, SUITE_NUMBERS, TAG_BYTES } from './aead-module.ts'

export const BATCH_JOBS = 64
export const BATCH_KEYS = 4
const MAX_TEXT = 9216
/** In front of a text lie the 16 bytes of an ESP header and IV. */
const HEAD = 16
const STRIDE = 10240

const ENTRY = `
import { AEAD_CTX_BYTES, AEAD_KEYS_BYTES, aeadExpand, aeadInit, aeadWipe } from './aead.ts'
import { aeadOpenBatch, aeadSealBatch } from './aead-batch.ts'
import { clearJobs, jobAt, jobCount, queueJob } from './aead-jobs.ts'
import { layOutStream, setOffload, STREAM_KEYS } from './key-stream.ts'
export { STREAM_KEYS }
export function offload(): void { setOffload(true, true, 1) }
export function layOut(): bool { return layOutStream(jobCount()) }
const CONTEXTS: usize = memory.data(${BATCH_KEYS} * AEAD_CTX_BYTES, 64)
const KEYS: usize = memory.data(${BATCH_KEYS} * AEAD_KEYS_BYTES, 64)
const KEY: usize = memory.data(32, 16)
const INPUT: usize = memory.data(64, 16)
const SOURCES: usize = memory.data(${BATCH_JOBS * STRIDE}, 64)
const TARGETS: usize = memory.data(${BATCH_JOBS * STRIDE}, 64)
export function key(): usize { return KEY }
export function input(): usize { return INPUT }
export function sources(): usize { return SOURCES }
export function targets(): usize { return TARGETS }
export function init(suite: i32, index: u32): void {
  aeadExpand(suite, KEYS + index * AEAD_KEYS_BYTES, KEY)
  aeadInit(suite, CONTEXTS + index * AEAD_CTX_BYTES, KEYS + index * AEAD_KEYS_BYTES)
}
export function wipe(): void {
  memory.fill(KEYS, 0, ${BATCH_KEYS} * AEAD_KEYS_BYTES)
  for (let i: u32 = 0; i < ${BATCH_KEYS}; i++) aeadWipe(CONTEXTS + i * AEAD_CTX_BYTES)
}
export function queue(suite: i32, index: u32, aadLength: u32, src: usize, dst: usize, length: u32, sparse: bool): void {
  const job = queueJob()
  job.aadFirst = load<u64>(INPUT)
  job.aadSecond = load<u64>(INPUT, 8)
  job.aadLength = aadLength
  job.salt = load<u32>(INPUT, 16)
  job.ivHigh = load<u32>(INPUT, 20)
  job.ivLow = load<u32>(INPUT, 24)
  job.suite = suite
  job.context = sparse ? 0 : CONTEXTS + index * AEAD_CTX_BYTES
  job.keys = KEYS + index * AEAD_KEYS_BYTES
  job.src = src
  job.dst = dst
  job.length = length
  job.handle = index
}
export function clear(): void { clearJobs() }
export function seal(): void { aeadSealBatch(0, jobCount()) }
export function open(): void { aeadOpenBatch(0, jobCount()) }
export function verified(index: u32): bool { return jobAt(index).verified }
`

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly STREAM_KEYS: { readonly value: number }
  offload(): void
  layOut(): number
  key(): number
  input(): number
  sources(): number
  targets(): number
  init(suite: number, index: number): void
  wipe(): void
  queue(suite: number, index: number, aadLength: number, src: number, dst: number, length: number, sparse: number): void
  clear(): void
  seal(): void
  open(): void
  verified(index: number): number
}

export function compileBatchModules(): Promise<Record<Target, Uint8Array>> {
  return compileEntry(ENTRY)
}

export interface BatchPacket {
  readonly suite: AeadSuite
  /** Which of the installed keys. */
  readonly key: number
  readonly nonce: Uint8Array
  /** 8 or 12 bytes. */
  readonly aad: Uint8Array
  /** Plaintext to be sealed, or sealed text to be opened. */
  readonly text: Uint8Array
  readonly inPlace: boolean
  /** With the keys alone, without a context; of AES-GCM only. */
  readonly sparse?: boolean
}

/** One instance with BATCH_KEYS keys. Results are copies. */
export class AeadBatchModule {
  readonly #exports: Exports
  readonly memory: Uint8Array
  readonly #aes: HostAes | undefined
  readonly #keys: Uint32Array

  /** With `aes`, that is the block cipher of AES-GCM. */
  constructor(bytes: Uint8Array, aes?: HostAes) {
    this.#exports = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as unknown as Exports
    this.memory = new Uint8Array(this.#exports.memory.buffer)
    this.#aes = aes
    this.#keys = new Uint32Array(this.memory.buffer, this.#exports.STREAM_KEYS.value, 4 + 3 * BATCH_KEYS)
    if (aes !== undefined) this.#exports.offload()
  }

  install(index: number, suite: AeadSuite, key: Uint8Array): void {
    if (suite !== 'chacha20-poly1305') this.#aes?.install(index, suite, key)
    this.memory.set(key, this.#exports.key())
    this.#exports.init(SUITE_NUMBERS[suite], index)
    this.memory.fill(0, this.#exports.key(), this.#exports.key() + 32)
  }

  /** Ciphertext and tag of each packet. */
  seal(packets: readonly BatchPacket[]): Uint8Array[] {
    this.queue(packets, 0)
    this.run('seal')
    return packets.map((packet, i) => this.result(packet, i, packet.text.length + TAG_BYTES))
  }

  /** The plaintext of each packet, or undefined. */
  open(packets: readonly BatchPacket[]): (Uint8Array | undefined)[] {
    this.queue(packets, TAG_BYTES)
    this.run('open')
    return packets.map((packet, i) =>
      this.#exports.verified(i) ? this.result(packet, i, packet.text.length - TAG_BYTES) : undefined,
    )
  }

  /** Copies the packets in and queues their jobs, whose texts are `tag` bytes shorter. */
  queue(packets: readonly BatchPacket[], tag: number): void {
    const { input } = this.#exports
    this.#exports.clear()
    for (const [i, { suite, key, nonce, aad, text, inPlace, sparse }] of packets.entries()) {
      this.memory.fill(0, input(), input() + 64)
      this.memory.set(aad, input())
      this.memory.set(nonce, input() + 16)
      this.memory.set(text, this.#source(i))
      const target = inPlace ? this.#source(i) : this.#target(i)
      const alone = +(sparse === true && suite !== 'chacha20-poly1305')
      this.#exports.queue(SUITE_NUMBERS[suite], key, aad.length, this.#source(i), target, text.length - tag, alone)
    }
  }

  /** Once more over the packets that are queued. */
  run(operation: 'seal' | 'open'): void {
    if (this.#exports.layOut() !== 0) this.#encryptBlocks()
    if (operation === 'seal') this.#exports.seal()
    else this.#exports.open()
  }

  #encryptBlocks(): void {
    const count = this.#keys[0]!
    for (let at = 4; at < 4 + 3 * count; at += 3) {
      const [key, offset, bytes] = [this.#keys[at]!, this.#keys[at + 1]!, this.#keys[at + 2]!]
      this.#aes!.encrypt(key, this.memory.subarray(offset, offset + bytes))
    }
  }

  result({ inPlace }: BatchPacket, index: number, length: number): Uint8Array {
    const at = inPlace ? this.#source(index) : this.#target(index)
    return this.memory.slice(at, at + length)
  }

  /** The bytes in front of, in and behind a packet's source or target. */
  slot(index: number, side: 'source' | 'target'): Uint8Array {
    const at = (side === 'source' ? this.#source(index) : this.#target(index)) - HEAD
    return this.memory.subarray(at, at + HEAD + MAX_TEXT + SLACK_BYTES)
  }

  wipe(): void {
    this.#exports.wipe()
  }

  #source(index: number): number {
    return this.#exports.sources() + index * STRIDE + HEAD
  }

  #target(index: number): number {
    return this.#exports.targets() + index * STRIDE + HEAD
  }
}
