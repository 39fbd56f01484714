/** Rotations of tunnel keys, and the policies by which they happen. */
import { z } from 'zod'
import { idSchema } from './ids.ts'
import { epochNumberSchema, fingerprintSchema, instantSchema, jwsSchema, nameSchema } from './values.ts'

/**
 *     preparing ── switching ── confirming ── retiring ── done
 *         └────────────┴────────────┴── aborting ── aborted
 *
 * preparing: both ends publish their halves, derive the key and accept it. switching: the initiator authenticates
 * anew with it. confirming: traffic passes under it at both ends. retiring: both forget the old key. aborting: both go
 * back to the old key, then forget the new one; after `retiring` began there is no way back and none is needed. Where
 * an end has lost the old key meanwhile, there is no way back either: aborting turns into switching again.
 */
export const ROTATION_STATES = [
  'queued',
  'preparing',
  'switching',
  'confirming',
  'retiring',
  'done',
  'aborting',
  'aborted',
] as const
export const rotationStateSchema = z.enum(ROTATION_STATES)
export type RotationState = z.infer<typeof rotationStateSchema>

export const triggerSchema = z.enum(['establish', 'manual', 'policy'])

export const rotationSchema = z
  .strictObject({
    id: idSchema('rotation'),
    tunnel: idSchema('tunnel'),
    run: idSchema('run').optional(),
    trigger: triggerSchema,
    state: rotationStateSchema,
    /** Absent when the tunnel had no key before. */
    from: epochNumberSchema.optional(),
    to: epochNumberSchema,
    /** Of the old and the new key, as far as the ends have told and agree. */
    oldFingerprint: fingerprintSchema.optional(),
    newFingerprint: fingerprintSchema.optional(),
    startedBy: z.string().max(128),
    createdAt: instantSchema,
    /** When it left the queue. */
    begunAt: instantSchema.optional(),
    stateSince: instantSchema,
    /** When the present state is given up. */
    deadline: instantSchema.optional(),
    finishedAt: instantSchema.optional(),
    reason: z.string().max(512).optional(),
    /** JWS of `Evidence`, once it has ended. */
    evidence: jwsSchema.optional(),
  })
  .meta({ id: 'Rotation' })
export type Rotation = z.infer<typeof rotationSchema>

const count = z.int().min(0)
const endTraffic = z.strictObject({
  outPackets: count,
  inPackets: count,
  /** For want of an SA. */
  dropped: count,
  /** By gaps in the sequence numbers that came in; absent where the connector does not tell. */
  missing: count.optional(),
})
export const evidenceSchema = z
  .strictObject({
    use: z.literal('isthmus-rotation-evidence'),
    network: idSchema('network'),
    rotation: idSchema('rotation'),
    tunnel: idSchema('tunnel'),
    trigger: triggerSchema,
    startedBy: z.string(),
    startedAt: instantSchema,
    finishedAt: instantSchema,
    outcome: z.enum(['done', 'aborted']),
    reason: z.string().optional(),
    oldKey: z.strictObject({ epoch: epochNumberSchema, fingerprint: fingerprintSchema.optional() }).optional(),
    newKey: z.strictObject({ epoch: epochNumberSchema, fingerprint: fingerprintSchema.optional() }),
    /**
     * Of each end that told: differences of its counters, from its last report before the rotation to its last one.
     * `restarted`: it started anew within that time, and `traffic` has only what it counted since.
     */
    ends: z.array(z.strictObject({ connector: idSchema('connector'), restarted: z.boolean(), traffic: endTraffic })),
    packetsSent: count,
    packetsLost: count,
    /**
     * How the loss was found. sequence-numbers: exact at each receiver. counters: what one end sent less what the
     * other received; their reports are not of one moment, so packets under way count as lost.
     */
    measured: z.enum(['sequence-numbers', 'counters']),
    /** Both ends told, and neither restarted: the figures are of the whole rotation. */
    complete: z.boolean(),
  })
  .meta({ id: 'Evidence', description: 'What a rotation did, signed by the network.' })
export type Evidence = z.infer<typeof evidenceSchema>

export const windowSchema = z.strictObject({
  /** Cron expression of its beginnings, UTC. */
  cron: z.string().max(100),
  minutes: z.int().min(1).max(1440),
})

export const policyDraftSchema = z
  .strictObject({
    name: nameSchema,
    /** Empty: every tunnel of the network. */
    tunnels: z.array(idSchema('tunnel')).max(1000).default([]),
    maxAgeHours: z
      .number()
      .min(0.001)
      .max(24 * 366)
      .optional()
      .meta({ description: 'Rotate keys that are older.' }),
    cron: z.string().max(100).optional().meta({ description: 'Rotate at these times, UTC.' }),
    /** The first rotation of a run goes alone and must end well before the others begin. */
    canary: z.boolean().default(true),
    maxConcurrent: z.int().min(1).max(1000).default(10),
    stopOnFailure: z.boolean().default(true),
    windows: z
      .array(windowSchema)
      .max(16)
      .default([])
      .meta({ description: 'Rotations begin only within one of them; none: at any time.' }),
    enabled: z.boolean().default(true),
  })
  .meta({ id: 'PolicyDraft' })
export type PolicyDraft = z.infer<typeof policyDraftSchema>
export const policySchema = policyDraftSchema
  .extend({ id: idSchema('policy'), createdAt: instantSchema, lastRunAt: instantSchema.optional() })
  .meta({ id: 'Policy' })
export type Policy = z.infer<typeof policySchema>

/** One planned batch of rotations: by a policy, or by a person for some or all tunnels. */
export const runSchema = z
  .strictObject({
    id: idSchema('run'),
    policy: idSchema('policy').optional(),
    state: z.enum(['running', 'done', 'stopped', 'aborted']),
    startedBy: z.string().max(128),
    createdAt: instantSchema,
    finishedAt: instantSchema.optional(),
    canary: z.boolean(),
    maxConcurrent: z.int().min(1),
    stopOnFailure: z.boolean(),
    /** `aborted` has also those that are aborting. */
    counts: z.strictObject({ queued: count, active: count, done: count, aborted: count }),
    reason: z.string().max(512).optional(),
  })
  .meta({ id: 'Run' })
export type Run = z.infer<typeof runSchema>
