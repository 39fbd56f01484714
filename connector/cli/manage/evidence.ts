/** Evidence of rotations: whether it is what the network signed, and about the rotation that it came with. */
import { compactVerify, importJWK } from 'jose'
import type { z } from 'zod'
import { type CloudEvidence, cloudEvidenceSchema } from '../../../protocol/control/cloud.ts'
import type { CloudRun, Rotation } from '../../../protocol/control/generated/api-client.ts'
import { type Evidence, evidenceSchema } from '../../../protocol/control/rotation.ts'

export type Verified<T = Evidence> =
  | { readonly genuine: true; readonly evidence: T }
  | { readonly genuine: false; readonly why: string }

/** `evidenceKey`: Ed25519 public key of the network, base64url. Undefined where there is none yet. */
export async function verifyEvidence(
  rotation: Rotation,
  network: string,
  evidenceKey: string,
): Promise<Verified | undefined> {
  if (rotation.evidence === undefined) return undefined
  const evidence = await payloadOf(rotation.evidence, evidenceKey, evidenceSchema)
  return verdictOn(evidence, evidence && differenceOf(evidence, rotation, network))
}

/** The same of a rotation at a cloud. */
export async function verifyCloudEvidence(
  run: CloudRun,
  network: string,
  evidenceKey: string,
): Promise<Verified<CloudEvidence> | undefined> {
  if (run.evidence === undefined) return undefined
  const evidence = await payloadOf(run.evidence, evidenceKey, cloudEvidenceSchema)
  return verdictOn(evidence, evidence && cloudDifferenceOf(evidence, run, network))
}

/** `other`: what the evidence is about, in place of what it came with. */
function verdictOn<T>(evidence: T | undefined, other: string | undefined): Verified<T> {
  if (evidence === undefined) return { genuine: false, why: 'the signature is not by the evidence key of the network' }
  return other === undefined ? { genuine: true, evidence } : { genuine: false, why: `it is about another ${other}` }
}

async function payloadOf<T>(jws: string, evidenceKey: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: evidenceKey }, 'EdDSA')
    const { payload } = await compactVerify(jws, key, { algorithms: ['EdDSA', 'Ed25519'] })
    return schema.safeParse(JSON.parse(new TextDecoder().decode(payload))).data
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

function cloudDifferenceOf(evidence: CloudEvidence, run: CloudRun, network: string): string | undefined {
  if (evidence.network !== network) return 'network'
  if (evidence.run !== run.id) return 'run'
  if (evidence.cloud !== run.cloud) return 'connection'
  return evidence.outcome === run.state ? undefined : 'outcome'
}
