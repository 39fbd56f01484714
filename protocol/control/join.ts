/** Enrollment: a join token, which is used once, buys a connector its place in a network. */
import { z } from 'zod'
import { connectorDocumentSchema } from './document.ts'
import { idSchema } from './ids.ts'
import { addressSchema, instantSchema, jwsSchema, nameSchema, publicKeySchema } from './values.ts'

/** `ist_join_<network>_<id>_<secret>`: tells the network, so that the request finds its store. */
export const joinTokenSchema = z
  .string()
  .max(200)
  .regex(/^ist_join_[0-9a-z_]+_[A-Za-z0-9_-]{43}$/, 'not a join token')

export const joinRequestSchema = z
  .strictObject({
    token: joinTokenSchema,
    /** Ed25519. Made on site; its private half never leaves it. */
    publicKey: publicKeySchema,
    name: nameSchema.optional(),
    addresses: z.array(addressSchema).max(16),
    software: z.string().max(32),
    /** JWS of `JoinProof` by the key itself: whoever joins has its private half. */
    proof: jwsSchema,
  })
  .meta({ id: 'JoinRequest' })
export type JoinRequest = z.infer<typeof joinRequestSchema>

export const joinProofSchema = z.strictObject({
  use: z.literal('isthmus-join'),
  /** SHA-256 of the token, base64url. */
  token: z.string(),
  iat: z.int(),
})
export type JoinProof = z.infer<typeof joinProofSchema>

export const joinAnswerSchema = z
  .strictObject({
    network: idSchema('network'),
    connector: idSchema('connector'),
    site: nameSchema,
    now: instantSchema,
    document: connectorDocumentSchema,
  })
  .meta({ id: 'JoinAnswer' })
export type JoinAnswer = z.infer<typeof joinAnswerSchema>

/**
 * A connector authenticates each request, and its link, by a JWS of these claims in
 * `Authorization: Isthmus <jws>`, good for one request within `PROOF_LIFETIME_MS`.
 */
export const requestProofSchema = z.strictObject({
  use: z.literal('isthmus-request'),
  network: idSchema('network'),
  connector: idSchema('connector'),
  method: z.string().max(8),
  /** Path and query. */
  target: z.string().max(2048),
  /** SHA-256 of the body, base64url; of nothing for none. */
  body: z.string().length(43),
  /** Milliseconds since 1970. */
  at: instantSchema,
  /** Never used twice: 16 random bytes, base64url. */
  nonce: z.string().length(22),
})
export type RequestProof = z.infer<typeof requestProofSchema>
export const PROOF_LIFETIME_MS = 60_000
