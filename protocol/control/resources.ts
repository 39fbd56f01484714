/** The remaining resources of the API: networks, connectors, join tokens, API tokens, audit events. */
import { z } from 'zod'
import { offeredServicesSchema } from './grant.ts'
import { idSchema } from './ids.ts'
import { endpointSchema } from './intent.ts'
import { addressSchema, instantSchema, nameSchema, publicKeySchema } from './values.ts'

export const networkDraftSchema = z.strictObject({ name: nameSchema }).meta({ id: 'NetworkDraft' })
export const networkSchema = networkDraftSchema
  .extend({
    id: idSchema('network'),
    createdAt: instantSchema,
    /** Ed25519; signs the evidence of rotations. */
    evidenceKey: publicKeySchema,
    intentVersion: z.int().min(0),
  })
  .meta({ id: 'Network' })
export type Network = z.infer<typeof networkSchema>

export const connectorSchema = z
  .strictObject({
    id: idSchema('connector'),
    site: idSchema('site'),
    name: nameSchema,
    /** Ed25519. */
    identityKey: publicKeySchema,
    joinedAt: instantSchema,
    revokedAt: instantSchema.optional(),
    /** Where its requests come from, as we see it. */
    seenAddress: addressSchema.optional(),
    /** What it says its own addresses are. */
    addresses: z.array(addressSchema).max(16),
    /** Where its peers reach it: the site's, else found out; absent behind a NAT. */
    endpoint: endpointSchema.optional(),
    software: z.string().max(32),
    lastSeenAt: instantSchema.optional(),
    linked: z.boolean(),
    documentVersion: z.int().min(0),
    /** Where it serves functions. */
    functions: offeredServicesSchema.optional(),
  })
  .meta({ id: 'Connector' })
export type Connector = z.infer<typeof connectorSchema>

export const joinTokenDraftSchema = z
  .strictObject({
    site: idSchema('site'),
    expiresInMinutes: z
      .int()
      .min(1)
      .max(60 * 24 * 30)
      .default(60 * 24),
  })
  .meta({ id: 'JoinTokenDraft' })
export const joinTokenInfoSchema = z
  .strictObject({
    id: idSchema('join'),
    site: idSchema('site'),
    createdAt: instantSchema,
    expiresAt: instantSchema,
    usedAt: instantSchema.optional(),
    usedBy: idSchema('connector').optional(),
    revokedAt: instantSchema.optional(),
  })
  .meta({ id: 'JoinToken' })
export type JoinTokenInfo = z.infer<typeof joinTokenInfoSchema>

export const ROLES = ['owner', 'operator', 'viewer', 'rotation'] as const
export const roleSchema = z.enum(ROLES).meta({
  description:
    'owner: everything, tokens too. operator: everything but tokens and deletion of the network. viewer: reads. rotation: starts and watches rotations.',
})
export type Role = z.infer<typeof roleSchema>

export const apiTokenDraftSchema = z
  .strictObject({ name: nameSchema, role: roleSchema, expiresInDays: z.int().min(1).max(3660).optional() })
  .meta({ id: 'ApiTokenDraft' })
export const apiTokenInfoSchema = z
  .strictObject({
    id: idSchema('token'),
    name: nameSchema,
    role: roleSchema,
    createdAt: instantSchema,
    expiresAt: instantSchema.optional(),
    lastUsedAt: instantSchema.optional(),
    revokedAt: instantSchema.optional(),
  })
  .meta({ id: 'ApiToken' })
export type ApiTokenInfo = z.infer<typeof apiTokenInfoSchema>

/** One link of the chain: `hash` is over all other fields, and `previous` is the hash of the event before it. */
export const auditEventSchema = z
  .strictObject({
    seq: z.int().min(1),
    at: instantSchema,
    /** `token:<id>`, `connector:<id>`, `function:<id>`, `schedule`, or `system`. */
    actor: z.string().max(128),
    action: z.string().max(64),
    target: z.string().max(128),
    before: z.unknown().optional(),
    after: z.unknown().optional(),
    requestId: z.string().max(64).optional(),
    previous: z.string(),
    hash: z.string(),
  })
  .meta({ id: 'AuditEvent' })
export type AuditEvent = z.infer<typeof auditEventSchema>
