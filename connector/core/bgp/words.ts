/** What happened to a session, as a sentence for the log. */
import type { DownCause } from './session-types.ts'
import { type BgpFault, errorName, type NotificationMessage, subcodeName } from './wire/codec.ts'

/** `Cease, Administrative Shutdown: "moving"`. Of a hard reset what is in it (RFC 8538 section 3). */
export function notificationWords({ code, subcode, inner, communication }: NotificationMessage): string {
  const [what, why] = inner === undefined ? [code, subcode] : [inner.code, inner.subcode]
  const words = errorWords(what, why)
  return communication === undefined ? words : `${words}: ${JSON.stringify(communication)}`
}

export function faultWords({ fault, consequence, reason }: BgpFault): string {
  return `${fault} (${consequence}): ${reason}`
}

export function downWords(cause: DownCause): string {
  switch (cause.kind) {
    case 'closed':
      return 'the connection ended'
    case 'replaced':
      return 'the neighbour connected anew'
    case 'notified':
      return `the neighbour ended it: ${errorWords(cause.code, cause.subcode)}`
    case 'failed':
      return `we ended it: ${errorWords(cause.code, cause.subcode)}`
    case 'stopped':
      return `ended here: ${errorWords(cause.code, cause.subcode)}`
  }
}

function errorWords(code: number, subcode: number): string {
  return subcode === 0 ? errorName(code) : `${errorName(code)}, ${subcodeName(code, subcode)}`
}
