/**
 * Handshakes of the Noise Protocol Framework, revision 34 (https://noiseprotocol.org/noise.html): patterns IK (section
 * 7.5) and NNpsk0 (section 9.4) with 25519, ChaChaPoly and SHA256. Names are the specification's.
 */
import type { StreamCipher, StreamCrypto, StreamKeyPair } from './stream-crypto.ts'

/** Bytes of DH keys, hashes and tags. */
export const DHLEN = 32
const HASHLEN = 32
export const TAGLEN = 16
/** Bytes of a Noise message at the most (section 3). */
export const MAX_NOISE_MESSAGE = 65_535

type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss' | 'psk'

interface Pattern {
  readonly name: string
  /** Whether the responder's static key is known before, and mixed in. */
  readonly knownResponder: boolean
  /** The initiator's message first, then the responder's. */
  readonly messages: readonly (readonly Token[])[]
}

const PATTERNS = {
  IK: {
    name: 'Noise_IK_25519_ChaChaPoly_SHA256',
    knownResponder: true,
    messages: [
      ['e', 'es', 's', 'ss'],
      ['e', 'ee', 'se'],
    ],
  },
  NNpsk0: {
    name: 'Noise_NNpsk0_25519_ChaChaPoly_SHA256',
    knownResponder: false,
    messages: [
      ['psk', 'e'],
      ['e', 'ee'],
    ],
  },
} as const satisfies Record<string, Pattern>

export type NoisePattern = keyof typeof PATTERNS

/** Bytes that a message has beyond its payload: of the initiator's, of the responder's. */
export const NOISE_OVERHEAD: Readonly<Record<NoisePattern, readonly [number, number]>> = {
  IK: [DHLEN + DHLEN + TAGLEN + TAGLEN, DHLEN + TAGLEN],
  NNpsk0: [DHLEN + TAGLEN, DHLEN + TAGLEN],
}

export interface NoiseOptions {
  readonly crypto: StreamCrypto
  readonly pattern: NoisePattern
  readonly initiator: boolean
  readonly prologue: Uint8Array
  /** IK: our own. Borrowed until the handshake is wiped. */
  readonly staticKeys?: StreamKeyPair
  /** IK, initiator: the responder's. */
  readonly remoteStatic?: Uint8Array
  /** NNpsk0: 32 bytes, borrowed until the first message is written or read. */
  readonly psk?: Uint8Array
}

/** The keys of both directions. */
export interface NoiseTransport {
  readonly send: StreamCipher
  readonly receive: StreamCipher
}

/**
 * A HandshakeState (section 5.3). Messages take turns, the initiator's first, two in all. After a message that cannot
 * be read or written the handshake is over and its keys are gone.
 */
export class NoiseHandshake {
  readonly #crypto: StreamCrypto
  readonly #pattern: Pattern
  readonly #options: NoiseOptions
  readonly #symmetric: SymmetricState
  #step = 0
  #ephemeral: StreamKeyPair | undefined
  #remoteStatic: Uint8Array | undefined
  #remoteEphemeral: Uint8Array | undefined

  /** Throws TypeError where the pattern needs a key that is not there. */
  constructor(options: NoiseOptions) {
    this.#options = options
    this.#crypto = options.crypto
    this.#pattern = PATTERNS[options.pattern]
    this.#remoteStatic = options.remoteStatic
    const responder = options.initiator ? options.remoteStatic : options.staticKeys?.publicKey
    if (this.#pattern.knownResponder ? !options.staticKeys || !responder : !options.psk) {
      throw new TypeError(`${this.#pattern.name}: a key is missing`)
    }
    this.#symmetric = new SymmetricState(options.crypto, this.#pattern.name)
    this.#symmetric.mixHash(options.prologue)
    if (this.#pattern.knownResponder) this.#symmetric.mixHash(responder!)
  }

  /** The initiator's static key, once its message was read; 32 bytes. */
  get remoteStatic(): Uint8Array | undefined {
    return this.#remoteStatic
  }

  get remoteEphemeral(): Uint8Array | undefined {
    return this.#remoteEphemeral
  }

  /** h, fresh: after both messages the handshake hash, to bind to (section 11.2). */
  get hash(): Uint8Array {
    return this.#symmetric.h.slice()
  }

  /** Both messages are done: `split` may be called. */
  get complete(): boolean {
    return this.#step === this.#pattern.messages.length
  }

  /** Our next message, fresh, around the payload, which is the parts joined. Undefined where a DH result is zero. */
  write(payload: readonly Uint8Array[]): Uint8Array | undefined {
    const out: Uint8Array[] = []
    for (const token of this.#turn(true)) {
      if (token === 'e') {
        this.#ephemeral = this.#crypto.generateKeyPair()
        out.push(this.#ephemeral.publicKey)
        this.#mixEphemeral(this.#ephemeral.publicKey)
      } else if (token === 's') {
        out.push(this.#symmetric.encryptAndHash([this.#options.staticKeys!.publicKey]))
      } else if (!this.#mix(token)) return this.#fail()
    }
    out.push(this.#symmetric.encryptAndHash(payload))
    this.#step++
    return concatenate(out)
  }

  /** The payload of the peer's next message, fresh, or undefined where it is not what it must be. */
  read(message: Uint8Array): Uint8Array | undefined {
    let at = 0
    for (const token of this.#turn(false)) {
      const length = token === 'e' ? DHLEN : token === 's' ? DHLEN + TAGLEN : 0
      if (message.length < at + length || message.length > MAX_NOISE_MESSAGE) return this.#fail()
      const part = message.subarray(at, at + length)
      at += length
      if (token === 'e') {
        this.#remoteEphemeral = part.slice()
        this.#mixEphemeral(this.#remoteEphemeral)
      } else if (token === 's') {
        this.#remoteStatic = this.#symmetric.decryptAndHash(part)
        if (this.#remoteStatic === undefined) return this.#fail()
      } else if (!this.#mix(token)) return this.#fail()
    }
    const payload = this.#symmetric.decryptAndHash(message.subarray(at))
    if (payload === undefined) return this.#fail()
    this.#step++
    return payload
  }

  /** Split (section 5.2): the owner wipes the ciphers. */
  split(): NoiseTransport {
    if (!this.complete) throw new Error('the handshake is not complete')
    const [first, second] = this.#symmetric.split()
    return this.#options.initiator ? { send: first, receive: second } : { send: second, receive: first }
  }

  /** First output of HKDF (section 4.3) of the chaining key and `input`: 32 bytes, the caller wipes them. */
  derive(input: Uint8Array): Uint8Array {
    if (!this.complete) throw new Error('the handshake is not complete')
    return this.#symmetric.derive(input)
  }

  /** Erases what is secret. Ciphers from `split` stay. */
  wipe(): void {
    this.#symmetric.wipe()
    this.#ephemeral?.privateKey.fill(0)
    this.#ephemeral = undefined
  }

  #turn(writing: boolean): readonly Token[] {
    const tokens = this.#pattern.messages[this.#step]
    if (tokens === undefined || writing !== ((this.#step === 0) === this.#options.initiator)) {
      throw new Error('not the turn for this message')
    }
    return tokens
  }

  /** With a psk the ephemeral key is mixed into the key too (section 9.2). */
  #mixEphemeral(publicKey: Uint8Array): void {
    this.#symmetric.mixHash(publicKey)
    if (this.#options.psk !== undefined) this.#symmetric.mixKey(publicKey)
  }

  #mix(token: 'ee' | 'es' | 'se' | 'ss' | 'psk'): boolean {
    if (token === 'psk') {
      this.#symmetric.mixKeyAndHash(this.#options.psk!)
      return true
    }
    // The first letter is the initiator's key.
    const [ours, theirs] = this.#options.initiator ? token : [token[1], token[0]]
    const own = ours === 'e' ? this.#ephemeral! : this.#options.staticKeys!
    const secret = this.#crypto.dh(own.privateKey, theirs === 'e' ? this.#remoteEphemeral! : this.#remoteStatic!)
    if (secret === undefined) return false
    this.#symmetric.mixKey(secret)
    secret.fill(0)
    return true
  }

  #fail(): undefined {
    this.#step = Number.POSITIVE_INFINITY
    this.wipe()
  }
}

/** Section 5.2. In both patterns there is a key before anything is encrypted. */
class SymmetricState {
  readonly #crypto: StreamCrypto
  h: Uint8Array
  #ck: Uint8Array
  #cipher: StreamCipher | undefined

  constructor(crypto: StreamCrypto, protocolName: string) {
    this.#crypto = crypto
    const name = new TextEncoder().encode(protocolName)
    this.h = new Uint8Array(HASHLEN)
    if (name.length <= HASHLEN) this.h.set(name)
    else this.h = crypto.hash(name)
    this.#ck = this.h.slice()
  }

  mixKey(input: Uint8Array): void {
    const [ck, key] = this.#hkdf(input, 2)
    this.#setChainingKey(ck!)
    this.#setKey(key!)
  }

  mixHash(data: Uint8Array): void {
    this.h = this.#crypto.hash(this.h, data)
  }

  mixKeyAndHash(input: Uint8Array): void {
    const [ck, hash, key] = this.#hkdf(input, 3)
    this.#setChainingKey(ck!)
    this.mixHash(hash!)
    hash!.fill(0)
    this.#setKey(key!)
  }

  encryptAndHash(parts: readonly Uint8Array[]): Uint8Array {
    const ciphertext = this.#cipher!.seal(parts, this.h)
    this.mixHash(ciphertext)
    return ciphertext
  }

  decryptAndHash(ciphertext: Uint8Array): Uint8Array | undefined {
    const plaintext = this.#cipher!.open(ciphertext, this.h)
    if (plaintext !== undefined) this.mixHash(ciphertext)
    return plaintext
  }

  split(): [StreamCipher, StreamCipher] {
    const [first, second] = this.#hkdf(new Uint8Array(0), 2)
    const ciphers: [StreamCipher, StreamCipher] = [this.#crypto.cipher(first!), this.#crypto.cipher(second!)]
    first!.fill(0)
    second!.fill(0)
    return ciphers
  }

  derive(input: Uint8Array): Uint8Array {
    return this.#hkdf(input, 1)[0]!
  }

  wipe(): void {
    this.#ck.fill(0)
    this.#cipher?.wipe()
    this.#cipher = undefined
  }

  #setChainingKey(ck: Uint8Array): void {
    this.#ck.fill(0)
    this.#ck = ck
  }

  #setKey(key: Uint8Array): void {
    this.#cipher?.wipe()
    this.#cipher = this.#crypto.cipher(key)
    key.fill(0)
  }

  /** HKDF (section 4.3) under the chaining key: as many outputs as are asked for. */
  #hkdf(input: Uint8Array, count: number): Uint8Array[] {
    const temporary = this.#crypto.hmac(this.#ck, input)
    const outputs: Uint8Array[] = []
    for (let i = 1; i <= count; i++) {
      outputs.push(this.#crypto.hmac(temporary, outputs.at(-1) ?? new Uint8Array(0), Uint8Array.of(i)))
    }
    temporary.fill(0)
    return outputs
  }
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}
