/**
 * Connections to the VPN gateways of cloud providers: what is wanted of one, what there is of it, what would have to be
 * done, and the runs that do it. Two tunnels each, both to the connector of one site.
 */
import { z } from 'zod'
import { idSchema } from './ids.ts'
import { siteRefSchema } from './intent.ts'
import { addressSchema, fingerprintSchema, instantSchema, jwsSchema, nameSchema, prefixSchema } from './values.ts'

const count = z.int().min(0)
const text = z.string().max(1024)
const awsId = (kind: string) =>
  z.string().regex(new RegExp(`^${kind}-[0-9a-f]{8,17}$`), `not an identifier like ${kind}-0123456789abcdef0`)

export const regionSchema = z
  .string()
  .regex(/^[a-z]{2}(-[a-z]+){1,3}-\d{1,2}$/, 'not a region, like eu-central-1')
  .meta({ description: 'The provider’s region.', examples: ['eu-central-1'] })

/** AWS's words. With GCM the integrity algorithms are what IKE's PRF is made of. */
export const AWS_ENCRYPTION = ['AES256-GCM-16', 'AES128-GCM-16', 'AES256', 'AES128'] as const
export const AWS_INTEGRITY = ['SHA2-512', 'SHA2-384', 'SHA2-256'] as const
/** Those that both AWS and our IKE have; 19 to 21 are the NIST curves, 14 to 16 MODP of 2048 to 4096 bits. */
export const AWS_GROUPS = [20, 19, 21, 16, 15, 14] as const

/** Of both tunnels. The defaults are the strongest that AWS has. */
export const awsOptionsSchema = z
  .strictObject({
    encryption: z.array(z.enum(AWS_ENCRYPTION)).min(1).max(4).default(['AES256-GCM-16']),
    integrity: z.array(z.enum(AWS_INTEGRITY)).min(1).max(3).default(['SHA2-384']),
    groups: z.array(z.literal(AWS_GROUPS)).min(1).max(6).default([20]),
    /** Seconds: phase 1, 900 to 28,800, and phase 2, 900 to 3,600 and less than phase 1. */
    ikeLifetimeS: z.int().min(900).max(28_800).default(28_800),
    childLifetimeS: z.int().min(900).max(3_600).default(3_600),
    /** Seconds before the end of phase 2 in which AWS rekeys: 60 to half of phase 2; fuzz is percent of it. */
    rekeyMarginS: z.int().min(60).max(1_800).default(270),
    rekeyFuzzPercent: z.int().min(0).max(100).default(100),
    replayWindow: z.int().min(64).max(2_048).default(1_024),
    /** Seconds, at least 30. */
    dpdS: z.int().min(30).max(3_600).default(30),
    dpdAction: z.enum(['restart', 'clear', 'none']).default('restart'),
    startup: z.enum(['start', 'add']).default('start'),
  })
  .meta({ id: 'AwsOptions' })
export type AwsOptions = z.infer<typeof awsOptionsSchema>

export const cloudTargetSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('vpc'),
      vpc: awsId('vpc'),
      /** One that is there, attached to the VPC. Absent: one is made. */
      vpnGateway: awsId('vgw').optional(),
      /** AS of the gateway that is made: 64512 to 65534, or 4200000000 to 4294967294. */
      as: z.int().min(64_512).max(4_294_967_294).default(64_512),
    }),
    z.strictObject({
      kind: z.literal('transit-gateway'),
      transitGateway: awsId('tgw'),
      /** VPCs whose route tables get entries towards the site. They must be attached already. */
      vpcs: z.array(awsId('vpc')).max(50).default([]),
    }),
  ])
  .meta({ id: 'CloudTarget' })
export type CloudTarget = z.infer<typeof cloudTargetSchema>

export const cloudDraftSchema = z
  .strictObject({
    name: nameSchema,
    provider: z.literal('aws').default('aws'),
    site: siteRefSchema.meta({ description: 'The site whose connector has the tunnels, by name or identifier.' }),
    region: regionSchema,
    target: cloudTargetSchema,
    gateway: z
      .strictObject({
        /** Where AWS reaches the connector. Absent: the endpoint that the control plane knows of it. */
        address: addressSchema.optional(),
        /** Our AS. Absent: the site's own where the network has routing, else 65000. */
        as: z.int().min(1).max(4_294_967_294).optional(),
      })
      .prefault({}),
    /** static: the site's prefixes are written down at AWS, and nothing can steer AWS away from a tunnel. */
    routing: z.enum(['bgp', 'static']).default('bgp'),
    local: z
      .array(prefixSchema)
      .max(100)
      .optional()
      .meta({ description: 'What AWS is told that lies behind the site. Absent: the prefixes of the site.' }),
    remote: z
      .array(prefixSchema)
      .max(100)
      .optional()
      .meta({ description: 'What lies behind AWS. Absent: the blocks of the VPC; a transit gateway needs it said.' }),
    routeTables: z
      .union([z.enum(['all', 'main', 'none']), z.array(awsId('rtb')).min(1).max(100)])
      .default('all')
      .meta({ description: 'Route tables that learn the way to the site.' }),
    options: awsOptionsSchema.prefault({}),
    insideCidrs: z
      .array(prefixSchema)
      .length(2)
      .optional()
      .meta({ description: 'The /30 of each tunnel, of 169.254.0.0/16. Absent: free ones are chosen.' }),
    policy: z
      .string()
      .max(64)
      .optional()
      .meta({ description: 'Rotation policy by which its keys are rotated, by name or identifier.' }),
  })
  .meta({ id: 'CloudDraft', description: 'A VPN connection to AWS, as it is wanted.' })
export type CloudDraft = z.infer<typeof cloudDraftSchema>

export const CLOUD_RESOURCES = [
  'customer-gateway',
  'vpn-gateway',
  'vpn-attachment',
  'vpn-connection',
  'vpn-route',
  'route-propagation',
  'route',
] as const
export const cloudResourceSchema = z.strictObject({
  kind: z.enum(CLOUD_RESOURCES),
  /** The provider's identifier; of routes `<table>/<prefix>`, of propagations `<table>/<gateway>`. */
  id: z.string().max(128),
  /** Whether we made it: only then is it ever removed. */
  made: z.boolean(),
})
export type CloudResource = z.infer<typeof cloudResourceSchema>

export const cloudTunnelSchema = z.strictObject({
  external: idSchema('external'),
  name: nameSchema,
  insideCidr: prefixSchema,
  /** The provider's outer address, once it is known. */
  outside: addressSchema.optional(),
  key: z.strictObject({ id: z.string().max(16), fingerprint: fingerprintSchema, since: instantSchema }).optional(),
  /** As the provider tells. */
  provider: z
    .strictObject({ status: z.enum(['UP', 'DOWN']), since: instantSchema.optional(), message: text.optional() })
    .optional(),
  /** As the connector tells. */
  connector: z
    .strictObject({ state: z.string().max(16), passing: z.boolean(), bgp: z.boolean().optional() })
    .optional(),
})
export type CloudTunnel = z.infer<typeof cloudTunnelSchema>

export const DRIFT_CODES = [
  'missing',
  'option-changed',
  'route-missing',
  'propagation-missing',
  'tag-missing',
  'endpoint-moved',
  'address-differs',
  'unknown-resource',
  'vpc-changed',
] as const
export const driftSchema = z
  .strictObject({
    code: z.enum(DRIFT_CODES),
    resource: z.string().max(128),
    /** One sentence: what AWS has, what is wanted. */
    detail: text,
    /** One sentence: what `fix` does, or what a person has to do. */
    remedy: text,
    fixable: z.boolean(),
  })
  .meta({ id: 'CloudDrift' })
export type Drift = z.infer<typeof driftSchema>

export const cloudSchema = cloudDraftSchema
  .omit({ site: true })
  .extend({
    id: idSchema('cloud'),
    site: idSchema('site'),
    createdAt: instantSchema,
    /** new: nothing was made yet. destroyed ones are gone. */
    state: z.enum(['new', 'applying', 'up', 'degraded', 'down', 'rotating', 'destroying']),
    resources: z.array(cloudResourceSchema).max(1_000),
    tunnels: z.array(cloudTunnelSchema).max(2),
    /** When AWS was last looked at, and what differs from the intent since. */
    lookedAt: instantSchema.optional(),
    drift: z.array(driftSchema).max(200),
    /** The run that is under way. */
    run: idSchema('cloudRun').optional(),
  })
  .meta({ id: 'Cloud', description: 'A VPN connection to AWS.' })
export type Cloud = z.infer<typeof cloudSchema>

export const cloudLookSchema = z
  .strictObject({ lookedAt: instantSchema, drift: z.array(driftSchema).max(200) })
  .meta({ id: 'CloudLook', description: 'What AWS has that differs from what is wanted, as of now.' })
export type CloudLook = z.infer<typeof cloudLookSchema>

/** Dollars; the user's own where prices differ. */
export const priceSchema = z
  .strictObject({
    connectionHour: z.number().min(0).default(0.05),
    transitAttachmentHour: z.number().min(0).default(0.05),
    transitGigabyte: z.number().min(0).default(0.02),
    /** Data that leaves AWS. */
    outGigabyte: z.number().min(0).default(0.09),
    /** What to reckon with. */
    gigabytesOut: z.number().min(0).default(100),
    gigabytesIn: z.number().min(0).default(100),
    hours: z.number().min(0).max(8_784).default(730),
  })
  .meta({ id: 'CloudPrices', description: 'Prices and amounts that a cost estimate is made from, in dollars.' })
export type CloudPrices = z.infer<typeof priceSchema>

export const cloudStepSchema = z.strictObject({
  /** `create-vpn-connection` and the like; with what it concerns it names the step. */
  action: z.string().max(64),
  resource: z.string().max(128),
  detail: text,
})

export type CloudStep = z.infer<typeof cloudStepSchema>

export const cloudPlanSchema = z
  .strictObject({
    name: nameSchema,
    /** In the order in which they are carried out. Empty: there is nothing to do. */
    steps: z.array(cloudStepSchema).max(1_000),
    drift: z.array(driftSchema).max(200),
    /** What speaks against it; errors stop `apply`. */
    findings: z
      .array(
        z.strictObject({
          severity: z.enum(['error', 'warning']),
          code: z.string().max(64),
          detail: text,
          remedy: text,
        }),
      )
      .max(100),
    cost: z.strictObject({
      currency: z.literal('USD'),
      perMonth: z.number(),
      lines: z.array(z.strictObject({ what: text, amount: z.number() })).max(20),
    }),
  })
  .meta({ id: 'CloudPlan', description: 'What would be done at AWS.' })
export type CloudPlan = z.infer<typeof cloudPlanSchema>

export const cloudPlanRequestSchema = z
  .strictObject({ draft: cloudDraftSchema, prices: priceSchema.prefault({}) })
  .meta({ id: 'CloudPlanRequest' })

/**
 *     running ── done | failed
 *        └── aborting ── aborted
 *
 * failed: what was done stays, is listed, and the next run goes on from it.
 */
export const cloudRunSchema = z
  .strictObject({
    id: idSchema('cloudRun'),
    cloud: idSchema('cloud'),
    kind: z.enum(['apply', 'fix', 'rotate', 'destroy']),
    state: z.enum(['running', 'aborting', 'done', 'failed', 'aborted']),
    startedBy: z.string().max(128),
    createdAt: instantSchema,
    finishedAt: instantSchema.optional(),
    /** The journal. A step is written down before it is begun and when it has ended. */
    steps: z
      .array(
        cloudStepSchema.extend({
          state: z.enum(['begun', 'done', 'failed']),
          begunAt: instantSchema,
          endedAt: instantSchema.optional(),
          attempts: z.int().min(1),
        }),
      )
      .max(2_000),
    /** What it waits for at present, and until when at most. */
    waitingFor: text.optional(),
    deadline: instantSchema.optional(),
    /** How much is done, 0 to 1, as far as one can say. */
    progress: z.number().min(0).max(1),
    error: z.strictObject({ code: z.string().max(64), cause: text, remedy: text }).optional(),
    /** Of a rotation that has ended: JWS of `CloudEvidence`. */
    evidence: jwsSchema.optional(),
  })
  .meta({ id: 'CloudRun', description: 'A piece of work at a cloud provider, journaled step by step.' })
export type CloudRun = z.infer<typeof cloudRunSchema>

export const cloudRunDraftSchema = z
  .strictObject({
    kind: z.enum(['apply', 'fix', 'rotate', 'destroy']),
    /** Rotate: also where packets may be lost, for AWS cannot be steered (static routing), or one tunnel is down. */
    acceptLoss: z.boolean().default(false),
  })
  .meta({ id: 'CloudRunDraft' })

export const cloudEvidenceSchema = z
  .strictObject({
    use: z.literal('isthmus-cloud-rotation-evidence'),
    network: idSchema('network'),
    run: idSchema('cloudRun'),
    cloud: idSchema('cloud'),
    startedBy: z.string(),
    startedAt: instantSchema,
    finishedAt: instantSchema,
    outcome: z.enum(['done', 'aborted', 'failed']),
    reason: z.string().optional(),
    tunnels: z.array(
      z.strictObject({
        external: idSchema('external'),
        oldKey: fingerprintSchema.optional(),
        newKey: fingerprintSchema.optional(),
        drainedAt: instantSchema.optional(),
        /** For how long it was idle before the provider was asked to change it. */
        idleMs: count.optional(),
        backAt: instantSchema.optional(),
      }),
    ),
    /** Of both tunnels, while it lasted. `missing`: by sequence numbers of what came in. */
    traffic: z.strictObject({ outPackets: count, inPackets: count, dropped: count, missing: count.optional() }),
    complete: z.boolean(),
  })
  .meta({ id: 'CloudEvidence' })
export type CloudEvidence = z.infer<typeof cloudEvidenceSchema>
