/** Nonces of request proofs: each is good once, and remembered until its proof has expired. */
import type { Repo } from '../store/repo.ts'
import { Conflict } from '../store/repo.ts'

/** `full`: more proofs are alive than we remember; nothing is forgotten early to make room. */
export type NonceUse = 'fresh' | 'used' | 'full'

export interface NonceMemory {
  /** `until` and `now`: milliseconds since 1970. */
  use(network: string, connector: string, nonce: string, until: number, now: number): Promise<NonceUse>
}

/** For one process that serves the network alone. */
export function memoryNonces(max = 500_000): NonceMemory {
  const seen = new Map<string, number>()
  return {
    async use(network, connector, nonce, until, now) {
      const key = `${network}/${connector}/${nonce}`
      if ((seen.get(key) ?? 0) > now) return 'used'
      seen.delete(key)
      // Insertion order is nearly order of expiry, because proofs live equally long.
      for (const [old, expiry] of seen) {
        if (expiry > now) break
        seen.delete(old)
      }
      if (seen.size >= max) return 'full'
      seen.set(key, until)
      return 'fresh'
    },
  }
}

/** For several replicas on one database: the store remembers. */
export function storedNonces(repo: Repo): NonceMemory {
  return {
    async use(network, connector, nonce, until, now) {
      const actor = `nonce:${connector}`
      if ((await repo.replay(network, actor, nonce, now)) !== undefined) return 'used'
      const replay = { key: nonce, actor, request: '', at: now, status: 204, headers: {}, body: '', expiresAt: until }
      try {
        await repo.commit(network, { changes: [], replay })
        return 'fresh'
      } catch (error) {
        if (error instanceof Conflict && error.what === 'replay') return 'used'
        throw error
      }
    },
  }
}
