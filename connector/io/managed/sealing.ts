/** Secrets that the control plane seals for this connector: compact JWE (RFC 7516) by ECDH-ES with X25519 (RFC 8037). */
import { createHash, timingSafeEqual } from 'node:crypto'
import { compactDecrypt, type JWK } from 'jose'
import { toBase64url } from '../../../protocol/control/base64url.ts'
import type { DocumentExternal, ExternalKey } from '../../../protocol/control/external.ts'
import type { OpenedKey } from '../../core/managed/externals.ts'
import { type Enrollment, type Identity, openSealingKey } from '../../store/enrollment.ts'
import { signPayload } from './signatures.ts'

/** RFC 7296 section 2.15 asks for no length; ours are shorter by far. */
const MOST_BYTES = 256
const FINGERPRINT = 'isthmus fingerprint'
const FINGERPRINT_BYTES = 8

export class Unsealer {
  /** JWS of `SealingKey`. */
  readonly published: string
  readonly #key: JWK
  /** What was opened last, by its JWE: documents name the same ones again and again. */
  #opened = new Map<string, OpenedKey>()

  private constructor(key: JWK, published: string) {
    this.#key = key
    this.published = published
  }

  /** The pair of this state directory; made, and on disk, at the first call. Rejects with a StartFailure. */
  static async open(directory: string, enrollment: Enrollment, identity: Identity): Promise<Unsealer> {
    const { network, connector } = enrollment
    const { privateKey, publicKey } = openSealingKey(directory)
    const [x, d] = [toBase64url(publicKey), toBase64url(privateKey)]
    privateKey.fill(0)
    const published = await signPayload(identity, { use: 'isthmus-sealing-key', network, connector, key: x })
    return new Unsealer({ kty: 'OKP', crv: 'X25519', x, d }, published)
  }

  /** The keys of all of them, by `<external>/<key>`; those of earlier calls that are not among them are forgotten. */
  async open(externals: readonly DocumentExternal[]): Promise<ReadonlyMap<string, OpenedKey>> {
    const found = new Map<string, OpenedKey>()
    const kept = new Map<string, OpenedKey>()
    for (const { id, keys } of externals) {
      for (const key of keys) {
        const name = `${id}/${key.id}`
        const cached = `${name} ${key.fingerprint} ${key.secret}`
        const opened = kept.get(cached) ?? this.#opened.get(cached) ?? (await this.#openOne(key, name))
        kept.set(cached, opened)
        found.set(name, opened)
      }
    }
    this.#opened = kept
    return found
  }

  async #openOne({ secret, fingerprint }: ExternalKey, name: string): Promise<OpenedKey> {
    let opened: Awaited<ReturnType<typeof compactDecrypt>>
    try {
      opened = await compactDecrypt(secret, this.#key, {
        keyManagementAlgorithms: ['ECDH-ES'],
        contentEncryptionAlgorithms: ['A256GCM'],
        maxDecompressedLength: 0,
      })
    } catch {
      // What it says of a secret is for nobody to read.
      return { fault: 'cannot be opened with our sealing key' }
    }
    const { plaintext, protectedHeader } = opened
    const psk = new Uint8Array(plaintext)
    plaintext.fill(0)
    const fault = protectedHeader.kid === name ? faultOf(psk, fingerprint) : 'was sealed for another tunnel'
    if (fault === undefined) return { psk }
    psk.fill(0)
    return { fault }
  }
}

function faultOf(psk: Uint8Array, fingerprint: string): string | undefined {
  if (psk.length === 0 || psk.length > MOST_BYTES) return `has not 1 to ${MOST_BYTES} octets`
  if (!isText(psk)) return 'is no text in UTF-8'
  const digest = createHash('sha256').update(FINGERPRINT).update(psk).digest().subarray(0, FINGERPRINT_BYTES)
  return timingSafeEqual(digest, Buffer.from(fingerprint, 'hex')) ? undefined : 'has another fingerprint than it should'
}

function isText(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}
