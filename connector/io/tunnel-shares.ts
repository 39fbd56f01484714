/**
 * Which Child SAs of a connection each packet worker sends on, and to whom it hands what it has no Child SA for.
 */

export interface Promoted {
  readonly id: number
  /** Name of the child. */
  readonly child: string
  /** The worker that it is installed on. */
  readonly resource: number
}

export interface TunnelShare {
  /** Ids of this worker's Child SAs, in the order of the configuration: the newest of each child. */
  readonly children: readonly number[]
  /** The worker that carries the rest; absent where there is no rest, or nobody for it. */
  readonly handOver?: number
}

/** By worker. */
export type TunnelShares = readonly TunnelShare[]

/**
 * What a worker lacks goes to the one that has most of it; among equals to the home of the connection, whose first Child
 * SAs were there from the beginning, else to the one whose turn came last.
 * @param children names, in the order of the configuration
 * @param promoted the newest last
 */
export function sharesOf(
  children: readonly string[],
  promoted: readonly Promoted[],
  workers: number,
  home: number,
): TunnelShares {
  const newest = Array.from({ length: workers }, () => new Map<string, number>())
  for (const { id, child, resource } of promoted) newest[resource]?.set(child, id)
  const candidates = [...new Set([home, ...promoted.map(({ resource }) => resource).reverse()])]
  return newest.map((own, worker) => {
    const lacking = children.filter((name) => !own.has(name))
    let handOver: number | undefined
    let best = 0
    for (const candidate of candidates) {
      const helps = candidate === worker ? 0 : lacking.filter((name) => newest[candidate]?.has(name)).length
      if (helps > best) {
        best = helps
        handOver = candidate
      }
    }
    const ids = children.flatMap((name) => own.get(name) ?? [])
    return handOver === undefined ? { children: ids } : { children: ids, handOver }
  })
}

export interface ShareChange {
  readonly worker: number
  readonly share: TunnelShare
}

/**
 * The workers whose share has changed, in steps of which each must be done before the next: first those that gain a
 * Child SA, then those that only hand over to somebody else, at last those that lose one. So nobody hands over to a
 * worker that cannot send yet, or can no longer.
 */
export function changesOf(before: TunnelShares | undefined, after: TunnelShares): ShareChange[][] {
  const gains: ShareChange[] = []
  const turns: ShareChange[] = []
  const losses: ShareChange[] = []
  for (const [worker, share] of after.entries()) {
    const old = before?.[worker]
    const { children } = share
    if (old === undefined || children.some((id) => !old.children.includes(id))) gains.push({ worker, share })
    else if (children.length < old.children.length) losses.push({ worker, share })
    else if (old.handOver !== share.handOver || children.some((id, i) => id !== old.children[i])) {
      turns.push({ worker, share })
    }
  }
  return [gains, turns, losses].filter((step) => step.length > 0)
}
