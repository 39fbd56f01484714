/** Functions: who they are, what they may reach, and the grant by which one opens a session to a connector. */
import { z } from 'zod'
import { idSchema } from './ids.ts'
import { siteRefSchema } from './intent.ts'
import { instantSchema, jwsSchema, nameSchema, publicKeySchema } from './values.ts'

/** How long a session token is good. */
export const SESSION_TOKEN_MS = 600_000

export const serviceNameSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'a service is 1 to 63 lower-case letters, digits and dashes')
  .meta({ description: 'A service, as the connector at its site declares it.', examples: ['erp'] })

/** Where a connector listens for functions. */
export const directUrlSchema = z
  .url({ protocol: /^wss?$/ })
  .max(256)
  .meta({ description: 'WebSocket address.', examples: ['wss://hq.example.net:8443/'] })

export const allowedServicesSchema = z.strictObject({
  site: siteRefSchema,
  services: z.array(serviceNameSchema).min(1).max(64),
})

/** What of a function can be changed. */
export const functionChangeSchema = z
  .strictObject({
    name: nameSchema,
    allow: z
      .array(allowedServicesSchema)
      .max(64)
      .meta({ description: 'What it may reach. The connector at the site must allow it too.' }),
  })
  .meta({ id: 'FunctionChange' })
export type FunctionChange = z.infer<typeof functionChangeSchema>

export const functionDraftSchema = functionChangeSchema
  .extend({
    expiresInDays: z.int().min(1).max(3660).optional().meta({ description: 'Its token is good for ever when absent.' }),
  })
  .meta({ id: 'FunctionDraft' })
export type FunctionDraft = z.infer<typeof functionDraftSchema>

export const functionInfoSchema = z
  .strictObject({
    id: idSchema('function'),
    name: nameSchema,
    allow: z.array(z.strictObject({ site: idSchema('site'), services: z.array(serviceNameSchema) })),
    createdAt: instantSchema,
    expiresAt: instantSchema.optional(),
    lastGrantAt: instantSchema.optional(),
    revokedAt: instantSchema.optional(),
  })
  .meta({ id: 'Function', description: 'A program that may reach services behind connectors.' })
export type FunctionInfo = z.infer<typeof functionInfoSchema>

export const grantRequestSchema = z
  .strictObject({
    site: nameSchema,
    /** X25519, the function's own, made when it started. */
    publicKey: publicKeySchema,
  })
  .meta({ id: 'GrantRequest' })
export type GrantRequest = z.infer<typeof grantRequestSchema>

export const grantConnectorSchema = z.strictObject({
  id: idSchema('connector'),
  identityKey: publicKeySchema,
  /** JWS of `StreamKey` by the identity key. */
  streamKey: jwsSchema,
  direct: directUrlSchema.optional(),
  /** Path at this control plane; absent where the connector is not linked, or there are no WebSockets. */
  relay: z.string().max(200).optional(),
})

export const grantSchema = z
  .strictObject({
    token: jwsSchema,
    now: instantSchema,
    expiresAt: instantSchema,
    site: nameSchema,
    services: z.array(serviceNameSchema),
    connectors: z.array(grantConnectorSchema),
  })
  .meta({ id: 'Grant', description: 'Good for sessions with the connectors of one site.' })
export type Grant = z.infer<typeof grantSchema>

/** Payload of the session token, signed by the network's function key. */
export const sessionClaimsSchema = z.strictObject({
  use: z.literal('isthmus-session'),
  network: idSchema('network'),
  function: idSchema('function'),
  name: nameSchema,
  site: nameSchema,
  services: z.array(serviceNameSchema).max(64),
  key: publicKeySchema,
  iat: instantSchema,
  exp: instantSchema,
})
export type SessionClaims = z.infer<typeof sessionClaimsSchema>

/** Payload of the JWS by which a connector publishes its X25519 key for sessions of functions. */
export const streamKeySchema = z.strictObject({
  use: z.literal('isthmus-stream-key'),
  network: idSchema('network'),
  connector: idSchema('connector'),
  key: publicKeySchema,
})
export type StreamKey = z.infer<typeof streamKeySchema>

/** What a connector offers to functions, as people are shown it. */
export const offeredServicesSchema = z
  .strictObject({
    direct: directUrlSchema.optional(),
    services: z
      .array(z.strictObject({ name: serviceNameSchema, kind: z.enum(['http', 'https', 'tcp', 'network']) }))
      .max(256),
  })
  .meta({ id: 'OfferedServices', description: 'What a connector offers to functions.' })
export type OfferedServices = z.infer<typeof offeredServicesSchema>

/** What a connector that serves functions says of that in its report. */
export const functionsReportSchema = offeredServicesSchema
  .extend({ streamKey: jwsSchema })
  .meta({ id: 'FunctionsReport', description: 'What a connector that serves functions says of that.' })
export type FunctionsReport = z.infer<typeof functionsReportSchema>

/** In the document of a connector that serves functions. */
export const functionsDocumentSchema = z.strictObject({
  /** Ed25519 keys, any of which signs session tokens; newest first. */
  tokenKeys: z.array(publicKeySchema).min(1).max(4),
})
