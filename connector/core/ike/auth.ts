/** The AUTH payload of shared key authentication (RFC 7296 section 2.15). */
import type { IkeCrypto } from './crypto.ts'
import { identityBody } from './identity.ts'
import { prfId } from './names.ts'
import type { PrfName } from './types.ts'
import type { IdPayload } from './wire/types.ts'

/** AUTH method "Shared Key Message Integrity Code". */
export const AUTH_METHOD_PSK = 2

const KEY_PAD = new Uint8Array(Array.from('Key Pad for IKEv2', (char) => char.charCodeAt(0)))

/** What one side signs; "signer" is the side whose AUTH payload this is. */
export interface PskAuthInput {
  readonly prf: PrfName
  readonly psk: Uint8Array
  /** SK_pi where the original initiator signs, SK_pr where the responder does. */
  readonly skP: Uint8Array
  /**
   * The signer's IKE_SA_INIT message as it went over the wire, header first, without a non-ESP marker. After a
   * COOKIE or INVALID_KE_PAYLOAD it is the last one, which includes the cookie.
   */
  readonly message: Uint8Array
  /** Data of the other side's Nonce payload. */
  readonly peerNonce: Uint8Array
  /** The signer's ID payload as sent or received, never one made again from a configured identity. */
  readonly id: Pick<IdPayload, 'idType' | 'data'>
}

/** AUTH data: prf(prf(PSK, "Key Pad for IKEv2"), message | nonce | prf(SK_p, ID body)). */
export function pskAuth(crypto: IkeCrypto, input: PskAuthInput): Uint8Array {
  const prf = prfId(input.prf)
  const macedId = crypto.prf(prf, input.skP, identityBody(input.id))
  const key = crypto.prf(prf, input.psk, KEY_PAD)
  const auth = crypto.prf(prf, key, input.message, input.peerNonce, macedId)
  key.fill(0)
  return auth
}

/** True when the peer's AUTH payload proves knowledge of the key. Constant time in the contents of `auth.data`. */
export function verifyPskAuth(
  crypto: IkeCrypto,
  input: PskAuthInput,
  auth: { readonly method: number; readonly data: Uint8Array },
): boolean {
  if (auth.method !== AUTH_METHOD_PSK) return false
  return crypto.equal(pskAuth(crypto, input), auth.data)
}
