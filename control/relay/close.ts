/** Close codes of a relay, and the reasons that go with them; docs/functions-protocol.md, "Opening". */
import type { StreamProblemCode } from '../../protocol/stream-problem.ts'

export interface Closing {
  readonly code: number
  /** At most 123 bytes (RFC 6455 section 5.5). */
  readonly reason: string
}

const GOING_AWAY = 1001
const UNSUPPORTED = 1003
const POLICY = 1008

export const CLOSINGS = {
  /** To functions. Codes from 4400 on promise that nothing was done, but for 4503. */
  malformed: closing(4400, 'protocol-error', 'the subprotocols are not those of a function'),
  early: closing(4400, 'protocol-error', 'more than a first flight before the answer'),
  misfit: closing(4400, 'protocol-error', 'only binary messages pass'),
  token: closing(4401, 'token-refused', 'the session token is not good here, or no longer'),
  withdrawn: closing(4401, 'token-refused', 'the grant was withdrawn'),
  unlinked: closing(4404, 'site-offline', 'the connector is not linked here'),
  silent: closing(4404, 'site-offline', 'the connector did not come in time'),
  elsewhere: closing(4404, 'site-offline', 'there is no such connector at this site'),
  busy: closing(4429, 'overloaded', 'too many functions at this connector'),
  hasty: closing(4429, 'overloaded', 'too many calls'),
  unavailable: closing(4503, 'draining', 'the relay cannot look that up now'),
  stopped: closing(4503, 'draining', 'the relay is shutting down'),
  /** To functions whose first flight has gone out: nobody knows what was done. */
  cutOff: closing(POLICY, 'token-refused', 'the grant was withdrawn'),
  lost: closing(GOING_AWAY, 'session-lost', 'the connector is gone'),
  unanswered: closing(GOING_AWAY, 'session-lost', 'the connector does not answer'),
  /** To connectors. */
  enough: closing(4429, 'overloaded', 'enough sockets wait here'),
  unused: { code: 1000, reason: '' },
  left: { code: GOING_AWAY, reason: '' },
  revoked: { code: POLICY, reason: '' },
  /** To either, when they were joined. */
  unsupported: closing(UNSUPPORTED, 'protocol-error', 'only binary messages pass'),
} as const satisfies Record<string, Closing>

function closing(code: number, problem: StreamProblemCode, cause: string): Closing {
  return { code, reason: JSON.stringify({ code: problem, cause }) }
}

/** What the other end of a pair is told of a close: as it was said, where it may be said again. */
export function passedOn(code: number, reason: string, otherwise: Closing): Closing {
  const telling = code === 1000 || (code === GOING_AWAY && reason !== '') || (code >= 4000 && code <= 4999)
  return telling ? { code, reason } : otherwise
}
