import { describe, expect, it } from 'vitest'
import type { AeadSuite } from '../packet-engine.ts'
import { ipv4, pattern, udp } from '../testing/packets.ts'
import { aeadOpen, aeadSeal, keyLength } from './aead.ts'
import { concat, equalBytes, setU32 } from './bytes.ts'
import { type EspKeys, innerCapacity, NEXT_IPV4, openEsp, sealEsp, spiOf, splitTrailer, wireSequence } from './esp.ts'
import { isFault, parseIp } from './ip.ts'

const SUITES: AeadSuite[] = ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305']

function keysOf(suite: AeadSuite, esn = false): EspKeys {
  return { suite, esn, spi: 0x01020304, key: pattern(keyLength(suite)), salt: Uint8Array.of(9, 8, 7, 6) }
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.replaceAll(/\s/g, '').match(/../g)!, (pair) => Number.parseInt(pair, 16))
}

describe('published packets', () => {
  it('opens the ESP example of RFC 7634 appendix A', () => {
    const keys: EspKeys = {
      suite: 'chacha20-poly1305',
      esn: false,
      spi: 0x01020304,
      key: Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i),
      salt: hex('a0a1a2a3'),
    }
    const packet = hex(`01020304 00000005 1011121314151617
      24039428b97f417e3c13753a4f05087b 67c352e6a7fab1b982d466ef407ae5c6
      14ee8099d52844eb61aa95dfab4c02f7 2aa71e7c4c4f64c9befe2facc638e8f3
      cbec163fac469b502773f6fb94e664da 9165b82829f641e0
      76aaa8266b7fb0f7b11b369907e1ad43`)
    const opened = splitTrailer(openEsp(keys, 5n, packet)!)!
    expect(opened.nextHeader).toBe(NEXT_IPV4)
    const inner = parseIp(opened.payload)
    expect(isFault(inner)).toBe(false)
    expect(opened.payload.length).toBe(84)
    expect(opened.payload.subarray(12, 20)).toEqual(hex('c6336405c0000205'))
  })

  it('agrees with NIST GCM test case 4, AES-128 with additional data', () => {
    const sealed = aeadSeal(
      'aes-128-gcm',
      hex('feffe9928665731c6d6a8f9467308308'),
      hex('cafebabefacedbaddecaf888'),
      hex('feedfacedeadbeeffeedfacedeadbeefabaddad2'),
      hex(`d9313225f88406e5a55909c5aff5269a 86a7a9531534f7da2e4c303d8a318a72
        1c3c0c95956809532fcf0e2449a6b525 b16aedf5aa0de657ba637b39`),
    )
    expect(sealed).toEqual(
      hex(`42831ec2217774244b7221b784d0d49c e3aa212f2c02a4e035c17e2329aca12e
        21d514b25466931c7d8f6a5aac84aa05 1ba30b396a0aac973d58e091
        5bc94fbc3221a5db94fae95ae7121a47`),
    )
  })
})

describe.each(SUITES)('%s', (suite) => {
  it('opens what it sealed, at every length around the alignment', () => {
    for (const size of [0, 1, 2, 3, 4, 63, 64, 65, 1400, 9000 - 28]) {
      const inner = ipv4(udp(size))
      const sealed = sealEsp(keysOf(suite), 7n, NEXT_IPV4, inner)
      expect(sealed.length % 4).toBe(0)
      expect(splitTrailer(openEsp(keysOf(suite), 7n, sealed)!)).toEqual({ nextHeader: NEXT_IPV4, payload: inner })
    }
  })

  it('lays SPI, sequence number and IV out in the clear', () => {
    const sealed = sealEsp(keysOf(suite, true), 0x5_8000_0001n, NEXT_IPV4, ipv4(udp(4)))
    expect(spiOf(sealed)).toBe(0x01020304)
    expect(wireSequence(sealed)).toBe(0x8000_0001)
    expect(sealed.subarray(8, 16)).toEqual(Uint8Array.of(0, 0, 0, 5, 0x80, 0, 0, 1))
  })

  it('authenticates the high half of the sequence number under ESN only', () => {
    const inner = ipv4(udp(4))
    expect(openEsp(keysOf(suite, true), 2n, sealEsp(keysOf(suite, true), 2n, NEXT_IPV4, inner))).toBeDefined()
    const wide = sealEsp(keysOf(suite, true), 0x1_0000_0002n, NEXT_IPV4, inner)
    expect(openEsp(keysOf(suite, true), 2n, wide)).toBeUndefined()
    const narrow = sealEsp(keysOf(suite), 2n, NEXT_IPV4, inner)
    expect(openEsp(keysOf(suite, true), 2n, narrow)).toBeUndefined()
  })

  it('refuses every flipped bit', () => {
    const sealed = sealEsp(keysOf(suite), 7n, NEXT_IPV4, ipv4(udp(5)))
    for (let bit = 64; bit < sealed.length * 8; bit++) {
      const bent = sealed.slice()
      bent[bit >> 3]! ^= 1 << (bit & 7)
      expect(openEsp(keysOf(suite), 7n, bent)).toBeUndefined()
    }
    expect(openEsp(keysOf(suite), 8n, sealed.with(7, 8))).toBeUndefined()
    expect(openEsp({ ...keysOf(suite), spi: 0x01020305 }, 7n, sealed)).toBeUndefined()
  })

  it('has no plaintext for less than a tag', () => {
    const keys = keysOf(suite)
    expect(aeadOpen(suite, keys.key, new Uint8Array(12), new Uint8Array(0), new Uint8Array(15))).toBeUndefined()
  })
})

describe('the trailer', () => {
  it('pads with 1, 2, 3 to 4 bytes', () => {
    for (const [length, pad] of [
      [0, [1, 2]],
      [1, [1]],
      [2, []],
      [3, [1, 2, 3]],
    ] as const) {
      const keys = keysOf('aes-128-gcm')
      const text = openEsp(keys, 1n, sealEsp(keys, 1n, 59, pattern(length)))!
      expect([...text.subarray(length)]).toEqual([...pad, pad.length, 59])
    }
  })

  it('is refused where pad bytes or pad length lie', () => {
    expect(splitTrailer(Uint8Array.of(1, 2, 2, 4))).toEqual({ nextHeader: 4, payload: new Uint8Array(0) })
    expect(splitTrailer(Uint8Array.of(1, 3, 2, 4))).toBeUndefined()
    expect(splitTrailer(Uint8Array.of(0, 0, 2, 4))).toBeUndefined()
    expect(splitTrailer(Uint8Array.of(1, 2, 3, 4))).toBeUndefined()
    expect(splitTrailer(Uint8Array.of(0, 59))).toEqual({ nextHeader: 59, payload: new Uint8Array(0) })
  })

  it('may be as long as 255 bytes', () => {
    const pad = Uint8Array.from({ length: 255 }, (_, i) => i + 1)
    expect(splitTrailer(concat(Uint8Array.of(7, 7), pad, Uint8Array.of(255, 4)))!.payload.length).toBe(2)
  })
})

describe('capacity', () => {
  it('is the largest inner packet that fills no more', () => {
    for (let room = 500; room < 520; room++) {
      const inner = innerCapacity(room)
      const keys = keysOf('chacha20-poly1305')
      expect(sealEsp(keys, 1n, NEXT_IPV4, new Uint8Array(inner)).length).toBeLessThanOrEqual(room)
      expect(sealEsp(keys, 1n, NEXT_IPV4, new Uint8Array(inner + 1)).length).toBeGreaterThan(room)
    }
  })
})

it('nonces are never those of another sequence number', () => {
  const keys = keysOf('aes-256-gcm')
  const one = sealEsp(keys, 1n, NEXT_IPV4, new Uint8Array(64))
  const two = sealEsp(keys, 2n, NEXT_IPV4, new Uint8Array(64))
  setU32(two, 4, 1)
  expect(equalBytes(one.subarray(16), two.subarray(16))).toBe(false)
})
