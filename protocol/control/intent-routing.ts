/**
 * Routing as an operator wants it: who owns and advertises which prefixes, to whom, over which hubs. All of it has
 * defaults, so that `routing: {}` is a network whose sites tell their direct neighbours of their prefixes by BGP.
 * docs/intents.md tells what becomes of it.
 */
import { z } from 'zod'
import { idSchema } from './ids.ts'
import { nameSchema, prefixSchema } from './values.ts'

/** A site by its name or its identifier; names have no underscore. */
export const siteRefSchema = z.union([nameSchema, idSchema('site')])
/** A tunnel likewise. */
const tunnelRefSchema = z.union([nameSchema, idSchema('tunnel')])

/** Prefixes that one site owns, and entries of what it advertises. */
const MAX_OWNED = 2_000
/** Hubs that one site has an order for: each takes its place in the AS path. */
export const MAX_THROUGH = 4
export const MAX_SITE_NUMBER = 94_967_294

const maxPrefixesSchema = z
  .int()
  .min(1)
  .max(1_000_000)
  .meta({ description: 'Prefixes taken from one neighbour, of each family. Beyond it the session ends for 5 minutes.' })

export const routingBfdSchema = z
  .strictObject({
    intervalMs: z.int().min(50).max(60_000).default(300).meta({ description: 'Between two packets, in milliseconds.' }),
    multiplier: z.int().min(2).max(50).default(3).meta({ description: 'So many missing in a row end the session.' }),
  })
  .meta({ id: 'RoutingBfd', description: 'Timers of BFD (RFC 5880).' })

const bfdSchema = z.union([z.literal('off'), routingBfdSchema])

export const advertisementSchema = z
  .strictObject({
    prefixes: z.array(prefixSchema).min(1).max(MAX_OWNED),
    to: z
      .union([z.literal('all'), z.array(siteRefSchema).min(1).max(10_000)])
      .default('all')
      .meta({ description: 'Sites that may know of them; hubs on the way there know too.' }),
  })
  .meta({ id: 'Advertisement', description: 'Prefixes that a site tells of.' })
export type Advertisement = z.infer<typeof advertisementSchema>

const preferenceSchema = z.enum(['primary', 'backup']).meta({ description: 'backup: only where no other way is left.' })
export type Preference = z.infer<typeof preferenceSchema>

/** A number that names of BGP are made of. What a draft says of it counts for nothing. */
const numberSchema = (most: number) =>
  z.int().min(0).max(most).meta({ description: 'Given by the control plane; stays as long as the resource is there.' })

const siteFields = {
  owns: z
    .array(prefixSchema)
    .max(MAX_OWNED)
    .optional()
    .meta({ description: 'Prefixes of the site beside those that it is made with; they may be larger.' }),
  advertises: z
    .array(advertisementSchema)
    .max(MAX_OWNED)
    .optional()
    .meta({ description: 'All that it owns, to all, when absent. Each within what the site owns.' }),
  hub: z.boolean().optional().meta({ description: 'Passes on packets and routes between its neighbours.' }),
  through: z
    .array(siteRefSchema)
    .max(MAX_THROUGH)
    .optional()
    .meta({ description: 'Hubs in the order in which its traffic prefers them; those not named come last.' }),
  preference: preferenceSchema.optional().meta({ description: 'Of all tunnels of this site, primary when absent.' }),
  maxPrefixes: maxPrefixesSchema.optional(),
}

const tunnelFields = {
  preference: preferenceSchema.optional().meta({ description: 'As its sites say when absent.' }),
  bfd: bfdSchema.optional(),
  maxPrefixes: maxPrefixesSchema.optional(),
}

const general = {
  maxPrefixes: maxPrefixesSchema.default(10_000),
  bfd: bfdSchema.prefault({}),
}

export const routingDraftSchema = z
  .strictObject({
    ...general,
    sites: z
      .array(z.strictObject({ site: siteRefSchema, ...siteFields, number: numberSchema(MAX_SITE_NUMBER).optional() }))
      .max(10_000)
      .default([]),
    tunnels: z
      .array(z.strictObject({ tunnel: tunnelRefSchema, ...tunnelFields, number: numberSchema(65_535).optional() }))
      .max(100_000)
      .default([]),
  })
  .meta({
    id: 'RoutingDraft',
    description: 'Dynamic routing of the network. Without it tunnels lead to the prefixes of their sites, and no more.',
  })
export type RoutingDraft = z.infer<typeof routingDraftSchema>

export const routingSiteSchema = z.strictObject({
  site: idSchema('site'),
  ...siteFields,
  number: numberSchema(MAX_SITE_NUMBER),
})
/** Sites are named by their identifiers. */
export type RoutingSite = z.infer<typeof routingSiteSchema>

export const routingTunnelSchema = z.strictObject({
  tunnel: idSchema('tunnel'),
  ...tunnelFields,
  number: numberSchema(65_535),
})
export type RoutingTunnel = z.infer<typeof routingTunnelSchema>

export const routingSchema = z
  .strictObject({
    ...general,
    /** One for each site and each tunnel. */
    sites: z.array(routingSiteSchema).max(10_000),
    tunnels: z.array(routingTunnelSchema).max(100_000),
  })
  .meta({ id: 'Routing', description: 'Dynamic routing of the network, with an entry for every site and tunnel.' })
export type Routing = z.infer<typeof routingSchema>
export type RoutingGeneral = Pick<Routing, 'maxPrefixes' | 'bfd'>
