import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { nodeSeal, SeededRandom } from '../test/vectors/aead-node.ts'
import { build, TARGETS } from './build.ts'
import { createStreamAead, type HostAead, type StreamAead, streamAeadOf } from './stream-aead.ts'
import { loadStreamModule } from './stream-aead-node.ts'
import { nodeHostAead } from './stream-host-node.ts'

beforeAll(async () => {
  await build({ modules: ['stream'] })
})

const NONE = new Uint8Array(0)

/** By whom texts are encrypted: never by the host, only by it, by either. */
const HOSTS: Readonly<Record<string, HostAead | undefined>> = {
  'WebAssembly alone': undefined,
  'the host alone': { ...nodeHostAead, sealFrom: 0, openFrom: 0 },
  'WebAssembly, large texts the host': nodeHostAead,
}
const KINDS = TARGETS.flatMap((target) => Object.entries(HOSTS).map(([name, host]) => ({ target, name, host })))

describe.each(KINDS)('the AEAD of sessions, $target build, $name', ({ target, host }) => {
  let instance: WebAssembly.Instance
  let aead: StreamAead
  const memory = () => Buffer.from((instance.exports as { memory: WebAssembly.Memory }).memory.buffer)

  beforeAll(() => {
    instance = new WebAssembly.Instance(loadStreamModule(target))
    aead = streamAeadOf(instance, host)
  })

  test('agrees with node:crypto at every length up to 1,200 bytes, and with it on any cut into parts', () => {
    const random = new SeededRandom('every length')
    const key = bytes(random, 32)
    const [seal, open] = [aead.cipher(key), aead.cipher(key)]
    for (let length = 0; length <= 1200; length++) {
      const text = bytes(random, length)
      const ad = length % 3 === 0 ? undefined : bytes(random, random.below(80))
      const sealed = seal.seal(cut(text, random), ad)
      expect(Buffer.compare(sealed, reference(key, BigInt(length), ad ?? NONE, text))).toBe(0)
      expect(Buffer.compare(open.open(sealed, ad)!, text)).toBe(0)
    }
  })

  test('agrees with node:crypto on messages of any size, with many keys in turn', () => {
    const seed = randomBytes(8).toString('hex')
    const random = new SeededRandom(seed)
    const keys = Array.from({ length: 20 }, () => bytes(random, 32))
    const ciphers = keys.map((key) => ({ key, seal: aead.cipher(key), open: aead.cipher(key), counter: 0n }))
    for (let round = 0; round < 2000; round++) {
      const cipher = ciphers[random.below(ciphers.length)]!
      const text = bytes(random, random.below([40, 1500, 17_000, 65_520][random.below(4)]!))
      const ad = random.below(2) === 0 ? undefined : bytes(random, random.below(513))
      const sealed = cipher.seal.seal(cut(text, random), ad)
      const same = Buffer.compare(sealed, reference(cipher.key, cipher.counter++, ad ?? NONE, text)) === 0
      expect(same, `${seed} ${round}`).toBe(true)
      expect(Buffer.compare(cipher.open.open(sealed, ad)!, text)).toBe(0)
    }
    for (const { seal, open } of ciphers) {
      seal.wipe()
      open.wipe()
    }
  })

  test('refuses every flipped bit of text, tag and additional data, and stays at its counter', () => {
    const key = new Uint8Array(randomBytes(32))
    const [seal, open] = [aead.cipher(key), aead.cipher(key)]
    for (const length of [0, 1, 64, 600]) {
      const ad = new Uint8Array(randomBytes(20))
      const sealed = seal.seal([new Uint8Array(randomBytes(length))], ad)
      for (let bit = 0; bit < sealed.length * 8; bit++) expect(open.open(flipped(sealed, bit), ad)).toBeUndefined()
      for (let bit = 0; bit < ad.length * 8; bit++) expect(open.open(sealed, flipped(ad, bit))).toBeUndefined()
      for (let cutAt = 0; cutAt < sealed.length; cutAt++) {
        expect(open.open(sealed.subarray(0, cutAt), ad)).toBeUndefined()
      }
      expect(open.open(sealed)).toBeUndefined()
      expect(open.open(new Uint8Array(65_536))).toBeUndefined()
      expect(open.open(sealed, ad)).toBeDefined()
    }
  })

  test('nothing of a forged message stays behind as plaintext', () => {
    const key = new Uint8Array(randomBytes(32))
    const [seal, open] = [aead.cipher(key), aead.cipher(key)]
    const text = randomBytes(3000)
    const sealed = seal.seal([new Uint8Array(text)])
    sealed[sealed.length - 1]! ^= 1
    expect(open.open(sealed)).toBeUndefined()
    const inMemory = memory()
    for (let at = 0; at + 100 <= text.length; at += 100) {
      expect(inMemory.includes(text.subarray(at, at + 100))).toBe(false)
    }
  })

  test('a message is opened in its turn only, and once', () => {
    const key = new Uint8Array(randomBytes(32))
    const [seal, open] = [aead.cipher(key), aead.cipher(key)]
    const [first, second] = [seal.seal([Uint8Array.of(1)]), seal.seal([Uint8Array.of(2)])]
    expect(open.open(second)).toBeUndefined()
    expect(open.open(first)).toEqual(Uint8Array.of(1))
    expect(open.open(first)).toBeUndefined()
    expect(open.open(second)).toEqual(Uint8Array.of(2))
  })

  test('REKEY is as Noise section 4.2 says, and the counter goes on', () => {
    const random = new SeededRandom('rekey')
    let key: Uint8Array = bytes(random, 32)
    const [seal, open] = [aead.cipher(key), aead.cipher(key)]
    for (let counter = 0n; counter < 20n; counter++) {
      const text = bytes(random, 100)
      const sealed = seal.seal([text])
      expect(Buffer.compare(sealed, reference(key, counter, NONE, text))).toBe(0)
      expect(open.open(sealed)).toEqual(text)
      key = reference(key, 2n ** 64n - 1n, NONE, new Uint8Array(32)).subarray(0, 32)
      seal.rekey()
      open.rekey()
    }
  })

  test('counts in 64 bits, and stops before the last nonce', () => {
    const key = new Uint8Array(randomBytes(32))
    const cipher = aead.cipher(key)
    const at = memory().indexOf(key) + 36
    const setCounter = (value: bigint) => memory().writeBigUInt64LE(value, at)
    const text = Uint8Array.of(7)
    for (const counter of [2n ** 32n - 1n, 2n ** 53n, 2n ** 64n - 2n]) {
      setCounter(counter)
      expect(Buffer.compare(cipher.seal([text]), reference(key, counter, NONE, text))).toBe(0)
    }
    expect(() => cipher.seal([text])).toThrow(RangeError)
    expect(() => cipher.open(new Uint8Array(20))).toThrow(RangeError)
    expect(memory().readBigUInt64LE(at)).toBe(2n ** 64n - 1n)
    setCounter(2n ** 64n - 2n)
    const sealed = reference(key, 2n ** 64n - 2n, NONE, text)
    expect(cipher.open(sealed)).toEqual(text)
    expect(() => cipher.open(sealed)).toThrow(RangeError)
    cipher.wipe()
  })

  test('a forged large message leaves the counter where it was, and no erased key behind', () => {
    const key = new Uint8Array(randomBytes(32))
    const [seal, open] = [aead.cipher(key), aead.cipher(key)]
    for (let counter = 0n; counter < 4n; counter++) {
      const text = new Uint8Array(randomBytes(60_000))
      const sealed = seal.seal([text])
      expect(Buffer.compare(sealed, reference(key, counter, NONE, text))).toBe(0)
      expect(open.open(flipped(sealed, 8 * 30_000))).toBeUndefined()
      expect(Buffer.compare(open.open(sealed)!, text)).toBe(0)
    }
    seal.wipe()
    open.wipe()
    expect(memory().indexOf(key)).toBe(-1)
    expect(() => seal.seal([new Uint8Array(60_000)])).toThrow('wiped')
    expect(() => open.open(new Uint8Array(60_016))).toThrow('wiped')
  })

  test('wiping leaves no key, no key stream and no text in the memory', () => {
    const own = new WebAssembly.Instance(loadStreamModule(target))
    const before = Buffer.from((own.exports as { memory: WebAssembly.Memory }).memory.buffer.slice(0))
    const key = new Uint8Array(randomBytes(32))
    const cipher = streamAeadOf(own, host).cipher(key)
    const sealed = cipher.seal([new Uint8Array(randomBytes(5000))], new Uint8Array(randomBytes(32)))
    cipher.open(sealed)
    cipher.rekey()
    cipher.seal([new Uint8Array(randomBytes(100))])
    cipher.wipe()
    const after = Buffer.from((own.exports as { memory: WebAssembly.Memory }).memory.buffer)
    const changed = [...before.keys()].filter((at) => before[at] !== after[at])
    // The generation of the one state.
    expect(changed.length).toBe(1)
    expect(after[changed[0]!]).toBe(2)
  })

  test('a wiped cipher throws, also when another has its place, and wiping twice harms nobody', () => {
    const old = aead.cipher(new Uint8Array(randomBytes(32)))
    old.wipe()
    const key = new Uint8Array(randomBytes(32))
    const next = aead.cipher(key)
    old.wipe()
    expect(() => old.seal([NONE])).toThrow('wiped')
    expect(() => old.open(new Uint8Array(16))).toThrow('wiped')
    expect(() => old.rekey()).toThrow('wiped')
    expect(Buffer.compare(next.seal([NONE]), reference(key, 0n, NONE, NONE))).toBe(0)
  })

  test('has room for thousands of states, gives places back, and says when it is full', () => {
    const fresh = streamAeadOf(new WebAssembly.Instance(loadStreamModule(target)), host)
    const ciphers: { key: Uint8Array; cipher: ReturnType<StreamAead['cipher']> }[] = []
    const fill = () => {
      for (;;) {
        const key = new Uint8Array(32).map((_, i) => ciphers.length >> (i * 4))
        ciphers.push({ key, cipher: fresh.cipher(key) })
      }
    }
    expect(fill).toThrow(RangeError)
    const room = ciphers.length
    expect(room).toBeGreaterThan(50_000)
    for (const at of [0, 1, 1000, 40_000, room - 1]) {
      const { key, cipher } = ciphers[at]!
      expect(Buffer.compare(cipher.seal([NONE]), reference(key, 0n, NONE, NONE))).toBe(0)
    }
    for (const { cipher } of ciphers.splice(room - 500)) cipher.wipe()
    expect(fill).toThrow(RangeError)
    expect(ciphers.length).toBe(room)
  })

  test('wrong lengths are programming errors and use no nonce up', () => {
    expect(() => aead.cipher(new Uint8Array(31))).toThrow(RangeError)
    const key = new Uint8Array(randomBytes(32))
    const cipher = aead.cipher(key)
    expect(() => cipher.seal([new Uint8Array(65_000), new Uint8Array(520)])).toThrow(RangeError)
    expect(() => cipher.seal([NONE], new Uint8Array(513))).toThrow(RangeError)
    const longest = new Uint8Array(65_519)
    expect(Buffer.compare(cipher.seal([longest]), reference(key, 0n, NONE, longest))).toBe(0)
  })

  test('needs little memory at the start', () => {
    const fresh = new WebAssembly.Instance(loadStreamModule(target))
    expect((fresh.exports as { memory: WebAssembly.Memory }).memory.buffer.byteLength).toBeLessThan(300_000)
    createStreamAead(loadStreamModule(target), host)
  })
})

/** ChaCha20-Poly1305 with the nonce of Noise section 12.3. */
function reference(key: Uint8Array, counter: bigint, ad: Uint8Array, text: Uint8Array): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64LE(counter, 4)
  return nodeSeal('chacha20-poly1305', key, nonce, ad, text)
}

function bytes(random: SeededRandom, length: number): Uint8Array {
  return new Uint8Array(random.bytes(length))
}

function cut(text: Uint8Array, random: SeededRandom): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0; at < text.length; ) {
    const end = Math.min(text.length, at + random.below(text.length + 1))
    parts.push(text.subarray(at, end))
    at = end
  }
  return parts
}

function flipped(from: Uint8Array, bit: number): Uint8Array {
  const copy = from.slice()
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}
