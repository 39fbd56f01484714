/** A connection after one of the changes that machines ask for. */
import type { CloudChange, CloudKey, CloudRecord, CloudTunnelRecord } from './types.ts'

/** `key`: what `make-key` makes. Its text is the caller's, who seals it. */
export function changedBy(
  record: CloudRecord,
  change: CloudChange,
  key: Pick<CloudKey, 'fingerprint'>,
  now: number,
): CloudRecord {
  switch (change.type) {
    case 'resolve':
      return {
        ...record,
        resolved: change.resolved,
        tunnels: record.tunnels.map((tunnel, index) => ({ ...tunnel, insideCidr: change.insideCidrs[index]! })),
      }
    case 'resources':
      return { ...record, resources: [...change.resources] }
    case 'outside':
      return { ...record, tunnels: record.tunnels.map((tunnel, index) => withOutside(tunnel, change.outside[index])) }
    case 'make-key':
      return withTunnel(record, change.tunnel, (tunnel) => {
        const lastKey = tunnel.lastKey + 1
        const made = { id: keyName(lastKey), fingerprint: key.fingerprint, since: now }
        return { ...tunnel, lastKey, keys: [...tunnel.keys, made] }
      })
    case 'use-key':
      return withTunnel(record, change.tunnel, (tunnel) => ({ ...tunnel, keys: newestFirst(tunnel.keys) }))
    case 'forget-key':
      return withTunnel(record, change.tunnel, (tunnel) => {
        const sorted = newestFirst(tunnel.keys)
        const kept = change.which === 'old' ? sorted[0] : sorted.at(-1)
        return { ...tunnel, keys: kept === undefined ? [] : [kept] }
      })
    case 'drain':
      return withTunnel(record, change.tunnel, (tunnel) => ({ ...tunnel, drained: change.on }))
  }
}

/** `k1` is the first. */
export function keyName(number: number): string {
  return `k${number}`
}

/** `k12` is 12; none is 0. */
export function numberOf(key: string | undefined): number {
  return key === undefined ? 0 : Number(key.slice(1))
}

function withTunnel(
  record: CloudRecord,
  at: number,
  change: (tunnel: CloudTunnelRecord) => CloudTunnelRecord,
): CloudRecord {
  return { ...record, tunnels: record.tunnels.map((tunnel, index) => (index === at ? change(tunnel) : tunnel)) }
}

function withOutside({ outside: _, ...tunnel }: CloudTunnelRecord, outside: string | undefined): CloudTunnelRecord {
  return outside === undefined ? tunnel : { ...tunnel, outside }
}

function newestFirst(keys: readonly CloudKey[]): CloudKey[] {
  return [...keys].sort((left, right) => numberOf(right.id) - numberOf(left.id))
}
