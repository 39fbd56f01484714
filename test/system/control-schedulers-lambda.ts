/**
 * What AWS does for the Lambda entry, small enough for a namespace:
 *
 *     control-schedulers-lambda.ts ADDRESS PORT SECRETS
 *
 * HTTP on ADDRESS:PORT becomes events of API Gateway (payload format 2.0), and each second an event of EventBridge
 * comes. An instance serves one event at a time; where all are busy there is one more. Their PostgreSQL is in this
 * process. SECRETS: `LambdaSecrets` as JSON. Prints `ready`.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { jsonLog } from '../../control/entry/json-log.ts'
import { createLambda, type LambdaHandler } from '../../control/entry/lambda.ts'
import { Lite } from '../../control/store/testing/pglite.ts'

const [address, port, secretsText] = process.argv.slice(2)
const secrets = JSON.parse(secretsText!)
const TICK_MS = 1000
/** Of the connection, not of the request: the gateway keeps them to itself. */
const HOP_BY_HOP = new Set(['connection', 'upgrade', 'keep-alive', 'transfer-encoding', 'cookie'])

interface Result {
  readonly statusCode: number
  readonly headers?: Record<string, string>
  readonly cookies?: readonly string[]
  readonly body?: string
  readonly isBase64Encoded?: boolean
}

const lite = await Lite.start()
const log = jsonLog((line) => process.stdout.write(`${line}\n`), Date.now)
const idle: LambdaHandler[] = []

async function invoke(event: unknown): Promise<unknown> {
  const options = { secrets: async () => secrets, openSql: () => lite.open(), log }
  const instance = idle.pop() ?? createLambda(options)
  try {
    return await instance(event, {})
  } finally {
    idle.push(instance)
  }
}

async function requestEvent(incoming: IncomingMessage): Promise<object> {
  const chunks: Buffer[] = await incoming.toArray()
  const { method = 'GET', url = '/', socket } = incoming
  const [rawPath = '/', rawQueryString = ''] = url.split('?')
  const sourceIp = socket.remoteAddress?.replace(/^::ffff:/, '') ?? ''
  const passed = Object.entries(incoming.headers).filter(([name]) => !HOP_BY_HOP.has(name))
  const headers = Object.fromEntries(passed.map(([name, value]) => [name, String(value)]))
  const { host = '', 'user-agent': userAgent = '' } = headers
  const now = new Date()
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath,
    rawQueryString,
    headers: { ...headers, 'x-forwarded-for': sourceIp, 'x-forwarded-port': port, 'x-forwarded-proto': 'http' },
    requestContext: {
      accountId: '123456789012',
      apiId: 'a1b2c3d4e5',
      domainName: host,
      domainPrefix: 'a1b2c3d4e5',
      http: { method, path: rawPath, protocol: 'HTTP/1.1', sourceIp, userAgent },
      requestId: randomUUID(),
      routeKey: '$default',
      stage: '$default',
      time: now.toUTCString(),
      timeEpoch: now.getTime(),
    },
    ...(chunks.length === 0 ? {} : { body: Buffer.concat(chunks).toString('base64') }),
    isBase64Encoded: chunks.length > 0,
  }
}

function scheduledEvent(): object {
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': 'Scheduled Event',
    source: 'aws.events',
    account: '123456789012',
    time: new Date().toISOString(),
    region: 'eu-central-1',
    resources: ['arn:aws:events:eu-central-1:123456789012:rule/tick'],
    detail: {},
  }
}

async function serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
  try {
    const result = (await invoke(await requestEvent(incoming))) as Result
    const { statusCode, headers = {}, cookies = [], body = '', isBase64Encoded = false } = result
    answer.writeHead(statusCode, { ...headers, ...(cookies.length === 0 ? {} : { 'set-cookie': [...cookies] }) })
    answer.end(isBase64Encoded ? Buffer.from(body, 'base64') : body)
  } catch (error) {
    log.error({ error: String(error) }, 'an invocation failed')
    answer.writeHead(500, { 'content-type': 'application/json' }).end('{"message":"Internal Server Error"}')
  }
}

function schedule(): void {
  setTimeout(async () => {
    await invoke(scheduledEvent()).catch((error) => log.error({ error: String(error) }, 'an invocation failed'))
    schedule()
  }, TICK_MS)
}

const server = createServer((incoming, answer) => void serve(incoming, answer))
server.listen(Number(port), address, () => {
  schedule()
  process.stdout.write('ready\n')
})
