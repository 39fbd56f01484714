/** Rollouts: a new version of the intent, taken to one site first, watched, then to the others in batches, or back. */
import { z } from 'zod'
import { idSchema } from './ids.ts'
import { intentDraftSchema, siteRefSchema } from './intent.ts'
import { instantSchema, nameSchema } from './values.ts'

/**
 *     planned ── canary ── watching ── batch ── watching ── ... ── done
 *        │         └──────────┴──────────┴────── rolling-back ── rolled-back | aborted
 *        └── failed
 *
 * planned: waits until the canary has told how it is. canary, batch: the sites that have just got the target carry it
 * out. watching: all sites that have it are watched. rolling-back: those that had it go back to the base.
 */
export const ROLLOUT_STATES = [
  'planned',
  'canary',
  'batch',
  'watching',
  'rolling-back',
  'done',
  'rolled-back',
  'aborted',
  'failed',
] as const
export const rolloutStateSchema = z.enum(ROLLOUT_STATES)
export type RolloutState = z.infer<typeof rolloutStateSchema>

/** What was wrong, as it was measured. */
export const rolloutFaultSchema = z.strictObject({
  site: nameSchema,
  /** Where it is of one tunnel. */
  tunnel: z.string().max(64).optional(),
  measure: z.enum(['version', 'passing', 'bgp', 'flaps', 'loss', 'refused', 'silent']),
  value: z.string().max(512),
  limit: z.string().max(128),
})
export type RolloutFault = z.infer<typeof rolloutFaultSchema>

export const watchSchema = z
  .strictObject({
    canarySeconds: z.int().min(0).max(3600).default(60).meta({ description: 'How long the canary is watched.' }),
    batchSeconds: z.int().min(0).max(3600).default(30).meta({ description: 'How long each batch is watched.' }),
    lossPercent: z
      .number()
      .min(0)
      .max(100)
      .default(1)
      .meta({ description: 'More packets lost than this, in either direction of a tunnel, and it goes back.' }),
  })
  .meta({ id: 'RolloutWatch' })
export type RolloutWatch = z.infer<typeof watchSchema>

export const rolloutDraftSchema = z
  .strictObject({
    intent: intentDraftSchema.optional().meta({ description: 'What there is to be. This, or `version`.' }),
    version: z.int().min(0).optional().meta({ description: 'An old version of the intent, to go back to.' }),
    canary: siteRefSchema
      .optional()
      .meta({ description: 'The site that goes first; else the one with the fewest tunnels that is concerned.' }),
    batchPercent: z
      .int()
      .min(1)
      .max(100)
      .default(25)
      .meta({ description: 'The most of all sites in one batch; batches double until then.' }),
    watch: watchSchema.prefault({}),
    force: z.boolean().default(false).meta({ description: 'Also where the plan says that a site would be cut off.' }),
  })
  .meta({ id: 'RolloutDraft' })
export type RolloutDraft = z.infer<typeof rolloutDraftSchema>

export const rolloutSchema = z
  .strictObject({
    id: idSchema('rollout'),
    state: rolloutStateSchema,
    startedBy: z.string().max(128),
    createdAt: instantSchema,
    stateSince: instantSchema,
    /** When the present state ends: by going on from watching, by going back from the others. */
    deadline: instantSchema.optional(),
    finishedAt: instantSchema.optional(),
    /** Versions of the intent. */
    base: z.int().min(0),
    target: z.int().min(1),
    /** The one by which it went back; equal to the base. */
    restored: z.int().min(1).optional(),
    canary: nameSchema.optional().meta({ description: 'Absent where no connector has anything to do.' }),
    batchPercent: z.int().min(1).max(100),
    watch: watchSchema,
    force: z.boolean(),
    /** 0: the canary. */
    step: z.int().min(0),
    /** Of the sites that have something to do: how many there are, have the target, and were away when they got it. */
    counts: z.strictObject({ sites: z.int().min(0), in: z.int().min(0), away: z.int().min(0) }),
    /** Why it goes back, or who wanted that. */
    reason: z.string().max(1024).optional(),
    fault: rolloutFaultSchema.optional(),
  })
  .meta({ id: 'Rollout', description: 'A new version of the intent on its way to the sites.' })
export type Rollout = z.infer<typeof rolloutSchema>

export const rolloutSiteSchema = z
  .strictObject({
    site: idSchema('site'),
    name: nameSchema,
    /** Has the target. */
    in: z.boolean(),
    /** Was not there when it got it, and is not watched. */
    away: z.boolean(),
    /** What it is waited for, or what is wrong with it; absent when nothing is. */
    waitingFor: z.string().max(1024).optional(),
  })
  .meta({ id: 'RolloutSite' })
export type RolloutSite = z.infer<typeof rolloutSiteSchema>

export const rolloutDetailSchema = rolloutSchema
  .extend({
    sites: z.array(rolloutSiteSchema).max(10_000).meta({ description: 'In their order; the canary is first.' }),
  })
  .meta({ id: 'RolloutDetail' })
export type RolloutDetail = z.infer<typeof rolloutDetailSchema>
