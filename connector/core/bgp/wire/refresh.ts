/** ROUTE-REFRESH (RFC 2918 section 3, RFC 7313 section 3.2). */
import { putU8, putU16, u16 } from '../../ike/wire/bytes.ts'
import { MESSAGE } from './constants.ts'
import { type BgpFault, bgpFault } from './faults.ts'
import { encodeHeader } from './header.ts'
import type { RouteRefreshMessage } from './types.ts'

export const REFRESH = { request: 0, begin: 1, end: 2 } as const

const field = { afi: 19, subtype: 21, safi: 22, end: 23 } as const

/** `message` is whole, its header checked. What follows in a request (RFC 5291) is ignored: we announce no ORF. */
export function decodeRefresh(message: Uint8Array): RouteRefreshMessage | BgpFault {
  const subtype = message[field.subtype]!
  if ((subtype === REFRESH.begin || subtype === REFRESH.end) && message.length !== field.end) {
    const reason = `A ROUTE-REFRESH of subtype ${subtype} has ${field.end} octets, not ${message.length}.`
    return bgpFault('refresh-length', reason, message)
  }
  return { type: 'ROUTE-REFRESH', afi: u16(message, field.afi), subtype, safi: message[field.safi]! }
}

export function encodeRefresh({ afi, safi, subtype }: Omit<RouteRefreshMessage, 'type'>): Uint8Array {
  const body = new Uint8Array(4)
  putU16(body, 0, afi)
  putU8(body, 2, subtype)
  putU8(body, 3, safi)
  return encodeHeader(MESSAGE['ROUTE-REFRESH'], [body])
}
