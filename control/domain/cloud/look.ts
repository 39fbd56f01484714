/** What a look at the provider tells of a connection. */
import { driftOf } from './drift.ts'
import type { Seen } from './provider.ts'
import { vpnConnectionOf } from './resources.ts'
import type { CloudView } from './state.ts'
import { tunnelsInOrder } from './tunnels.ts'
import type { CloudRecord } from './types.ts'

/** As many as one answer has room for. */
export const MAX_DRIFT = 200
const MAX_TEXT = 1024

/** Status of both tunnels. */
export function providerView(record: CloudRecord, seen: Seen): CloudView['provider'] {
  const connection = vpnConnectionOf(record, seen)
  if (connection === undefined) return []
  return tunnelsInOrder(record, connection).map((tunnel) => {
    if (tunnel?.status === undefined) return undefined
    const { status, statusSince, statusMessage } = tunnel
    return {
      status,
      ...(statusSince === undefined ? {} : { since: statusSince }),
      ...(statusMessage ? { message: statusMessage.slice(0, MAX_TEXT) } : {}),
    }
  })
}

export function driftSeen(
  record: CloudRecord,
  seen: Seen,
  facts: Parameters<typeof driftOf>[2] = {},
): CloudView['drift'] {
  return driftOf(record, seen, facts).slice(0, MAX_DRIFT)
}

/** Where the provider has moved the outer ends of tunnels that the connector has; undefined where it has not. */
export function movedTo(record: CloudRecord, seen: Seen): string[] | undefined {
  const connection = vpnConnectionOf(record, seen)
  if (connection === undefined || record.tunnels.some(({ outside }) => outside === undefined)) return undefined
  const there = tunnelsInOrder(record, connection).map((tunnel) => tunnel?.outside)
  if (there.some((address) => address === undefined)) return undefined
  return record.tunnels.every(({ outside }, index) => outside === there[index]) ? undefined : (there as string[])
}
