/** The engine's AEADs as a module of their own, with nothing around them: for tests and the benchmark. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SUITE_AES_128_GCM, SUITE_AES_256_GCM, SUITE_CHACHA20_POLY1305 } from '../../wasm/abi.ts'
import { build, modulePath, type Target } from '../../wasm/build.ts'
import type { AeadSuite } from '../../wasm/packet-engine.ts'

export const SUITES: readonly AeadSuite[] = ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305']
export const TAG_BYTES = 16
export const NONCE_BYTES = 12
/** What the AEADs may read and write behind a text; see wasm/assembly/aead.ts. */
export const SLACK_BYTES = 512
const MAX_TEXT = 9216
const MAX_AAD = 4096

export const SUITE_NUMBERS: Record<AeadSuite, number> = {
  'aes-128-gcm': SUITE_AES_128_GCM,
  'aes-256-gcm': SUITE_AES_256_GCM,
  'chacha20-poly1305': SUITE_CHACHA20_POLY1305,
}

/** The entry: one context and one buffer of each kind, at addresses that the module tells. */
const ENTRY = `
import { AEAD_CTX_BYTES, AEAD_KEYS_BYTES, aeadExpand, aeadInit as init, aeadOpen, aeadSeal, aeadWipe } from './aead.ts'
import * as poly1305 from './poly1305.ts'
const POLY1305: usize = memory.data(poly1305.POLY1305_STATE_BYTES, 16)
export function poly1305Init(key: usize): void { poly1305.poly1305Init(POLY1305, key) }
export function poly1305Blocks(from: usize, count: u32): void { poly1305.poly1305Blocks(POLY1305, from, count) }
export function poly1305Finish(tag: usize): void { poly1305.poly1305Finish(POLY1305, tag) }
export { aeadOpen, aeadSeal, aeadWipe }
const KEYS: usize = memory.data(AEAD_KEYS_BYTES, 64)
export function aeadInit(suite: i32, ctx: usize, key: usize): void {
  aeadExpand(suite, KEYS, key)
  init(suite, ctx, KEYS)
  memory.fill(KEYS, 0, AEAD_KEYS_BYTES)
}
const SLACK: i32 = ${SLACK_BYTES}
const CTX: usize = memory.data(AEAD_CTX_BYTES, 64)
const KEY: usize = memory.data(32, 16)
const NONCE: usize = memory.data(16, 16)
const AAD: usize = memory.data(${MAX_AAD} + SLACK, 16)
const SOURCE: usize = memory.data(${MAX_TEXT} + SLACK, 64)
const TARGET: usize = memory.data(${MAX_TEXT} + SLACK, 64)
export function ctx(): usize { return CTX }
export function ctxBytes(): u32 { return AEAD_CTX_BYTES }
export function key(): usize { return KEY }
export function nonce(): usize { return NONCE }
export function aad(): usize { return AAD }
export function source(): usize { return SOURCE }
export function target(): usize { return TARGET }
`

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  aeadInit(suite: number, ctx: number, key: number): void
  aeadSeal(...args: AeadArguments): void
  aeadOpen(...args: AeadArguments): number
  aeadWipe(ctx: number): void
  poly1305Init(key: number): void
  poly1305Blocks(from: number, count: number): void
  poly1305Finish(tag: number): void
  ctx(): number
  ctxBytes(): number
  key(): number
  nonce(): number
  aad(): number
  source(): number
  target(): number
}

/** suite, ctx, nonce, aad, aadLength, src, dst, length: as in wasm/assembly/aead.ts. */
type AeadArguments = [number, number, number, number, number, number, number, number]

export function compileAeadModules(): Promise<Record<Target, Uint8Array>> {
  return compileEntry(ENTRY)
}

/** Compiles both targets from the sources as they stand, with another entry; takes a second or two. */
export async function compileEntry(entry: string): Promise<Record<Target, Uint8Array>> {
  const root = mkdtempSync(join(tmpdir(), 'isthmus-aead-'))
  try {
    const project = fileURLToPath(new URL('../..', import.meta.url))
    for (const name of ['asconfig.json', 'wasm/abi.ts', 'wasm/assembly']) {
      cpSync(join(project, name), join(root, name), { recursive: true })
    }
    writeFileSync(join(root, 'wasm/assembly/index.ts'), entry)
    let messages = ''
    await build({ root, modules: ['engine'], log: (text) => (messages += text) }).catch((error) => {
      throw new Error(messages, { cause: error })
    })
    return { relaxed: readFileSync(modulePath('relaxed', root)), strict: readFileSync(modulePath('strict', root)) }
  } finally {
    rmSync(root, { recursive: true })
  }
}

/** One instance, with one key at a time. All views are into its memory. */
export class AeadModule {
  readonly #exports: Exports
  readonly memory: Uint8Array
  #suite = 0

  constructor(bytes: Uint8Array) {
    this.#exports = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as unknown as Exports
    this.memory = new Uint8Array(this.#exports.memory.buffer)
  }

  get context(): Uint8Array {
    return this.memory.subarray(this.#exports.ctx(), this.#exports.ctx() + this.#exports.ctxBytes())
  }

  /** The source buffer with its slack. */
  get source(): Uint8Array {
    return this.memory.subarray(this.#exports.source(), this.#exports.source() + MAX_TEXT + SLACK_BYTES)
  }

  /** The target buffer with its slack. */
  get target(): Uint8Array {
    return this.memory.subarray(this.#exports.target(), this.#exports.target() + MAX_TEXT + SLACK_BYTES)
  }

  init(suite: AeadSuite, key: Uint8Array): void {
    this.#suite = SUITE_NUMBERS[suite]
    this.memory.set(key, this.#exports.key())
    this.#exports.aeadInit(this.#suite, this.#exports.ctx(), this.#exports.key())
    this.memory.fill(0, this.#exports.key(), this.#exports.key() + key.length)
  }

  /** Seals from the source buffer to the target buffer, or within the source buffer. Returns a view of ciphertext and tag. */
  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, inPlace = false): Uint8Array {
    this.source.set(plaintext)
    this.#exports.aeadSeal(...this.#arguments(nonce, aad, plaintext.length, inPlace))
    return (inPlace ? this.source : this.target).subarray(0, plaintext.length + TAG_BYTES)
  }

  /** Opens likewise. Returns a view of the plaintext, or undefined. */
  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array, inPlace = false): Uint8Array | undefined {
    const length = sealed.length - TAG_BYTES
    this.source.set(sealed)
    if (!this.#exports.aeadOpen(...this.#arguments(nonce, aad, length, inPlace))) return undefined
    return (inPlace ? this.source : this.target).subarray(0, length)
  }

  wipe(): void {
    this.#exports.aeadWipe(this.#exports.ctx())
  }

  /** The bare one-time authenticator over whole blocks: a fresh copy of the tag. */
  poly1305(key: Uint8Array, message: Uint8Array): Uint8Array {
    const { key: keyAt, source, target } = this.#exports
    this.memory.set(key, keyAt())
    this.source.set(message)
    this.#exports.poly1305Init(keyAt())
    this.#exports.poly1305Blocks(source(), message.length / 16)
    this.#exports.poly1305Finish(target())
    return this.target.slice(0, TAG_BYTES)
  }

  #arguments(nonce: Uint8Array, aad: Uint8Array, length: number, inPlace: boolean): AeadArguments {
    const { ctx, nonce: nonceAt, aad: aadAt, source, target } = this.#exports
    this.memory.set(nonce, nonceAt())
    this.memory.set(aad, aadAt())
    return [this.#suite, ctx(), nonceAt(), aadAt(), aad.length, source(), inPlace ? source() : target(), length]
  }
}
