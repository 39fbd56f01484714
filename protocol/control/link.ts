/**
 * The link between a connector and the control plane: JSON text messages over one WebSocket. The connector speaks
 * first. Where there is no WebSocket, the same documents go by conditional GET and POST.
 */
import { z } from 'zod'
import { connectorDocumentSchema } from './document.ts'
import { externalsReportSchema } from './external.ts'
import { functionsReportSchema } from './grant.ts'
import { idSchema } from './ids.ts'
import { routingReportSchema } from './routing.ts'
import { addressSchema, epochNumberSchema, fingerprintSchema, instantSchema, jwsSchema } from './values.ts'

/** Grows when a message changes its meaning; an end refuses a higher number than its own. */
export const LINK_PROTOCOL = 1
/** Bytes of one message. */
export const MAX_LINK_MESSAGE = 4 << 20

const count = z.int().min(0)

export const epochStatusSchema = z.strictObject({
  epoch: epochNumberSchema,
  /** Our `EpochKey`, from `offer` on. */
  key: jwsSchema.optional(),
  /** An IKE SA that authenticates with it is accepted. */
  accepted: z.boolean(),
  /** The IKE SA that carries the tunnel was authenticated with it. */
  using: z.boolean(),
  /** Authentic ESP has come in on an SA under it, or an IKE request was answered under it. */
  confirmed: z.boolean(),
  fingerprint: fingerprintSchema.optional(),
})
export type EpochStatus = z.infer<typeof epochStatusSchema>

export const tunnelReportSchema = z.strictObject({
  tunnel: idSchema('tunnel'),
  state: z.enum(['up', 'degraded', 'connecting', 'waiting', 'idle', 'closing', 'refused']),
  epochs: z.array(epochStatusSchema).max(4),
  /**
   * Since the connector started; ESP packets sealed and opened, and inner packets dropped for want of an SA.
   * `missing`: sequence numbers of all SAs so far that newer ones have passed and that never came (RFC 4303
   * section 3.4.3): packets lost on the way here, whatever the peer's counters say at another moment.
   */
  traffic: z.strictObject({
    outPackets: count,
    inPackets: count,
    outBytes: count,
    inBytes: count,
    dropped: count,
    missing: count.optional(),
  }),
  problem: z
    .strictObject({ code: z.string().max(64), cause: z.string().max(512), remedy: z.string().max(512) })
    .optional(),
})
export type TunnelReport = z.infer<typeof tunnelReportSchema>

export const connectorReportSchema = z
  .strictObject({
    /** Version of the document that is carried out; 0 while there is none. */
    version: z.int().min(0),
    startedAt: instantSchema,
    at: instantSchema,
    software: z.string().max(32),
    /** Local addresses by which the connector reaches the control plane and its peers. */
    addresses: z.array(addressSchema).max(16),
    tunnels: z.array(tunnelReportSchema).max(10_000),
    /** Where it serves functions. Only then does the control plane speak to it of them. */
    functions: functionsReportSchema.optional(),
    /** Of a connector that can route dynamically; only then does its document have a section for it. */
    routing: routingReportSchema.optional(),
    /** Of a connector that can have tunnels to gateways that are not ours; only then does its document have any. */
    externals: externalsReportSchema.optional(),
  })
  .meta({ id: 'ConnectorReport', description: 'What a connector says of itself.' })
export type ConnectorReport = z.infer<typeof connectorReportSchema>

export const linkEventSchema = z.strictObject({
  at: instantSchema,
  code: z.string().max(64),
  message: z.string().max(512),
  tunnel: idSchema('tunnel').optional(),
})
export type LinkEvent = z.infer<typeof linkEventSchema>

/** What the connector sends. */
export const fromConnectorSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('hello'), protocol: z.int().min(1), report: connectorReportSchema }),
  z.strictObject({ type: z.literal('report'), report: connectorReportSchema }),
  z.strictObject({ type: z.literal('event'), event: linkEventSchema }),
])
export type FromConnector = z.infer<typeof fromConnectorSchema>

/** What the control plane sends. */
export const fromControlSchema = z.discriminatedUnion('type', [
  /** Answer to a hello; the document follows unless the connector has it. */
  z.strictObject({
    type: z.literal('welcome'),
    protocol: z.int().min(1),
    now: instantSchema,
    version: z.int().min(1),
    /** Only to a connector that serves functions. `spare`: relay sockets that it is to keep open unused. */
    relay: z.strictObject({ spare: z.int().min(0).max(16) }).optional(),
  }),
  /** Functions wait at the relay for so many sockets of this connector. */
  z.strictObject({ type: z.literal('call'), count: z.int().min(1).max(1024) }),
  z.strictObject({ type: z.literal('document'), document: connectorDocumentSchema }),
  /** Say how you are, now. Only to one that routes, or has tunnels to other gateways: older ones do not know it. */
  z.strictObject({ type: z.literal('ask') }),
  /** Nothing more comes: the connector is revoked, another with its identity took over, or the server goes away. */
  z.strictObject({
    type: z.literal('bye'),
    code: z.enum(['revoked', 'replaced', 'restart', 'protocol']),
    detail: z.string().max(256),
  }),
])
export type FromControl = z.infer<typeof fromControlSchema>
