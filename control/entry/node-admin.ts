/** A new admin token for the store that `startControl` uses, where the first one was lost or has leaked. */
import { openRepo } from '../store/repo-sql.ts'
import { renewAdminToken } from './common.ts'
import { openExisting, type StorePlace } from './node-backup.ts'

/** The token; its hash is stored. A control plane that runs goes by the old one until it starts anew. */
export async function newAdminToken(place: StorePlace): Promise<string> {
  const sql = openExisting(place)
  try {
    return await renewAdminToken(await openRepo(sql))
  } finally {
    await sql.close()
  }
}
