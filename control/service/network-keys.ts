/** Ed25519 keys of a network: made here, their private halves kept sealed. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { base64url, importJWK } from 'jose'
import type { SessionClaims } from '../../protocol/control/grant.ts'
import type { NetworkRecord } from '../store/repo.ts'
import { type Ed25519Jwk, signWith, utf8 } from './signatures.ts'
import type { Context, SecretName } from './types.ts'
import type { Work } from './work.ts'

const MAX_KEYS = 1000

/** What a key that signs evidence is sealed as. */
export function evidenceKeyName(network: string): SecretName {
  return { network, kind: 'network', id: network }
}

/** What a key that signs session tokens is sealed as: neither can stand in for the other. */
function functionKeyName(network: string): SecretName {
  return { network, kind: 'function-key', id: network }
}

export async function makeKey(
  { random, sealer }: Pick<Context, 'random' | 'sealer'>,
  name: SecretName,
): Promise<{ readonly publicKey: string; readonly sealed: string }> {
  const secret = random(32)
  const publicKey = base64url.encode(ed25519.getPublicKey(secret))
  const jwk: Ed25519Jwk = { kty: 'OKP', crv: 'Ed25519', x: publicKey, d: base64url.encode(secret) }
  secret.fill(0)
  const plain = utf8(JSON.stringify(jwk))
  const sealed = await sealer.seal(name, plain)
  plain.fill(0)
  return { publicKey, sealed }
}

/** Rejects when it was sealed as something else, or by a key-encryption key that is not there. */
export async function openKey(
  { sealer }: Pick<Context, 'sealer'>,
  name: SecretName,
  sealed: string,
): Promise<Ed25519Jwk> {
  const plain = await sealer.open(name, sealed)
  const jwk = JSON.parse(new TextDecoder().decode(plain)) as Ed25519Jwk
  plain.fill(0)
  return jwk
}

/** The two fields of a network's record. */
export type FunctionKey = Required<Pick<NetworkRecord, 'functionKey' | 'sealedFunctionKey'>>

/** The key of a network that signs the session tokens of its functions. */
export class FunctionKeys {
  readonly #context: Pick<Context, 'random' | 'sealer'>
  /** By their sealed form: grants are frequent, and opening one may ask a key service. */
  readonly #open = new Map<string, Promise<CryptoKey>>()

  constructor(context: Pick<Context, 'random' | 'sealer'>) {
    this.#context = context
  }

  async make(network: string): Promise<FunctionKey> {
    const { publicKey, sealed } = await makeKey(this.#context, functionKeyName(network))
    return { functionKey: publicKey, sealedFunctionKey: sealed }
  }

  /** The network's record, with the key that it lacks where it is older than functions are. */
  async ensure(work: Work): Promise<NetworkRecord & FunctionKey> {
    const record = await work.mustGet('network', work.network)
    if (hasFunctionKey(record)) return record
    const whole = { ...record, ...(await this.make(work.network)) }
    await work.put('network', whole)
    return whole
  }

  async sign(network: string, { sealedFunctionKey }: FunctionKey, claims: SessionClaims): Promise<string> {
    return signWith(claims, await this.#keyOf(network, sealedFunctionKey))
  }

  #keyOf(network: string, sealed: string): Promise<CryptoKey> {
    const known = this.#open.get(sealed)
    if (known !== undefined) return known
    if (this.#open.size >= MAX_KEYS) this.#open.clear()
    const fresh = openKey(this.#context, functionKeyName(network), sealed).then(
      (jwk) => importJWK({ ...jwk }, 'EdDSA') as Promise<CryptoKey>,
    )
    fresh.catch(() => this.#open.delete(sealed))
    this.#open.set(sealed, fresh)
    return fresh
  }
}

export function hasFunctionKey(record: NetworkRecord): record is NetworkRecord & FunctionKey {
  return record.functionKey !== undefined && record.sealedFunctionKey !== undefined
}
