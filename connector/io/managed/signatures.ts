/** Signatures by and of connectors' identities: compact JWS with EdDSA (RFC 7515, RFC 8037). */
import { createHash, randomBytes } from 'node:crypto'
import { CompactSign, compactVerify, importJWK } from 'jose'
import { toBase64url } from '../../../protocol/control/base64url.ts'
import type { ConnectorDocument, EpochKey } from '../../../protocol/control/document.ts'
import { epochKeySchema } from '../../../protocol/control/document.ts'
import type { SealingKey } from '../../../protocol/control/external.ts'
import type { StreamKey } from '../../../protocol/control/grant.ts'
import type { JoinProof, RequestProof } from '../../../protocol/control/join.ts'
import type { Identity } from '../../store/enrollment.ts'
import { makeEpochPair } from './epoch-crypto.ts'

export function signPayload(
  identity: Identity,
  payload: EpochKey | JoinProof | RequestProof | SealingKey | StreamKey,
): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(payload))
  return new CompactSign(bytes).setProtectedHeader({ alg: 'EdDSA' }).sign(identity.privateKey)
}

/** A fresh X25519 pair, the caller's, and the signed public half of an epoch. */
export async function makeHalf(
  identity: Identity,
  { network, connector }: { readonly network: string; readonly connector: string },
  of: Pick<EpochKey, 'tunnel' | 'epoch' | 'peer'>,
): Promise<{ readonly privateKey: Uint8Array; readonly publicKey: Uint8Array; readonly half: string }> {
  const pair = makeEpochPair()
  const key = toBase64url(pair.publicKey)
  const half = await signPayload(identity, { use: 'isthmus-epoch-key', network, connector, ...of, key })
  return { ...pair, half }
}

export interface ProvenRequest {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly body: string
  /** Milliseconds since 1970, by the control plane's clock. */
  readonly at: number
}

/** The value of the Authorization header of one request. */
export async function authorize(
  identity: Identity,
  self: { readonly network: string; readonly connector: string },
  request: ProvenRequest,
): Promise<string> {
  const { method, target, body, at } = request
  const proof: RequestProof = {
    use: 'isthmus-request',
    network: self.network,
    connector: self.connector,
    method,
    target,
    body: sha256(body),
    at: Math.round(at),
    nonce: randomBytes(16).toString('base64url'),
  }
  return `Isthmus ${await signPayload(identity, proof)}`
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

/** The peers' halves in a document whose signatures hold for the identity keys that it names, by `<tunnel>/<epoch>`. */
export async function verifiedHalves(document: ConnectorDocument): Promise<Map<string, EpochKey>> {
  const halves = new Map<string, EpochKey>()
  for (const { id, peer, epochs } of document.tunnels) {
    for (const { epoch, peerKey } of epochs) {
      const half = peerKey === undefined ? undefined : await verifyHalf(peerKey, peer.identityKey)
      if (half !== undefined) halves.set(`${id}/${epoch}`, half)
    }
  }
  return halves
}

async function verifyHalf(jws: string, identityKey: string): Promise<EpochKey | undefined> {
  try {
    const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: identityKey }, 'EdDSA')
    const { payload } = await compactVerify(jws, key, { algorithms: ['EdDSA', 'Ed25519'] })
    return epochKeySchema.safeParse(JSON.parse(new TextDecoder().decode(payload))).data
  } catch {
    return undefined
  }
}
