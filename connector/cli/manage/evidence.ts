/** Evidence of rotations: whether it is what the network signed, and about the rotation that it came with. */
import { compactVerify, importJWK } from 'jose'
import type { Rotation } from '../../../protocol/control/generated/api-client.ts'
import { type Evidence, evidenceSchema } from '../../../protocol/control/rotation.ts'

export type Verified =
  | { readonly genuine: true; readonly evidence: Evidence }
  | { readonly genuine: false; readonly why: string }

/** `evidenceKey`: Ed25519 public key of the network, base64url. Undefined where there is none yet. */
export async function verifyEvidence(
  rotation: Rotation,
  network: string,
  evidenceKey: string,
): Promise<Verified | undefined> {
  if (rotation.evidence === undefined) return undefined
  const evidence = await payloadOf(rotation.evidence, evidenceKey)
  if (evidence === undefined) return { genuine: false, why: 'the signature is not by the evidence key of the network' }
  const other = differenceOf(evidence, rotation, network)
  return other === undefined ? { genuine: true, evidence } : { genuine: false, why: `it is about another ${other}` }
}

async function payloadOf(jws: string, evidenceKey: string): Promise<Evidence | undefined> {
  try {
    const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: evidenceKey }, 'EdDSA')
    const { payload } = await compactVerify(jws, key, { algorithms: ['EdDSA', 'Ed25519'] })
    return evidenceSchema.safeParse(JSON.parse(new TextDecoder().decode(payload))).data
  } catch {
    return undefined
  }
}

/** Evidence that is good, but of something else, proves nothing here. */
function differenceOf(evidence: Evidence, rotation: Rotation, network: string): string | undefined {
  if (evidence.network !== network) return 'network'
  if (evidence.rotation !== rotation.id) return 'rotation'
  if (evidence.tunnel !== rotation.tunnel) return 'tunnel'
  if (evidence.newKey.epoch !== rotation.to) return 'key'
  return evidence.outcome === rotation.state ? undefined : 'outcome'
}
