/**
 * What one connector is to do, as the control plane tells it: complete and level-triggered, so that whoever missed
 * some versions needs only the newest. The connector keeps the last good one on disk.
 */
import { z } from 'zod'
import { documentExternalSchema, MAX_EXTERNALS } from './external.ts'
import { functionsDocumentSchema } from './grant.ts'
import { idSchema } from './ids.ts'
import { endpointSchema } from './intent.ts'
import { documentRoutingSchema } from './routing.ts'
import { epochNumberSchema, jwsSchema, nameSchema, prefixSchema, publicKeySchema } from './values.ts'

export const DOCUMENT_FORMAT = 1

/**
 * What an end does with an epoch of a tunnel's pre-shared key:
 * `offer`: make an X25519 key pair and publish the signed public half.
 * `accept`: derive the key from the peer's half, and accept an IKE SA that authenticates with it.
 * `use`: as initiator, authenticate anew with it; make before break.
 * An epoch that is no longer named is forgotten, its secrets wiped.
 */
export const phaseSchema = z.enum(['offer', 'accept', 'use'])
export type Phase = z.infer<typeof phaseSchema>

export const documentEpochSchema = z.strictObject({
  epoch: epochNumberSchema,
  phase: phaseSchema,
  /** The peer's `EpochKey`, signed by its identity key; there from `accept` on. */
  peerKey: jwsSchema.optional(),
})
export type DocumentEpoch = z.infer<typeof documentEpochSchema>

export const documentTunnelSchema = z.strictObject({
  id: idSchema('tunnel'),
  name: nameSchema,
  initiate: z.boolean(),
  pathMtu: z.int().min(576).max(9216).optional(),
  peer: z.strictObject({
    connector: idSchema('connector'),
    site: nameSchema,
    /** Ed25519. Pinned by the connector when it first sees it. */
    identityKey: publicKeySchema,
    prefixes: z.array(prefixSchema).min(1).max(16),
    /** Absent: the peer cannot be reached and initiates itself. */
    endpoint: endpointSchema.optional(),
  }),
  /** Oldest first; at most the one in use and the one that replaces it. */
  epochs: z.array(documentEpochSchema).max(2),
})
export type DocumentTunnel = z.infer<typeof documentTunnelSchema>

export const connectorDocumentSchema = z
  .strictObject({
    format: z.literal(DOCUMENT_FORMAT),
    network: idSchema('network'),
    connector: idSchema('connector'),
    /** Grows with every change of what this connector is to do. */
    version: z.int().min(1),
    site: z.strictObject({ name: nameSchema, prefixes: z.array(prefixSchema).min(1).max(16) }),
    tunnels: z.array(documentTunnelSchema).max(10_000),
    /** Only for a connector that says that it serves functions. */
    functions: functionsDocumentSchema.optional(),
    /** Only for a connector that says that it can. Absent: the tunnels lead to the prefixes of their peers. */
    routing: documentRoutingSchema.optional(),
    /** Only for a connector that says that it can. */
    externals: z.array(documentExternalSchema).max(MAX_EXTERNALS).optional(),
  })
  .meta({ id: 'ConnectorDocument', description: 'What one connector is to do.' })
export type ConnectorDocument = z.infer<typeof connectorDocumentSchema>

/** Payload of the JWS by which an end publishes its half of an epoch, signed by its identity key. */
export const epochKeySchema = z.strictObject({
  use: z.literal('isthmus-epoch-key'),
  network: idSchema('network'),
  tunnel: idSchema('tunnel'),
  epoch: epochNumberSchema,
  connector: idSchema('connector'),
  peer: idSchema('connector'),
  /** X25519 public key. */
  key: publicKeySchema,
})
export type EpochKey = z.infer<typeof epochKeySchema>
