/** What the end of a WebSocket says, by the codes of docs/functions-protocol.md. */
import {
  STREAM_PROBLEMS,
  type StreamProblem,
  type StreamProblemCode,
  streamProblem,
} from '../../protocol/stream-problem.ts'
import { isObject } from './jws.ts'
import type { SocketEnd } from './platform.ts'
import type { Way } from './ways.ts'

const AGAIN = 'Ask again if that does no harm; the next request opens a new session.'

/** `undone`: what went with the first flight was certainly not acted on. */
export function endOf(end: SocketEnd, wasOpen: boolean, way: Way): { problem: StreamProblem; undone: boolean } {
  const { code: saidCode, cause: said } = saidBy(end.reason)
  if (wasOpen) return { problem: lost(end, said), undone: false }
  switch (end.code) {
    case 4400:
      return of('protocol-error', said ?? 'The connector could not read the first flight.', UPDATE, true)
    case 4401:
      return of('key-changed', said ?? 'The connector has another key, or forgot the ticket.', AGAIN, true)
    case 4404: {
      const cause = said ?? 'The connector is not linked to the control plane.'
      return of('site-offline', cause, 'See isthmus connector list; start the connector at the site.', true)
    }
    case 4429:
      return of(
        'overloaded',
        said ?? 'There are too many sessions.',
        'Try again, or raise the limits of the connector.',
        true,
      )
    case 4503:
      return of('draining', said ?? 'The connector is shutting down.', 'Try again.', false)
    default:
      if (saidCode !== undefined && STREAM_PROBLEMS[saidCode] === 'never' && said !== undefined)
        return of(saidCode, `The session was ended: ${said}.`, AGAIN, false)
      return unreachable(end, said, way)
  }
}

const UPDATE = 'Bring the connector and this package to one version.'

function unreachable(end: SocketEnd, said: string | undefined, way: Way): { problem: StreamProblem; undone: boolean } {
  const how = way.via === 'direct' ? `at its own address` : 'over the relay'
  const detail = said ?? (end.reason === '' ? `code ${end.code}` : end.reason)
  const cause = `Connector ${way.connector.id} cannot be reached ${how} (${detail}).`
  return of('site-offline', cause, 'See isthmus connector list; check that the connector runs.', end.unsent === true)
}

function lost(end: SocketEnd, said: string | undefined): StreamProblem {
  const cause = said ?? `The session with the connector broke off (code ${end.code}).`
  return streamProblem('session-lost', cause, AGAIN)
}

function of(code: StreamProblem['code'], cause: string, remedy: string, undone: boolean) {
  return { problem: streamProblem(code, cause, remedy), undone }
}

function saidBy(reason: string): { readonly code?: StreamProblemCode; readonly cause?: string } {
  try {
    const value: unknown = JSON.parse(reason)
    if (!isObject(value)) return {}
    const { code, cause } = value
    return {
      ...(typeof code === 'string' && Object.hasOwn(STREAM_PROBLEMS, code) ? { code: code as StreamProblemCode } : {}),
      ...(typeof cause === 'string' && cause !== '' ? { cause: cause.slice(0, 200) } : {}),
    }
  } catch {
    return {}
  }
}

/** For the WebSocket's close frame: at most 123 bytes. */
export function closeReason({ code, cause }: StreamProblem): string {
  const bare = JSON.stringify({ code })
  const whole = JSON.stringify({ code, cause })
  return new TextEncoder().encode(whole).length <= 123 ? whole : bare
}
