/** What a change of the intent would come to: the outcome of the same code that connectors run, before anything changes. */
import { z } from 'zod'
import { nameSchema, prefixSchema } from './values.ts'

/** Entries of one list; `count` and `more` tell of what was left out. */
export const MAX_PLAN_FINDINGS = 1_000
export const MAX_PLAN_ROUTES = 20

/**
 * `cut-off`: a site reaches nothing any more. `unreachable`: a site loses some prefixes. `leak`: a site gets what its
 * owner does not send it. `overlap`: two sites announce the same addresses. `limit`: more prefixes than a neighbour may
 * send. `asymmetry`: packets come back another way. `loop`: packets go in a circle. `unstable`: routes never settle.
 */
export const findingCodeSchema = z.enum([
  'cut-off',
  'unreachable',
  'leak',
  'overlap',
  'limit',
  'asymmetry',
  'loop',
  'unstable',
])
export type FindingCode = z.infer<typeof findingCodeSchema>

export const planFindingSchema = z
  .strictObject({
    code: findingCodeSchema,
    severity: z.enum(['error', 'warning']).meta({ description: 'An error is not carried out without force.' }),
    site: nameSchema.meta({ description: 'Where it is seen.' }),
    other: nameSchema.optional().meta({ description: 'The site that it is about.' }),
    prefix: prefixSchema.optional().meta({ description: 'One of the prefixes.' }),
    count: z.int().min(1).meta({ description: 'How many prefixes, or sites for an asymmetry.' }),
    detail: z.string().max(512).meta({ description: 'A sentence.' }),
  })
  .meta({ id: 'PlanFinding' })
export type PlanFinding = z.infer<typeof planFindingSchema>

/** Names of sites from the first hop to the owner; several ways where traffic is spread. */
const waysSchema = z.array(z.array(nameSchema)).max(16)

export const planRouteSchema = z
  .strictObject({
    prefix: prefixSchema,
    change: z.enum(['added', 'removed', 'moved']),
    before: waysSchema.optional(),
    after: waysSchema.optional(),
  })
  .meta({ id: 'PlanRoute' })
export type PlanRoute = z.infer<typeof planRouteSchema>

const countSchema = z.int().min(0)

export const planSiteSchema = z
  .strictObject({
    site: nameSchema,
    change: z.enum(['new', 'gone', 'changed', 'same']).meta({ description: 'Of the site, or of its routes.' }),
    /** Prefixes of others that it reaches. */
    before: countSchema,
    after: countSchema,
    added: countSchema,
    removed: countSchema,
    moved: countSchema,
    routes: z.array(planRouteSchema).max(MAX_PLAN_ROUTES).meta({ description: 'The first of those that change.' }),
  })
  .meta({ id: 'PlanSite' })
export type PlanSite = z.infer<typeof planSiteSchema>

export const planResultSchema = z
  .strictObject({
    base: z.int().min(0).meta({ description: 'The version of the intent that it was compared with.' }),
    changes: z.boolean().meta({ description: 'Whether the intent would change at all.' }),
    blocked: z.boolean().meta({ description: 'It is refused without force: a finding is an error.' }),
    sites: z.array(planSiteSchema).max(20_000).meta({ description: 'Those whose routes change.' }),
    findings: z.array(planFindingSchema).max(MAX_PLAN_FINDINGS),
    more: countSchema.meta({ description: 'Findings beyond those listed.' }),
    totals: z.strictObject({ sites: countSchema, prefixes: countSchema, routes: countSchema }),
  })
  .meta({ id: 'PlanResult', description: 'What a draft of the intent would come to.' })
export type PlanResult = z.infer<typeof planResultSchema>
