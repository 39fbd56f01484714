/** What the two ends say of tunnels, in one word each. */
import type { Tunnel, TunnelStatus } from '../../../protocol/control/generated/api-client.ts'
import type { Place } from './access.ts'
import type { Cell } from './view.ts'

/** Requests at once: within what the control plane allows to one token. */
const AT_ONCE = 8
/** Tunnels that are looked at where it is not asked for all: each takes a request. */
export const MOST_LOOKED_AT = 200

export type TunnelHealth = 'up' | 'partly' | 'down' | 'unknown'

/** By tunnel. */
export async function statusesOf(
  { api, params }: Place,
  tunnels: readonly Tunnel[],
): Promise<ReadonlyMap<string, TunnelStatus>> {
  const found = new Map<string, TunnelStatus>()
  const waiting = tunnels.values()
  const work = async () => {
    for (const { id } of waiting)
      found.set(id, await api.value('tunnels.status', { params: { ...params, tunnel: id } }))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return found
}

/** Whether a connector is there: what one that is away said last is not news. */
export type Heard = (connector: string) => boolean

/** Up is what every end calls up that is there. Unknown where none of them has told. */
export function healthOf({ ends }: TunnelStatus, heard: Heard): TunnelHealth {
  const told = ends.filter(({ connector }) => heard(connector))
  const up = told.filter(({ report }) => report.state === 'up').length
  if (told.length === 0) return 'unknown'
  if (up === told.length) return ends.length === 2 ? 'up' : 'partly'
  return up === 0 ? 'down' : 'partly'
}

export function healthCell(status: TunnelStatus, heard: Heard): Cell {
  const [worst] = status.ends.map(({ report }) => report.state).filter((state) => state !== 'up')
  switch (healthOf(status, heard)) {
    case 'up':
      return { text: 'up', style: 'green' }
    case 'partly':
      return { text: `one end up${worst === undefined ? '' : `, ${worst}`}`, style: 'yellow' }
    case 'down':
      return { text: worst ?? 'down', style: 'red' }
    case 'unknown':
      return { text: status.ends.length === 0 ? 'no report' : 'no news', style: 'yellow' }
  }
}
