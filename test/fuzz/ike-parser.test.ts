import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ikeJson } from '../../connector/cli/decode/ike-json.ts'
import { type KeyRing, NO_KEYS, parseKeys } from '../../connector/cli/decode/keys.ts'
import { Reassembly } from '../../connector/cli/decode/reassembly.ts'
import {
  associatedData,
  decodeMessage,
  decodePayloads,
  encodeMessage,
  encodePayloads,
  isDecodeError,
  type Payload,
} from '../../connector/core/ike/wire/codec.ts'
import { nodeCrypto } from '../../connector/io/crypto-node.ts'
import { VECTORS, vectorFile, vectorMessages } from './ike-captures.ts'
import { mutate, random } from './ike-mutate.ts'

const SEED = 20_240_517
/** Thousands of times what an honest message takes, and far below what a quadratic reader would. */
const SLOWEST_MS = 250

const messages = vectorMessages()

describe('the IKE parser', () => {
  it('the recorded messages themselves decode and encode to the same bytes', () => {
    expect(messages.length).toBeGreaterThan(50)
    for (const bytes of messages) {
      const message = decodeMessage(bytes)
      if (isDecodeError(message)) throw new Error(message.reason)
      expect(Buffer.from(encodeMessage(message)).equals(bytes)).toBe(true)
    }
  })

  it('takes 30,000 mutated messages: never throws, never lingers, and what decodes re-encodes', () => {
    const next = random(SEED)
    const seen = { decoded: 0, refused: 0 }
    for (let index = 0; index < 30_000; index++) {
      const bytes = mutate(messages, next)
      // Most mutations change the length; a header that agrees lets the payload readers see them.
      if (bytes.length >= 28 && next(8) > 0) new DataView(bytes.buffer).setUint32(24, bytes.length)
      seen[checkMessage(bytes, `seed ${SEED}, input ${index}`)]++
    }
    expect(seen.decoded).toBeGreaterThan(3000)
    expect(seen.refused).toBeGreaterThan(3000)
  })

  it('takes 20,000 mutated chains as they stand inside SK', () => {
    const next = random(SEED + 1)
    const chains = decryptedChains()
    expect(chains.length).toBe(30)
    const pool = chains.map(({ bytes }) => bytes)
    const seen = { decoded: 0, refused: 0 }
    for (let index = 0; index < 20_000; index++) {
      const first = next(4) === 0 ? next(256) : chains[next(chains.length)]!.firstPayload
      seen[checkChain(first, mutate(pool, next), `seed ${SEED + 1}, input ${index}`)]++
    }
    expect(seen.decoded).toBeGreaterThan(500)
    expect(seen.refused).toBeGreaterThan(3000)
  })

  it('decode describes whatever comes, with keys and without', () => {
    const next = random(SEED + 2)
    const keys = ring()
    const reassembly = new Reassembly()
    for (let index = 0; index < 6000; index++) {
      const bytes = mutate(messages, next)
      if (bytes.length >= 28) new DataView(bytes.buffer).setUint32(24, bytes.length)
      const line = JSON.stringify(ikeJson(bytes, index % 2 === 0 ? keys : NO_KEYS, reassembly))
      expect(line.startsWith('{')).toBe(true)
    }
  })

  it('inputs kept in the corpus are answered', () => {
    const folder = new URL('corpus/ike/', import.meta.url)
    const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.hex')) : []
    expect(files.length).toBeGreaterThan(0)
    for (const name of files) {
      const text = readFileSync(new URL(name, folder), 'utf8').replace(/#.*$/gm, '').replace(/\s/g, '')
      checkMessage(Uint8Array.from(Buffer.from(text, 'hex')), name)
    }
  })
})

function checkMessage(bytes: Uint8Array, label: string): 'decoded' | 'refused' {
  const message = timed(() => decodeMessage(bytes), label)
  if (isDecodeError(message)) return 'refused'
  const again = decodeMessage(encodeMessage(message))
  if (!same(again, message)) throw new Error(`${label}: decodes differently after encoding`)
  return 'decoded'
}

function checkChain(first: number, bytes: Uint8Array, label: string): 'decoded' | 'refused' {
  const payloads = timed(() => decodePayloads(first, bytes), label)
  if (isDecodeError(payloads)) return 'refused'
  const encoded = encodePayloads(payloads)
  if (!same(decodePayloads(encoded.firstPayload, encoded.bytes), payloads)) {
    throw new Error(`${label}: decodes differently after encoding`)
  }
  return 'decoded'
}

function timed<T>(run: () => T, label: string): T {
  const start = performance.now()
  const result = run()
  const took = performance.now() - start
  if (took > SLOWEST_MS) throw new Error(`${label}: took ${took} ms`)
  return result
}

function same(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right)
}

function ring(): KeyRing {
  const files = VECTORS.map((name) => JSON.parse(Buffer.from(vectorFile(`${name}.keys.json`)).toString()))
  const parsed = parseKeys(JSON.stringify({ ike: files.flatMap(({ ike }) => ike) }))
  if ('faults' in parsed) throw new Error(parsed.faults.join())
  return parsed
}

/** The decrypted insides of the recorded messages that are no fragments. */
function decryptedChains(): { firstPayload: number; bytes: Uint8Array }[] {
  const keys = ring()
  return messages.flatMap((bytes) => {
    const message = decodeMessage(bytes)
    if (isDecodeError(message)) return []
    const sealed: Payload | undefined = message.payloads.at(-1)
    const { initiatorSpi, responderSpi, flags } = message.header
    const found = keys.ike.get(Buffer.concat([initiatorSpi, responderSpi]).toString('hex'))
    if (found === undefined || sealed?.type !== 'SK') return []
    const [key, integKey] = flags.initiator ? [found.skEi, found.skAi] : [found.skEr, found.skAr]
    const plaintext = nodeCrypto.open(found.cipher, key, integKey, associatedData(bytes, sealed), sealed.body)!
    return [{ firstPayload: sealed.firstPayload, bytes: plaintext.subarray(0, -1 - plaintext.at(-1)!) }]
  })
}
