/** What an operator wants of a network: sites, tunnels and preferences. Every change makes a new, immutable version. */
import { z } from 'zod'
import { idSchema } from './ids.ts'
import { routingDraftSchema, routingSchema, siteRefSchema } from './intent-routing.ts'
import { addressSchema, nameSchema, portSchema, prefixSchema } from './values.ts'

/** Prefixes of one site; as many as one side of a Child SA carries. */
export const MAX_PREFIXES = 16

export const endpointSchema = z
  .strictObject({
    address: addressSchema,
    port: portSchema.default(500).meta({ description: 'UDP port for IKE.' }),
    natPort: portSchema.default(4500).meta({ description: 'UDP port for IKE and ESP behind NAT.' }),
  })
  .meta({ id: 'Endpoint', description: 'Where a connector can be reached from outside.' })
export type Endpoint = z.infer<typeof endpointSchema>

export const siteDraftSchema = z
  .strictObject({
    name: nameSchema,
    prefixes: z.array(prefixSchema).min(1).max(MAX_PREFIXES).meta({ description: 'Networks at this site.' }),
    endpoint: endpointSchema
      .optional()
      .meta({ description: 'Set it when the connector cannot find its public address itself.' }),
  })
  .meta({ id: 'SiteDraft' })
export type SiteDraft = z.infer<typeof siteDraftSchema>

export const siteSchema = siteDraftSchema.extend({ id: idSchema('site') }).meta({ id: 'Site' })
export type Site = z.infer<typeof siteSchema>

export const tunnelDraftSchema = z
  .strictObject({
    name: nameSchema,
    sites: z
      .tuple([idSchema('site'), idSchema('site')])
      .meta({ description: 'The two ends. The first initiates where both can be reached.' }),
    pathMtu: z.int().min(576).max(9216).optional().meta({ description: 'MTU of the path between the ends, in bytes.' }),
  })
  .meta({ id: 'TunnelDraft' })
export type TunnelDraft = z.infer<typeof tunnelDraftSchema>

export const tunnelSchema = tunnelDraftSchema.extend({ id: idSchema('tunnel') }).meta({ id: 'Tunnel' })
export type Tunnel = z.infer<typeof tunnelSchema>

export const preferencesSchema = z
  .strictObject({
    topology: z
      .enum(['mesh', 'none'])
      .default('mesh')
      .meta({ description: 'mesh: a new site gets a tunnel to every other one. none: tunnels are made one by one.' }),
  })
  .meta({ id: 'Preferences' })
export type Preferences = z.infer<typeof preferencesSchema>

export { siteRefSchema }

/**
 * The whole intent as somebody writes it. A site or tunnel with an `id`, or else with the name of one that is there,
 * is that one; any other is new. What is not named is removed.
 */
export const intentDraftSchema = z
  .strictObject({
    version: z
      .int()
      .min(0)
      .optional()
      .meta({ description: 'The version that this was made from; refused when there is a newer one.' }),
    preferences: preferencesSchema.prefault({}),
    sites: z.array(siteDraftSchema.extend({ id: idSchema('site').optional() })).max(10_000),
    tunnels: z
      .array(
        tunnelDraftSchema.extend({
          id: idSchema('tunnel').optional(),
          sites: z.tuple([siteRefSchema, siteRefSchema]).meta({ description: 'The two ends, by name or identifier.' }),
        }),
      )
      .max(100_000)
      .default([]),
    routing: routingDraftSchema.optional(),
  })
  .meta({
    id: 'IntentDraft',
    description: 'The desired state to replace the present one. An Intent that was read fits.',
  })
export type IntentDraft = z.infer<typeof intentDraftSchema>

export const intentSchema = z
  .strictObject({
    version: z.int().min(0).meta({ description: 'Grows by one with every change.' }),
    preferences: preferencesSchema,
    sites: z.array(siteSchema).max(10_000),
    tunnels: z.array(tunnelSchema).max(100_000),
    routing: routingSchema.optional(),
  })
  .meta({ id: 'Intent', description: 'The desired state of a network. Each version is immutable.' })
export type Intent = z.infer<typeof intentSchema>
