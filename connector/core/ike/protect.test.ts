import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { FragmentReassembler } from './fragments.ts'
import { deriveIkeKeys } from './keymat.ts'
import { cipherSizes, ikeCipher, parseIkeProposal } from './names.ts'
import {
  type IvSource,
  ivSource,
  maxMessageSize,
  openMessage,
  type SealInput,
  sealKeys,
  sealMessage,
} from './protect.ts'
import type { IkeProposal } from './types.ts'
import { decodeMessage, encodeMessage, isDecodeError } from './wire/codec.ts'
import type { IkeHeader, IkeMessage, Payload } from './wire/types.ts'

const header: IkeHeader = {
  initiatorSpi: new Uint8Array(8).fill(1),
  responderSpi: new Uint8Array(8).fill(2),
  majorVersion: 2,
  minorVersion: 0,
  exchangeType: 35,
  flags: { initiator: true, response: false, version: false },
  messageId: 1,
}
const vendor = (length: number): Payload => ({ type: 'V', data: new Uint8Array(length).map((_, i) => i & 0xff) })
const PAYLOADS: Payload[] = [
  { type: 'IDi', idType: 1, data: Uint8Array.of(10, 0, 0, 1) },
  { type: 'N', protocol: 0, spi: new Uint8Array(0), notify: 16384, data: new Uint8Array(0) },
]

function sealer(text: string) {
  const proposal = parseIkeProposal(text) as IkeProposal
  const cipher = ikeCipher(proposal)
  const all = deriveIkeKeys(nodeCrypto, {
    proposal,
    sharedSecret: new Uint8Array(32).fill(3),
    initiatorNonce: new Uint8Array(32).fill(4),
    responderNonce: new Uint8Array(32).fill(5),
    initiatorSpi: header.initiatorSpi,
    responderSpi: header.responderSpi,
  })
  const keys = sealKeys(all, 'initiator')
  const ivs = ivSource(nodeCrypto, cipher, keys)
  const seal = (payloads: readonly Payload[], more: Partial<SealInput> = {}) =>
    sealMessage(nodeCrypto, { cipher, keys, ivs, header, payloads, maxSize: Number.POSITIVE_INFINITY, ...more })
  const open = (bytes: Uint8Array, fragments?: FragmentReassembler) =>
    openMessage(nodeCrypto, { cipher, keys, bytes, message: decoded(bytes), fragments })
  return { cipher, all, keys, ivs, seal, open }
}

describe.each([
  'aes128gcm16-prfsha256-x25519',
  'aes256gcm16-prfsha384-x25519',
  'chacha20poly1305-prfsha256-x25519',
  'aes256-sha256-prfsha256-x25519',
  'aes128-sha512-prfsha512-x25519',
])('%s', (text) => {
  const { all, cipher, seal, open } = sealer(text)

  test('seals and opens, also nothing at all', () => {
    expect(open(seal(PAYLOADS)[0]!)).toEqual({ type: 'opened', payloads: PAYLOADS })
    expect(open(seal([])[0]!)).toEqual({ type: 'opened', payloads: [] })
  })

  test('contents of every length', () => {
    for (let length = 0; length < 40; length++) {
      const [bytes] = seal([vendor(length)])
      expect(open(bytes!)).toEqual({ type: 'opened', payloads: [vendor(length)] })
    }
  })

  test('every flipped bit fails, or is no message any more', () => {
    const [bytes] = seal(PAYLOADS)
    for (let bit = 0; bit < bytes!.length * 8; bit++) {
      const bad = bytes!.slice()
      bad[bit >> 3]! ^= 1 << (bit & 7)
      const message = decodeMessage(bad)
      if (!isDecodeError(message)) expect(open(bad)).toMatchObject({ type: 'failed' })
    }
  })

  test('the keys of the other direction do not open it', () => {
    const [bytes] = seal(PAYLOADS)
    const keys = sealKeys(all, 'responder')
    const result = openMessage(nodeCrypto, {
      cipher,
      keys,
      bytes: bytes!,
      message: decoded(bytes!),
      fragments: undefined,
    })
    expect(result).toEqual({ type: 'failed', failure: 'integrity-failed' })
  })

  test('fragments fit, fill the room and come together in any order', () => {
    const payloads = [vendor(1000), vendor(3000)]
    for (const maxSize of [256, 544, 1232, 1248]) {
      const parts = seal(payloads, { maxSize })
      expect(parts.length).toBeGreaterThan(1)
      for (const part of parts) expect(part.length).toBeLessThanOrEqual(maxSize)
      expect(parts[0]!.length).toBeGreaterThan(maxSize - cipherSizes(cipher).block)
      const fragments = new FragmentReassembler()
      const results = parts.reverse().map((part) => open(part, fragments))
      expect(results.slice(0, -1).every((result) => result.type === 'fragment')).toBe(true)
      expect(results.at(-1)).toEqual({ type: 'opened', payloads })
    }
  })

  test('a message that just fits is not cut, one byte more is', () => {
    const { length } = seal([vendor(600)])[0]!
    expect(seal([vendor(600)], { maxSize: length })).toHaveLength(1)
    expect(seal([vendor(600)], { maxSize: length - 1 })).toHaveLength(2)
  })
})

describe('initialization vectors', () => {
  test.each(['aes128gcm16-x25519', 'aes256-sha256-x25519'])('never repeat: %s', (text) => {
    const { ivs, cipher } = sealer(text)
    const seen = new Set(Array.from({ length: 1000 }, () => hex(ivs.next())))
    expect(seen.size).toBe(1000)
    for (const iv of seen) expect(iv.length).toBe(2 * cipherSizes(cipher).iv)
  })

  test('of an AEAD count up from zero', () => {
    const { ivs } = sealer('aes128gcm16-x25519')
    expect([ivs.next(), ivs.next()].map(hex)).toEqual(['0000000000000000', '0000000000000001'])
  })

  test('each fragment takes one of its own', () => {
    const { seal, ivs } = sealer('aes128gcm16-x25519')
    let taken = 0
    const counting: IvSource = {
      next: () => {
        taken++
        return ivs.next()
      },
    }
    const parts = seal([vendor(2000)], { maxSize: 600, ivs: counting })
    expect(taken).toBe(parts.length)
    const seen = parts.map((part) => hex(part.subarray(36, 44)))
    expect(new Set(seen).size).toBe(parts.length)
  })
})

describe('what does not open', () => {
  const { seal, open, keys, cipher } = sealer('aes128gcm16-x25519')

  test('a message without an SK payload', () => {
    expect(open(encodeMessage({ header, payloads: PAYLOADS }))).toEqual({ type: 'failed', failure: 'not-encrypted' })
    expect(open(encodeMessage({ header, payloads: [] }))).toEqual({ type: 'failed', failure: 'not-encrypted' })
  })

  test('an authentic message with a critical payload that nobody knows', () => {
    const unknown: Payload = { type: 'UNKNOWN', payloadType: 99, critical: true, body: Uint8Array.of(1) }
    const [bytes] = seal([...PAYLOADS, unknown])
    expect(open(bytes!)).toEqual({ type: 'failed', failure: 'unsupported-critical', payloadType: 99 })
    const tolerated = { ...unknown, critical: false }
    expect(open(seal([tolerated])[0]!)).toEqual({ type: 'opened', payloads: [tolerated] })
  })

  test('an authentic chain that is none', () => {
    const result = open(sealRaw(35, Uint8Array.of(0, 0, 0, 200, 0)))
    expect(result).toMatchObject({ type: 'failed', failure: 'malformed' })
  })

  test('authentic padding longer than the payload, or no pad length at all', () => {
    expect(open(sealRaw(0, Uint8Array.of(1)))).toMatchObject({ failure: 'malformed' })
    expect(open(sealRaw(0, Uint8Array.of(9, 9, 255)))).toMatchObject({ failure: 'malformed' })
    expect(open(sealRaw(0, new Uint8Array(0)))).toMatchObject({ failure: 'malformed' })
    expect(open(sealRaw(0, Uint8Array.of(7, 7, 2)))).toEqual({ type: 'opened', payloads: [] })
  })

  test('fragments where none were agreed on, or too many', () => {
    const parts = seal([vendor(2000)], { maxSize: 600 })
    expect(open(parts[0]!)).toEqual({ type: 'failed', failure: 'fragment-refused' })
    const small = new FragmentReassembler({ maxFragments: 2, maxBytes: 4000 })
    expect(open(parts[0]!, small)).toEqual({ type: 'failed', failure: 'fragment-refused' })
  })

  test('a forged fragment leaves the collection alone', () => {
    const parts = seal([vendor(1000)], { maxSize: 600 })
    const fragments = new FragmentReassembler()
    const forged = parts[1]!.slice()
    forged[forged.length - 1]! ^= 1
    expect(open(forged, fragments)).toEqual({ type: 'failed', failure: 'integrity-failed' })
    expect(parts.map((part) => open(part, fragments).type)).toEqual(['fragment', 'opened'])
    expect(open(parts[0]!, fragments)).toEqual({ type: 'fragment' })
  })

  test('any bytes in an SK payload give a result', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.uint8Array({ maxLength: 100 }), (firstPayload, body) => {
        const bytes = encodeMessage({ header, payloads: [{ type: 'SK', firstPayload, body }] })
        expect(open(bytes)).toEqual({ type: 'failed', failure: 'integrity-failed' })
      }),
    )
  })

  test('any authentic bytes give a result', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.uint8Array({ maxLength: 100 }), (firstPayload, padded) => {
        expect(['opened', 'failed']).toContain(open(sealRaw(firstPayload, padded)).type)
      }),
    )
  })

  /** An authentic SK message over a plaintext of our choosing. */
  function sealRaw(firstPayload: number, padded: Uint8Array): Uint8Array {
    const iv = new Uint8Array(8).fill(0xee)
    const body = new Uint8Array(8 + padded.length + 16)
    const bytes = encodeMessage({ header, payloads: [{ type: 'SK', firstPayload, body }] })
    const aad = bytes.subarray(0, bytes.length - body.length)
    bytes.set(nodeCrypto.seal(cipher, keys.skE, keys.skA, iv, aad, padded), aad.length)
    return bytes
  }
})

test('room for a message in a datagram', () => {
  expect(maxMessageSize(1280, 4, true)).toBe(1280 - 20 - 8 - 4)
  expect(maxMessageSize(1280, 6, false)).toBe(1280 - 40 - 8)
  expect(maxMessageSize(0, 4, true)).toBe(Number.POSITIVE_INFINITY)
  expect(maxMessageSize(100, 4, false)).toBe(576 - 28)
})

test('fragments too small to be of use are a programming error', () => {
  expect(() => sealer('aes128gcm16-x25519').seal([vendor(600)], { maxSize: 255 })).toThrow(RangeError)
})

function decoded(bytes: Uint8Array): IkeMessage {
  const message = decodeMessage(bytes)
  if (isDecodeError(message)) throw new Error(message.reason)
  return message
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
