/** The CLI's side of the local API, with errors that say what to do. */
import { request } from 'node:http'
import type { ConnectorStatus } from '../../protocol/status.ts'
import { STATUS_VERSION } from '../../protocol/status.ts'
import { EXIT } from '../handle.ts'

/** What went wrong on the way to the connector, or what it answered: for the terminal as it stands. */
export class ControlError extends Error {
  override readonly name = 'ControlError'
  readonly remedy: string
  readonly exitCode: number

  constructor(cause: string, remedy: string, exitCode: number) {
    super(cause)
    this.remedy = remedy
    this.exitCode = exitCode
  }
}

const TIMEOUT_MS = 5_000
const MAX_ANSWER_BYTES = 8 * 1024 * 1024

/** The parsed JSON answer. Throws ControlError. */
export async function controlRequest(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<unknown> {
  const answer = await exchange(socketPath, method, path, body === undefined ? '' : JSON.stringify(body))
  const parsed = parseJson(answer.text)
  if (answer.status < 400) return parsed
  const { detail, remedy } = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as Record<string, unknown>
  throw new ControlError(
    typeof detail === 'string' ? detail : `the connector answered with status ${answer.status}`,
    typeof remedy === 'string' ? remedy : 'look into its log',
    EXIT.failed,
  )
}

export interface ControlClient {
  status(): Promise<ConnectorStatus>
  initiate(peer: string): Promise<void>
  terminate(peer: string): Promise<void>
  /** `what` is `ike` or the name of a child. */
  rekey(peer: string, what: string): Promise<void>
  /** Resolves when the connector has heard it, not when it has ended. */
  stop(): Promise<void>
}

/** Every method rejects with a ControlError. */
export function controlClient(socketPath: string): ControlClient {
  const post = async (path: string, body: object): Promise<void> => {
    await controlRequest(socketPath, 'POST', path, body)
  }
  return {
    status: () => fetchStatus(socketPath),
    initiate: (connection) => post('/initiate', { connection }),
    terminate: (connection) => post('/terminate', { connection }),
    rekey: (connection, child) => post('/rekey', { connection, child }),
    stop: () => post('/stop', {}),
  }
}

async function fetchStatus(socketPath: string): Promise<ConnectorStatus> {
  const status = await controlRequest(socketPath, 'GET', '/status')
  if (typeof status === 'object' && status !== null && (status as { version?: unknown }).version === STATUS_VERSION) {
    return status as ConnectorStatus
  }
  const remedy = 'restart the connector, so that both are of the same release'
  throw new ControlError('the running connector speaks another version of the status document', remedy, EXIT.failed)
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  body: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = body === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const outgoing = request({ socketPath, method, path, headers, agent: false, timeout: TIMEOUT_MS }, (incoming) => {
      const chunks: Buffer[] = []
      let size = 0
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > MAX_ANSWER_BYTES) outgoing.destroy(new Error('the answer is too long'))
        else chunks.push(chunk)
      })
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      )
      incoming.on('error', (error) => reject(explain(socketPath, error)))
    })
    outgoing.on('timeout', () => outgoing.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })))
    outgoing.on('error', (error) => reject(explain(socketPath, error)))
    outgoing.end(body)
  })
}

function explain(socketPath: string, error: Error): ControlError {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    const remedy = 'start it with isthmus up; if it runs with another control_socket, name that with --socket'
    return new ControlError(`the connector is not running: nobody answers on ${socketPath}`, remedy, EXIT.notRunning)
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new ControlError(
      `${socketPath} may not be opened`,
      'run this as the user of the connector, mostly with sudo',
      EXIT.permission,
    )
  }
  if (code === 'ETIMEDOUT') {
    return new ControlError(
      `the connector does not answer on ${socketPath}`,
      'look into its log, and restart it if it hangs',
      EXIT.failed,
    )
  }
  return new ControlError(
    `talking to ${socketPath} failed: ${error.message}`,
    'look into the log of the connector',
    EXIT.failed,
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new ControlError('the answer is not JSON', 'check that the socket belongs to isthmus', EXIT.failed)
  }
}
