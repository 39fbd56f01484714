/** Evidence of rotations, signed by the key of the network, whose private half is kept sealed. */
import type { CloudEvidence } from '../../protocol/control/cloud.ts'
import type { Evidence, Rotation } from '../../protocol/control/rotation.ts'
import { buildEvidence } from '../domain/evidence.ts'
import { evidenceKeyName, openKey } from './network-keys.ts'
import { sign } from './signatures.ts'
import type { Context } from './types.ts'
import type { Work } from './work.ts'

export class EvidenceSigner {
  readonly #context: Context

  constructor(context: Context) {
    this.#context = context
  }

  /**
   * The evidence of a rotation that has just ended; undefined for one that never began. Throws when the key cannot be
   * opened: a rotation does not end without its evidence, it waits.
   */
  async evidenceOf(work: Work, rotation: Rotation): Promise<string | undefined> {
    const { repo } = this.#context
    const ends = work.adopt('end', await repo.list(work.network, 'end', { ref: rotation.tunnel, limit: 1000 }))
    const evidence = buildEvidence(work.network, rotation, ends)
    if (evidence === undefined) return undefined
    return this.signed(work, evidence)
  }

  /** Throws like `evidenceOf`. */
  async signed(work: Work, evidence: Evidence | CloudEvidence): Promise<string> {
    const { sealedEvidenceKey } = await work.mustGet('network', work.network)
    return sign(evidence, await openKey(this.#context, evidenceKeyName(work.network), sealedEvidenceKey))
  }
}
