/**
 * Dynamic routing between the connectors of a network, as a connector's document has it: BGP inside the tunnels, each
 * connector an AS of its own. Default deny: what no rule names is neither taken nor told.
 */
import { z } from 'zod'
import { idSchema } from './ids.ts'
import { addressSchema, nameSchema, prefixSchema } from './values.ts'

/** AS numbers of private use (RFC 6996), of four octets. */
const asSchema = z.int().min(4_200_000_000).max(4_294_967_294)

/** A prefix and those within it up to the length `le`; without `le` that prefix alone. */
export const routeRangeSchema = z.strictObject({ prefix: prefixSchema, le: z.int().min(0).max(128).optional() })
export type RouteRange = z.infer<typeof routeRangeSchema>

/** At most of each list in one document; what is larger has to be split by aggregation. */
export const MAX_GROUPS = 20_000
export const MAX_ORIGINS = 10_000

/**
 * Routes, by who originates them. Neighbours of one document share groups: a hub tells all of its neighbours much the
 * same. A route belongs to it when a range of its origin matches; one that another AS originates does not (a leak, or a
 * theft).
 */
export const routeGroupSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9_.-]{1,64}$/),
  origins: z
    .array(z.strictObject({ as: asSchema, ranges: z.array(routeRangeSchema).min(1).max(MAX_ORIGINS) }))
    .max(MAX_ORIGINS),
})
export type RouteGroup = z.infer<typeof routeGroupSchema>

/** Of several rules whose group has the route, the first one counts; a group that is not there has none. */
export const receiveRuleSchema = z.strictObject({
  group: z.string().max(64),
  /** LOCAL_PREF: the higher wins. */
  preference: z.int().min(0).max(1_000_000).default(100),
})
export type ReceiveRule = z.infer<typeof receiveRuleSchema>

export const sendRuleSchema = z.strictObject({
  group: z.string().max(64),
  /** MULTI_EXIT_DISC: the lower wins. */
  med: z.int().min(0).max(0xffff_ffff).optional(),
  /** Our AS so many times more in the path. */
  prepend: z.int().min(0).max(32).default(0),
})
export type SendRule = z.infer<typeof sendRuleSchema>

export const routingNeighbourSchema = z.strictObject({
  tunnel: idSchema('tunnel'),
  /** The site at the other end. */
  site: nameSchema,
  as: asSchema,
  /** Our address inside the tunnel, and the neighbour's, of one /30 of 169.254.0.0/16. */
  local: addressSchema,
  address: addressSchema,
  receive: z.array(receiveRuleSchema).max(1_000),
  send: z.array(sendRuleSchema).max(1_000),
  /** Prefixes taken of each family; beyond it the session ends, for five minutes. */
  maxPrefixes: z.int().min(1).max(1_000_000),
  bfd: z.strictObject({ intervalMs: z.int().min(50).max(60_000), multiplier: z.int().min(2).max(50) }).optional(),
})
export type RoutingNeighbour = z.infer<typeof routingNeighbourSchema>

export const documentRoutingSchema = z
  .strictObject({
    as: asSchema,
    /** BGP identifier, written as an IPv4 address; unique in the network. */
    routerId: z.ipv4(),
    /** What we originate: each within what this site owns. */
    advertise: z.array(prefixSchema).max(10_000),
    /** Packets may go from one of these tunnels into another without leaving the connector. */
    transit: z.boolean(),
    /** What the rules of the neighbours name. */
    groups: z.array(routeGroupSchema).max(MAX_GROUPS),
    neighbours: z.array(routingNeighbourSchema).max(10_000),
  })
  .meta({ id: 'DocumentRouting', description: 'Dynamic routing of one connector.' })
export type DocumentRouting = z.infer<typeof documentRoutingSchema>

/** How one tunnel's routing and path are, as a connector reports them. Counters are since the connector started. */
export const pathHealthSchema = z.strictObject({
  tunnel: idSchema('tunnel'),
  /** Whether packets pass, by probes and BFD where there are any, else by the state of IKE. */
  passing: z.boolean(),
  rttMs: z.number().min(0).optional(),
  /** Share of packets lost, 0 to 1, over the last half minute. */
  lossOut: z.number().min(0).max(1).optional(),
  lossIn: z.number().min(0).max(1).optional(),
  bgp: z
    .strictObject({
      established: z.boolean(),
      flaps: z.int().min(0),
      received: z.int().min(0),
      accepted: z.int().min(0),
      advertised: z.int().min(0),
    })
    .optional(),
})
export type PathHealth = z.infer<typeof pathHealthSchema>

export const routingReportSchema = z.strictObject({
  paths: z.array(pathHealthSchema).max(10_000),
  /** What of the document was refused, in words: prefixes that this site does not own, and the like. */
  refused: z.array(z.string().max(512)).max(100),
  /** A report comes at least so often; every 30 s when absent. */
  everyMs: z.int().min(1000).max(600_000).optional(),
})
export type RoutingReport = z.infer<typeof routingReportSchema>
