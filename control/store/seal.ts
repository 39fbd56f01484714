/**
 * Secrets at rest: each is encrypted with AES-256-GCM under a data key of its own, and the data key is wrapped
 * (AES Key Wrap, RFC 3394) by a key-encryption key from the platform's secret store. A data key encrypts one message,
 * so the nonce may be fixed, and key wrap has none: no nonce can come twice. To rotate the key-encryption key, only
 * the data keys are wrapped anew.
 *
 *     isthmus-sealed-1.<id of the key-encryption key>.<wrapped data key>.<ciphertext and tag>
 */
import { fromBase64url, toBase64url } from '../../protocol/control/base64url.ts'
import { utf8 } from '../domain/bytes.ts'
import { StoreFailure } from './failure.ts'
import type { Change, Repo } from './repo.ts'

/** What a sealed secret belongs to: nowhere else can it be opened. */
export interface SealContext {
  readonly network: string
  readonly kind: string
  readonly id: string
}

export interface Sealer {
  /** `secret` stays the caller's. */
  seal(context: SealContext, secret: Uint8Array): Promise<string>
  /** Throws StoreFailure `sealed` when it was altered, belongs elsewhere, or its key is not known. */
  open(context: SealContext, sealed: string): Promise<Uint8Array<ArrayBuffer>>
  /** Whether the current key-encryption key wraps it. */
  isCurrent(sealed: string): boolean
  /** The same secret under the current key-encryption key. Throws like `open`. */
  rewrap(sealed: string): Promise<string>
}

export interface Keyring {
  /** 32 bytes each, by id. */
  readonly keys: ReadonlyMap<string, Uint8Array>
  readonly current: string
}

const FORMAT = 'isthmus-sealed-1'
const KEY_ID = /^[a-z0-9-]{1,32}$/
const KEY_BYTES = 32
const ONLY_NONCE = new Uint8Array(12)
const PAGE = 500

/**
 * Reads `<id>:<32 bytes in base64url>`, several of them divided by spaces or commas; the first is the current one.
 * Throws StoreFailure `sealed`, which does not quote the text.
 */
export function readKeyring(text: string): Keyring {
  const keys = new Map<string, Uint8Array>()
  for (const entry of text.split(/[\s,]+/).filter((part) => part !== '')) {
    const [id = '', encoded = ''] = entry.split(':')
    const key = fromBase64url(encoded)
    const sound = KEY_ID.test(id) && key?.length === KEY_BYTES && !keys.has(id) && entry.split(':').length === 2
    if (!sound) throw keyringFailure(`entry ${keys.size + 1} of the key-encryption keys is none`)
    keys.set(id, key)
  }
  const [current] = keys.keys()
  if (current === undefined) throw keyringFailure('there is no key-encryption key')
  return { keys, current }
}

/** `random`: that many bytes, fit for keys. */
export async function createSealer(keyring: Keyring, random: (length: number) => Uint8Array): Promise<Sealer> {
  const keys = new Map<string, CryptoKey>()
  for (const [id, bytes] of keyring.keys) {
    keys.set(id, await crypto.subtle.importKey('raw', own(bytes), 'AES-KW', false, ['wrapKey', 'unwrapKey']))
  }
  const current = keys.get(keyring.current)
  if (current === undefined) throw keyringFailure(`the current key-encryption key ${keyring.current} is not there`)
  return new SubtleSealer(keys, keyring.current, current, random)
}

/**
 * What must change in a network so that the current key-encryption key wraps all its secrets, in pieces to be
 * committed one by one. Whoever meets a Conflict starts over; what is done already does not come again.
 */
export async function* rewrapChanges(repo: Repo, sealer: Sealer, network: string): AsyncGenerator<Change[]> {
  const own = await repo.get(network, 'network', network)
  if (own !== undefined) {
    const names = (['sealedEvidenceKey', 'sealedFunctionKey'] as const).filter((name) => {
      const sealed = own.value[name]
      return sealed !== undefined && !sealer.isCurrent(sealed)
    })
    const fresh = await Promise.all(names.map(async (name) => [name, await sealer.rewrap(own.value[name]!)] as const))
    const value = { ...own.value, ...Object.fromEntries(fresh) }
    if (fresh.length > 0) yield [{ type: 'put', kind: 'network', value, revision: own.revision }]
  }
  for (let after = ''; ; ) {
    const page = await repo.list(network, 'secret', { after, limit: PAGE })
    const changes: Change[] = []
    for (const { value, revision } of page) {
      after = value.id
      if (sealer.isCurrent(value.sealed)) continue
      const sealed = await sealer.rewrap(value.sealed)
      changes.push({ type: 'put', kind: 'secret', value: { ...value, sealed }, revision })
    }
    if (changes.length > 0) yield changes
    if (page.length < PAGE) return
  }
}

class SubtleSealer implements Sealer {
  readonly #keys: ReadonlyMap<string, CryptoKey>
  readonly #currentId: string
  readonly #current: CryptoKey
  readonly #random: (length: number) => Uint8Array

  constructor(
    keys: ReadonlyMap<string, CryptoKey>,
    currentId: string,
    current: CryptoKey,
    random: (length: number) => Uint8Array,
  ) {
    this.#keys = keys
    this.#currentId = currentId
    this.#current = current
    this.#random = random
  }

  async seal(context: SealContext, secret: Uint8Array): Promise<string> {
    const key = await crypto.subtle.importKey('raw', own(this.#random(KEY_BYTES)), 'AES-GCM', true, ['encrypt'])
    const cipher = await crypto.subtle.encrypt(gcm(context), key, own(secret))
    return this.#wrapped(key, toBase64url(new Uint8Array(cipher)))
  }

  async open(context: SealContext, sealed: string): Promise<Uint8Array<ArrayBuffer>> {
    const { key, cipher } = await this.#unwrap(sealed)
    const bytes = fromBase64url(cipher)
    if (bytes === undefined) throw sealFailure('A secret in the store is not in the form of one')
    try {
      return new Uint8Array(await crypto.subtle.decrypt(gcm(context), key, own(bytes)))
    } catch {
      throw sealFailure(`The secret of ${context.kind} ${context.id} was altered, or belongs to something else`)
    }
  }

  isCurrent(sealed: string): boolean {
    return sealed.split('.')[1] === this.#currentId
  }

  async rewrap(sealed: string): Promise<string> {
    const { key, cipher } = await this.#unwrap(sealed)
    return this.#wrapped(key, cipher)
  }

  async #wrapped(key: CryptoKey, cipher: string): Promise<string> {
    const wrapped = await crypto.subtle.wrapKey('raw', key, this.#current, 'AES-KW')
    return [FORMAT, this.#currentId, toBase64url(new Uint8Array(wrapped)), cipher].join('.')
  }

  async #unwrap(sealed: string): Promise<{ readonly key: CryptoKey; readonly cipher: string }> {
    const [format, id = '', encoded = '', cipher = '', ...more] = sealed.split('.')
    const wrapped = fromBase64url(encoded)
    if (format !== FORMAT || wrapped === undefined || more.length > 0) {
      throw sealFailure('A secret in the store is not in the form of one')
    }
    const wrapping = this.#keys.get(id)
    if (wrapping === undefined) {
      throw new StoreFailure(
        'sealed',
        `A secret in the store is under the key-encryption key ${JSON.stringify(id.slice(0, 32))}, which is not known.`,
        'Give that key too, behind the current one, until all secrets have been wrapped anew.',
      )
    }
    try {
      const data = own(wrapped)
      const key = await crypto.subtle.unwrapKey('raw', data, wrapping, 'AES-KW', 'AES-GCM', true, [
        'encrypt',
        'decrypt',
      ])
      return { key, cipher }
    } catch {
      throw sealFailure(`A secret in the store cannot be opened by the key-encryption key ${id}`)
    }
  }
}

function gcm({ network, kind, id }: SealContext) {
  const additionalData = own(utf8(JSON.stringify([FORMAT, network, kind, id])))
  return { name: 'AES-GCM', iv: ONLY_NONCE, additionalData }
}

/** The same bytes, for WebCrypto's types: over a buffer that nobody shares. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes)
}

function sealFailure(cause: string): StoreFailure {
  return new StoreFailure('sealed', `${cause}.`, 'Check the key-encryption keys, or restore the last backup.')
}

function keyringFailure(cause: string): StoreFailure {
  return new StoreFailure(
    'sealed',
    `The secrets cannot be opened: ${cause}.`,
    'Give <id>:<32 bytes in base64url>, the current one first.',
  )
}
