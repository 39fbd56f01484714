/** Backup and restore of the store that `startControl` uses. */
import { existsSync } from 'node:fs'
import { backup, linesOf, type Restored, restore } from '../store/backup.ts'
import { StoreFailure } from '../store/failure.ts'
import { openPostgres } from '../store/postgres.ts'
import { openRepo } from '../store/repo-sql.ts'
import type { Sql } from '../store/sql.ts'
import { openSqlite } from '../store/sqlite-node.ts'
import type { NodeOptions } from './node.ts'
import { storePath } from './node.ts'

export type { Restored }
export type StorePlace = Pick<NodeOptions, 'directory' | 'postgres'>

/** Lines without their ends, all as of one moment, also while the control plane runs. Throws StoreFailure. */
export async function* backupStore(place: StorePlace): AsyncGenerator<string> {
  const sql = openExisting(place)
  try {
    await openRepo(sql)
    yield* backup(sql)
  } finally {
    await sql.close()
  }
}

/** Into a store that is empty, or not there yet. Throws StoreFailure. */
export async function restoreStore(place: StorePlace, chunks: AsyncIterable<string>): Promise<Restored> {
  const sql = openStore(place)
  try {
    return await restore(sql, linesOf(chunks))
  } finally {
    await sql.close()
  }
}

/** Throws StoreFailure where there is none. */
export function openExisting(place: StorePlace): Sql {
  if (place.postgres === undefined && !existsSync(storePath(place.directory))) {
    const remedy = 'Name the directory in which the control plane keeps its store.'
    throw new StoreFailure('access', `There is no store in ${place.directory}.`, remedy)
  }
  return openStore(place)
}

function openStore({ directory, postgres }: StorePlace): Sql {
  return postgres === undefined ? openSqlite(storePath(directory)) : openPostgres(postgres)
}
