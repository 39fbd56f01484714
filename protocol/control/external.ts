/**
 * Tunnels to gateways that are not ours, as the control plane tells a connector of them and hears of them: the two
 * tunnels of a cloud provider's VPN connection, for example. Their keys come sealed for the connector.
 */
import { z } from 'zod'
import { idSchema } from './ids.ts'
import { addressSchema, fingerprintSchema, jwsSchema, nameSchema, prefixSchema, publicKeySchema } from './values.ts'

/** Tunnels of one document. */
export const MAX_EXTERNALS = 1_000

/** Payload of the JWS by which a connector publishes its X25519 key for secrets, signed by its identity key. */
export const sealingKeySchema = z.strictObject({
  use: z.literal('isthmus-sealing-key'),
  network: idSchema('network'),
  connector: idSchema('connector'),
  /** X25519 public key. */
  key: publicKeySchema,
})
export type SealingKey = z.infer<typeof sealingKeySchema>

/**
 * A pre-shared key. `secret`: a compact JWE (RFC 7516) for the connector's sealing key, ECDH-ES with X25519 (RFC 8037
 * section 3.2) and A256GCM; its plaintext is the key's text in UTF-8, its protected header has `kid` = `<external>/<id>`.
 */
export const externalKeySchema = z.strictObject({
  id: z.string().regex(/^k[1-9]\d{0,8}$/),
  fingerprint: fingerprintSchema,
  secret: z
    .string()
    .max(4096)
    .regex(/^[\w-]+\.[\w-]*\.[\w-]+\.[\w-]+\.[\w-]+$/, 'not a compact JWE'),
})
export type ExternalKey = z.infer<typeof externalKeySchema>

/** Names as strongSwan spells them (`connector/core/ike/types.ts`); the first is preferred. */
export const ikeProposalNameSchema = z
  .string()
  .regex(/^[a-z0-9]+(-[a-z0-9]+){1,3}$/)
  .max(64)

export const externalRoutingSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('bgp'),
    localAs: z.int().min(1).max(4_294_967_294),
    peerAs: z.int().min(1).max(4_294_967_294),
    /** What the peer is told, wherever we have it from: the site's own prefixes, and those of others that it speaks for. */
    advertise: z.array(prefixSchema).max(100),
    /** What is taken from the peer: these and all within them. */
    accept: z.array(prefixSchema).min(1).max(100),
    /** Prefixes taken; beyond it the session ends, for five minutes. */
    maxPrefixes: z.int().min(1).max(10_000).default(1_000),
    holdTimeS: z.int().min(3).max(65_535).default(30),
  }),
  z.strictObject({ kind: z.literal('static'), prefixes: z.array(prefixSchema).min(1).max(100) }),
])
export type ExternalRouting = z.infer<typeof externalRoutingSchema>

export const documentExternalSchema = z
  .strictObject({
    id: idSchema('external'),
    /** Of the connection in status and logs; unique among the names of the document's tunnels and externals. */
    name: nameSchema,
    peer: z.strictObject({
      address: addressSchema,
      /** Its IKE identity; the address where absent. */
      identity: z.string().max(255).optional(),
    }),
    /** Our IKE identity towards it, an address; the connector's own address where absent. */
    identity: addressSchema.optional(),
    initiate: z.boolean().default(true),
    /** `aes256gcm16-prfsha256-ecp256` and the like, in order of preference. */
    ike: z.array(ikeProposalNameSchema).min(1).max(8),
    /** `aes256gcm16-ecp256` and the like. */
    esp: z.array(ikeProposalNameSchema).min(1).max(8),
    ikeLifetimeS: z.int().min(300).max(86_400),
    childLifetimeS: z.int().min(300).max(86_400),
    dpdS: z.int().min(5).max(3_600),
    replayWindow: z.int().min(64).max(4_096),
    pathMtu: z.int().min(576).max(9_216).optional(),
    /** Our address inside the tunnel and the peer's, the two hosts of one /30 of 169.254.0.0/16. */
    inside: z.strictObject({ local: addressSchema, peer: addressSchema }),
    routing: externalRoutingSchema,
    /** Externals of one value lead to the same place: one takes over from the other. */
    group: z.string().max(64),
    /** Traffic is to leave this tunnel at both ends while the session stays up: MED, prepending, local preference. */
    drained: z.boolean().default(false),
    /** The first is for initiating, all are accepted. */
    keys: z.array(externalKeySchema).min(1).max(2),
    /**
     * Grows to have the tunnel set up anew with the first key, though the present SA still lives: after the peer has
     * changed its side.
     */
    generation: z.int().min(0).default(0),
  })
  .meta({ id: 'DocumentExternal', description: 'A tunnel to a gateway that is not one of ours.' })
export type DocumentExternal = z.infer<typeof documentExternalSchema>

const count = z.int().min(0)
export const externalStatusSchema = z.strictObject({
  external: idSchema('external'),
  state: z.enum(['up', 'degraded', 'connecting', 'waiting', 'idle', 'closing', 'refused']),
  /** The key that the IKE SA was authenticated with. */
  key: z.string().max(16).optional(),
  /** As it is carried out. */
  generation: count,
  drained: z.boolean(),
  /** Whether packets pass: by probes of the peer's inside address, else by the state of IKE. */
  passing: z.boolean(),
  bgp: z
    .strictObject({ established: z.boolean(), flaps: count, received: count, accepted: count, advertised: count })
    .optional(),
  /** Since the connector started; ESP packets. `missing` as in `TunnelReport`. */
  traffic: z.strictObject({
    outPackets: count,
    inPackets: count,
    outBytes: count,
    inBytes: count,
    dropped: count,
    missing: count.optional(),
  }),
  /**
   * For how many milliseconds nothing but probes and routing sessions has passed, each way: up to what they need in
   * packets. Absent where that is not known yet.
   */
  idleMs: count.optional(),
  problem: z
    .strictObject({ code: z.string().max(64), cause: z.string().max(512), remedy: z.string().max(512) })
    .optional(),
})
export type ExternalStatus = z.infer<typeof externalStatusSchema>

/** Of a connector that can: only then does its document have externals. */
export const externalsReportSchema = z.strictObject({
  /** JWS of `SealingKey`. */
  sealingKey: jwsSchema,
  externals: z.array(externalStatusSchema).max(MAX_EXTERNALS),
  /** What of the document was refused, in words. */
  refused: z.array(z.string().max(512)).max(100),
})
export type ExternalsReport = z.infer<typeof externalsReportSchema>
