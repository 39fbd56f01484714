/** Keys of the IKE SA and of Child SAs (RFC 7296 sections 2.13, 2.14, 2.17 and 2.18). */
import type { IkeCrypto } from './crypto.ts'
import { cipherSizes, ikeCipher, prfId, prfLength } from './names.ts'
import type { EspProposal, IkeProposal, PrfName } from './types.ts'
import { concat } from './wire/bytes.ts'

/**
 * SK_* of one IKE SA; "i" is its original initiator (of the rekey exchange, after a rekey). SK_e ends with the
 * 4-byte salt and SK_a is empty where the cipher is an AEAD (RFC 5282 section 7).
 */
export interface IkeKeys {
  readonly prf: PrfName
  readonly skD: Uint8Array
  readonly skAi: Uint8Array
  readonly skAr: Uint8Array
  readonly skEi: Uint8Array
  readonly skEr: Uint8Array
  readonly skPi: Uint8Array
  readonly skPr: Uint8Array
  /** Overwrites every key with zeros; the value is useless afterwards. */
  wipe(): void
}

export interface IkeKeyInput {
  readonly proposal: IkeProposal
  /** g^ir of `KeyExchange.complete`. The caller wipes it. */
  readonly sharedSecret: Uint8Array
  readonly initiatorNonce: Uint8Array
  readonly responderNonce: Uint8Array
  /** 8 bytes each; at a rekey those of the new IKE SA. */
  readonly initiatorSpi: Uint8Array
  readonly responderSpi: Uint8Array
}

/** Keys of a first IKE SA: SKEYSEED = prf(Ni | Nr, g^ir). */
export function deriveIkeKeys(crypto: IkeCrypto, input: IkeKeyInput): IkeKeys {
  const nonces = concat([input.initiatorNonce, input.responderNonce])
  const skeyseed = crypto.prf(prfId(input.proposal.prf), nonces, input.sharedSecret)
  return expandIkeKeys(crypto, skeyseed, input)
}

/** Keys of an IKE SA that replaces `old` (RFC 7296 section 2.18): SKEYSEED = prf(SK_d, g^ir | Ni | Nr) with the old PRF. */
export function deriveRekeyedIkeKeys(
  crypto: IkeCrypto,
  old: Pick<IkeKeys, 'prf' | 'skD'>,
  input: IkeKeyInput,
): IkeKeys {
  const { sharedSecret, initiatorNonce, responderNonce } = input
  const skeyseed = crypto.prf(prfId(old.prf), old.skD, sharedSecret, initiatorNonce, responderNonce)
  return expandIkeKeys(crypto, skeyseed, input)
}

export interface DirectionKeys {
  readonly key: Uint8Array
  /** 4 bytes (RFC 4106 section 8.1, RFC 7634 section 2). */
  readonly salt: Uint8Array
}

export interface ChildKeyInput {
  readonly encryption: EspProposal['encryption']
  /** Nonces of the exchange that makes the Child SA: those of IKE_SA_INIT for the first one. */
  readonly initiatorNonce: Uint8Array
  readonly responderNonce: Uint8Array
  /** g^ir of this exchange where it had PFS. */
  readonly sharedSecret?: Uint8Array
}

/**
 * KEYMAT of a Child SA. `initiator` protects what the initiator of this exchange sends, `responder` the other
 * direction. The arrays are fresh and the caller's to wipe.
 */
export function deriveChildKeys(
  crypto: IkeCrypto,
  ike: Pick<IkeKeys, 'prf' | 'skD'>,
  input: ChildKeyInput,
): { readonly initiator: DirectionKeys; readonly responder: DirectionKeys } {
  const seed = concat([input.sharedSecret ?? new Uint8Array(0), input.initiatorNonce, input.responderNonce])
  const { key, salt } = cipherSizes(ikeCipher({ encryption: input.encryption }))
  const keymat = prfPlus(crypto, ike.prf, ike.skD, seed, 2 * (key + salt))
  const take = slicer(keymat)
  const initiator = { key: take(key), salt: take(salt) }
  const responder = { key: take(key), salt: take(salt) }
  keymat.fill(0)
  seed.fill(0)
  return { initiator, responder }
}

/** prf+ (RFC 7296 section 2.13): T1 | T2 | ..., cut to `length` bytes. At most 255 times the PRF's output. */
export function prfPlus(
  crypto: IkeCrypto,
  prf: PrfName,
  key: Uint8Array,
  seed: Uint8Array,
  length: number,
): Uint8Array {
  const step = prfLength(prf)
  if (length > 255 * step) throw new RangeError(`prf+ yields at most ${255 * step} bytes, not ${length}`)
  const out = new Uint8Array(length)
  let block: Uint8Array = new Uint8Array(0)
  for (let counter = 1, at = 0; at < length; counter++, at += step) {
    const next = crypto.prf(prfId(prf), key, block, seed, Uint8Array.of(counter))
    block.fill(0)
    block = next
    out.set(block.subarray(0, length - at), at)
  }
  block.fill(0)
  return out
}

/** {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr). Wipes `skeyseed`. */
function expandIkeKeys(crypto: IkeCrypto, skeyseed: Uint8Array, input: IkeKeyInput): IkeKeys {
  const { prf } = input.proposal
  const sizes = cipherSizes(ikeCipher(input.proposal))
  const seed = concat([input.initiatorNonce, input.responderNonce, input.initiatorSpi, input.responderSpi])
  const prfKey = prfLength(prf)
  const encryptionKey = sizes.key + sizes.salt
  const keymat = prfPlus(crypto, prf, skeyseed, seed, 3 * prfKey + 2 * sizes.integKey + 2 * encryptionKey)
  const take = slicer(keymat)
  const secrets = {
    skD: take(prfKey),
    skAi: take(sizes.integKey),
    skAr: take(sizes.integKey),
    skEi: take(encryptionKey),
    skEr: take(encryptionKey),
    skPi: take(prfKey),
    skPr: take(prfKey),
  }
  keymat.fill(0)
  skeyseed.fill(0)
  const wipe = () => {
    for (const secret of Object.values(secrets)) secret.fill(0)
  }
  return { prf, ...secrets, wipe }
}

/** Cuts copies off the front, one after the other. */
function slicer(bytes: Uint8Array): (length: number) => Uint8Array {
  let at = 0
  return (length) => {
    const part = bytes.slice(at, at + length)
    at += length
    return part
  }
}
