/** What a managed connector must not lose: the last good document, the peers that it trusts, its secrets by epoch. */
import { z } from 'zod'
import { connectorDocumentSchema } from '../../../protocol/control/document.ts'
import { idSchema } from '../../../protocol/control/ids.ts'
import { jwsSchema, publicKeySchema } from '../../../protocol/control/values.ts'

export const STATE_FORMAT = 1

const savedEpochSchema = z.strictObject({
  epoch: z.int().min(1),
  peer: idSchema('connector'),
  /** X25519, base64url. Gone once the key is derived: what was agreed on cannot be derived again. */
  privateKey: publicKeySchema.optional(),
  publicKey: publicKeySchema,
  /** The signed half as it was published: the same is published again after a restart. */
  half: jwsSchema,
  /** Base64url. */
  psk: publicKeySchema.optional(),
  fingerprint: z.string().optional(),
})
export type SavedEpoch = z.infer<typeof savedEpochSchema>

export const managedStateSchema = z.strictObject({
  format: z.literal(STATE_FORMAT),
  document: connectorDocumentSchema.optional(),
  /** Identity key by connector, as first seen. */
  pins: z.record(idSchema('connector'), publicKeySchema),
  /** Epochs by tunnel, oldest first. */
  epochs: z.record(idSchema('tunnel'), z.array(savedEpochSchema).max(4)),
})
export type ManagedState = z.infer<typeof managedStateSchema>

export function emptyState(): ManagedState {
  return { format: STATE_FORMAT, pins: {}, epochs: {} }
}
