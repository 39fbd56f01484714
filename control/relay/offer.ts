/** What a function says in the subprotocols of its WebSocket; docs/functions-protocol.md, "Opening". */
import { fromBase64url } from '../../protocol/control/base64url.ts'

/** Always offered, and the one that is selected. */
export const STREAM_PROTOCOL = 'isthmus.stream.1'
/** Bytes of a first flight that goes with the upgrade. */
const MAX_FLIGHT = 6000
/** Characters of a session token. */
const MAX_TOKEN = 8192

export interface Offer {
  readonly token: string
  /** Fresh. */
  readonly first?: Uint8Array
}

/** Reads `Sec-WebSocket-Protocol` (RFC 6455 section 11.3.4). Undefined where it is not that of a function. */
export function readOffer(header: string | undefined): Offer | undefined {
  const offered = (header ?? '').split(',').map((each) => each.trim())
  const those = (start: string) => offered.filter((each) => each.startsWith(start)).map((each) => each.slice(2))
  const [tokens, flights] = [those('t.'), those('f.')]
  if (!offered.includes(STREAM_PROTOCOL) || tokens.length !== 1 || flights.length > 1) return undefined
  const [token, flight] = [tokens[0]!, flights[0]]
  if (token === '' || token.length > MAX_TOKEN) return undefined
  if (flight === undefined) return { token }
  const first = flight.length > Math.ceil((MAX_FLIGHT * 4) / 3) ? undefined : fromBase64url(flight)
  return first === undefined || first.length === 0 ? undefined : { token, first }
}
