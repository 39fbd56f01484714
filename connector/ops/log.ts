/** The log: one structured line per event, and never a secret. */
import { styleText } from 'node:util'
import { pino } from 'pino'
import { formatSocketAddress } from '../../protocol/net.ts'
import type { FlowRecord } from '../core/functions/records.ts'
import type { IkeEvent } from '../core/ike/types.ts'
import type { PathEvent } from '../core/paths/types.ts'
import type { ConnectorEvent, StartFailure } from '../handle.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface LoggerOptions {
  readonly level: LogLevel
  readonly format: 'json' | 'text'
  readonly color?: boolean
  /** Takes whole lines with their line break; called synchronously, so that nothing is lost at exit. */
  readonly write: (line: string) => void
}

/** Fields that are blanked wherever they turn up, at the top or up to two levels below. */
const SECRET_FIELDS = [
  'psk',
  'secret',
  'password',
  'key',
  'keys',
  'salt',
  'skD',
  'skEi',
  'skEr',
  'skAi',
  'skAr',
  'skPi',
  'skPr',
  'keymat',
  'privateKey',
  'sharedSecret',
] as const

export function createLogger(options: LoggerOptions): Logger {
  const paths = SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`])
  const write = (line: string) =>
    options.write(options.format === 'text' ? textLine(line, options.color === true) : line)
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths, censor: '[secret]' },
    },
    { write },
  )
}

export interface LogLine {
  readonly level: 'info' | 'warn'
  readonly fields: object
  readonly message: string
}

/** Turns what a connector tells into lines. Failures carry their code and remedy as fields. */
export function logEvent(log: Logger, event: ConnectorEvent): void {
  const { level, fields, message } =
    event.type === 'ike' ? ikeLine(event.connection, event.event) : connectorLine(event)
  log[level](fields, message)
}

export function logFailure(log: Logger, failure: StartFailure): void {
  log.error({ code: failure.code, remedy: failure.remedy, exitCode: failure.exitCode }, failure.message)
}

function connectorLine(event: Exclude<ConnectorEvent, { type: 'ike' }>): LogLine {
  switch (event.type) {
    case 'started':
      return { level: 'info', fields: { event: event.type, site: event.site }, message: 'connector started' }
    case 'stopping':
      return {
        level: 'info',
        fields: { event: event.type },
        message: 'stopping: deleting SAs at the peers, removing routes and device',
      }
    case 'routes-cleaned':
      return {
        level: 'warn',
        fields: { event: event.type, count: event.count },
        message: 'removed routes that an earlier run left behind',
      }
    case 'control':
      return { level: 'info', fields: { event: event.type, code: event.code }, message: event.message }
    case 'services':
      return { level: 'info', fields: { event: event.type, services: event.services }, message: event.message }
    case 'stream':
      return streamLine(event.record)
    case 'bgp': {
      const { code, level, text, update } = event.event
      const hex = update === undefined ? {} : { update: Buffer.from(update).toString('hex') }
      const fields = { event: event.type, neighbour: event.neighbour, code, ...hex }
      return { level, fields, message: `BGP neighbour ${event.neighbour}: ${text}` }
    }
    case 'path':
      return pathLine(event.event)
    case 'bfd': {
      const { type, connection: peer, level, text } = event
      return { level, fields: { event: type, peer }, message: `${peer}: ${text}` }
    }
    case 'warning':
      return { level: 'warn', fields: { event: event.type, ...codeAndRemedy(event) }, message: event.message }
  }
}

/** The text names the tunnel; fields of other events are absent. */
function pathLine(event: PathEvent): LogLine {
  const { code, level, text, remedy } = event
  const tunnel = 'connection' in event ? event.connection : event.to
  const about =
    code === 'failover' ? { cause: event.cause, ms: Math.round(event.ms), lostPackets: event.lostPackets } : {}
  const steered = code === 'steered' ? { class: event.class, because: event.because } : {}
  return { level, fields: { event: 'path', code, tunnel, ...about, ...steered, remedy }, message: text }
}

/** The audit line of a stream of a function: who reached what, how much passed, and how it ended. */
function streamLine(record: FlowRecord): LogLine {
  const { functionName, service, outcome, cause, startedAt, endedAt, host, port } = record
  const what = service ?? `${host}:${port}`
  const ended = outcome === 'ok' || outcome === 'reset'
  return {
    level: ended ? 'info' : 'warn',
    fields: {
      event: 'function-stream',
      function: record.function,
      name: functionName,
      service,
      kind: record.kind,
      asked: `${host}:${port}`,
      request: record.request,
      status: record.status,
      bytesIn: record.bytesIn,
      bytesOut: record.bytesOut,
      ms: endedAt - startedAt,
      outcome,
      session: record.session,
      stream: record.stream,
      via: record.via,
    },
    message: ended
      ? `function ${functionName} used ${what}`
      : `function ${functionName} and ${what}: ${cause ?? outcome}`,
  }
}

function codeAndRemedy({ code, remedy }: Extract<ConnectorEvent, { type: 'warning' }>): object {
  return remedy === undefined ? { code } : { code, remedy }
}

/** Every IKE event has its own line; `Record<type>` keeps the table whole. */
const IKE_MESSAGES: Readonly<Record<Exclude<IkeEvent['type'], 'failed'>, string>> = {
  initiating: 'calling the peer',
  'ike-established': 'IKE SA established',
  'ike-rekeyed': 'IKE SA rekeyed',
  'ike-closed': 'IKE SA closed',
  'child-established': 'Child SA established',
  'child-rekeyed': 'Child SA rekeyed',
  'child-closed': 'Child SA closed',
  'peer-moved': 'the peer has a new address',
}

function ikeLine(peer: string, event: IkeEvent): LogLine {
  if (event.type === 'failed') {
    return {
      level: 'warn',
      fields: { event: event.type, peer, code: event.code, remedy: event.remedy },
      message: event.cause,
    }
  }
  return { level: 'info', fields: { event: event.type, peer, ...ikeFields(event) }, message: IKE_MESSAGES[event.type] }
}

/** Fields are named one by one: what is not listed here cannot reach the log. */
function ikeFields(event: Exclude<IkeEvent, { type: 'failed' }>): object {
  switch (event.type) {
    case 'initiating':
      return { remote: formatSocketAddress(event.remote) }
    case 'ike-established': {
      const { suite, initiatorSpi, responderSpi, natDetected } = event
      return { suite, initiatorSpi, responderSpi, natDetected }
    }
    case 'ike-rekeyed':
      return { initiatorSpi: event.initiatorSpi, responderSpi: event.responderSpi }
    case 'ike-closed':
      return { reason: event.reason }
    case 'child-established':
      return { child: event.child, sa: event.id, worker: event.resource, suite: event.suite }
    case 'child-rekeyed':
      return { child: event.child, sa: event.id, worker: event.resource, replaces: event.replaces }
    case 'child-closed':
      return { child: event.child, sa: event.id, reason: event.reason }
    case 'peer-moved':
      return { from: formatSocketAddress(event.from), to: formatSocketAddress(event.to) }
  }
}

/** `10:15:04.123 warn  branch: the peer did not answer  code=no-response remedy="..."`. */
function textLine(line: string, color: boolean): string {
  const { time, level, msg, peer, event: _, ...rest } = JSON.parse(line) as Record<string, unknown>
  const fields = Object.entries(rest).map(([name, value]) => `${name}=${fieldText(value)}`)
  const clock = String(time).slice(11, 23)
  const label = String(level).padEnd(5)
  const subject = peer === undefined ? '' : `${String(peer)}: `
  const tint = level === 'error' ? 'red' : level === 'warn' ? 'yellow' : 'green'
  const head = color
    ? `${styleText('dim', clock, { validateStream: false })} ${styleText(tint, label, { validateStream: false })}`
    : `${clock} ${label}`
  return `${head} ${subject}${printable(String(msg))}${fields.length === 0 ? '' : `  ${fields.join(' ')}`}\n`
}

/** JSON quoting keeps control characters of a peer's words out of the terminal. */
function fieldText(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/-]+$/.test(value) ? value : JSON.stringify(value)
}

/** A peer's words may end up in a message: nothing of them steers the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ')
}
