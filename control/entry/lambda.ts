/**
 * The control plane on AWS Lambda: API Gateway brings requests (payload format 2.0), EventBridge the time. The store is
 * PostgreSQL. There is no WebSocket here: connectors are told so, and ask by plain HTTP.
 */
import { handle } from 'hono/aws-lambda'
import release from '../../package.json' with { type: 'json' }
import { NO_HUB } from '../link/hub.ts'
import { storedNonces } from '../service/nonces.ts'
import type { Services } from '../service/services.ts'
import type { Log } from '../service/types.ts'
import { openPostgres } from '../store/postgres.ts'
import { openRepo } from '../store/repo-sql.ts'
import type { Sql } from '../store/sql.ts'
import { type AwsNetworks, awsAccess, readAwsNetworks } from './aws.ts'
import { assemble, hashOfAdminToken } from './common.ts'
import { jsonLog } from './json-log.ts'
import { type LambdaSecrets, lambdaSecrets } from './lambda-secrets.ts'

export interface LambdaOptions {
  /** Asked at the first event. */
  readonly secrets: () => Promise<LambdaSecrets>
  readonly openSql: (url: string) => Sql
  /** Networks for which AWS may be called, with the function's role. */
  readonly aws?: AwsNetworks | undefined
  readonly log: Log
}

/** An event of API Gateway; what else it has, the adapter reads. */
interface RequestEvent {
  readonly version: '2.0'
  readonly requestContext: { readonly http: { readonly sourceIp: string } }
}
/** An event of EventBridge: its rule says that it is time. */
interface ScheduleEvent {
  readonly source: 'aws.events' | 'aws.scheduler'
}

export type LambdaHandler = (event: unknown, context?: unknown) => Promise<unknown>

/** How long one scheduled event works at clouds at most, and waits between two turns at least. */
const CLOUD_MS = 20_000
const MIN_WAIT_MS = 250

interface Started {
  readonly request: LambdaHandler
  readonly tick: () => Promise<unknown>
}

/** One instance of the function. What fails to start is tried again with the next event. */
export function createLambda(options: LambdaOptions): LambdaHandler {
  let started: Promise<Started> | undefined
  return async (event, context) => {
    started ??= start(options)
    let instance: Started
    try {
      instance = await started
    } catch (error) {
      started = undefined
      options.log.error({ error: String(error) }, 'the control plane cannot start')
      throw error
    }
    if (isSchedule(event)) return instance.tick()
    if (isRequest(event)) return instance.request(event, context)
    throw new TypeError('neither a request of API Gateway (payload format 2.0) nor a scheduled event')
  }
}

async function start({ secrets, openSql, aws, log }: LambdaOptions): Promise<Started> {
  const { databaseUrl, keyring, adminToken } = await secrets()
  const sql = openSql(databaseUrl)
  try {
    const repo = await openRepo(sql)
    const { app, services } = await assemble({
      repo,
      hub: NO_HUB,
      keyring,
      adminHash: hashOfAdminToken(adminToken),
      nonces: storedNonces(repo),
      isLasting: false,
      log,
      version: release.version,
      clientAddress: (c) => (c.env as RequestEvent).requestContext.http.sourceIp,
      ...awsAccess(aws, async () => (await import('../aws/provider.ts')).createAwsProvider()),
    })
    return { request: handle(app) as LambdaHandler, tick: () => tick(services) }
  } catch (error) {
    await sql.close()
    throw error
  }
}

/** Events come once a minute: until the next one, runs at clouds get their turns from this one. */
async function tick({ scheduler, cloudRunner, context }: Services): Promise<unknown> {
  const until = context.clock() + CLOUD_MS
  const report = await scheduler.tick()
  for (;;) {
    await cloudRunner.tick()
    const next = await cloudRunner.nextTurn()
    if (next === undefined || next > until) return report
    const wait = Math.max(MIN_WAIT_MS, next - context.clock())
    await new Promise((resolve) => setTimeout(resolve, wait))
  }
}

function isSchedule(event: unknown): event is ScheduleEvent {
  const { source } = (event ?? {}) as Partial<ScheduleEvent>
  return source === 'aws.events' || source === 'aws.scheduler'
}

function isRequest(event: unknown): event is RequestEvent {
  const { version, requestContext } = (event ?? {}) as Partial<RequestEvent>
  return version === '2.0' && typeof requestContext?.http?.sourceIp === 'string'
}

export const handler: LambdaHandler = createLambda({
  secrets: () => lambdaSecrets(process.env),
  // An instance serves one request at a time.
  openSql: (url) => openPostgres(url, { sessions: 1 }),
  aws: readAwsNetworks(process.env.ISTHMUS_AWS_NETWORKS),
  log: jsonLog((line) => process.stdout.write(`${line}\n`), Date.now),
})
