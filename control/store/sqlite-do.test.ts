import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { openRepo } from './repo-sql.ts'
import { createSqliteDo, type DurableStorage } from './sqlite-do.ts'
import { storeCompliance } from './testing/compliance.ts'

/** As the storage of a Durable Object is: what it refuses, and the words in which it does. */
class ModelStorage implements DurableStorage {
  readonly #db = new DatabaseSync(':memory:')
  /** The error of every statement from now on. */
  failing: string | undefined

  readonly sql = {
    exec: (query: string, ...bindings: (string | number | null)[]) => {
      if (this.failing !== undefined) throw new Error(this.failing)
      if (bindings.length > 100) throw new Error('too many SQL variables: SQLITE_ERROR')
      if (/\b(BEGIN|COMMIT|PRAGMA|SAVEPOINT)\b/i.test(query)) throw new Error('not authorized: SQLITE_AUTH')
      const rows = this.#db.prepare(query).all(...bindings) as Record<string, string | number | null>[]
      return { toArray: () => rows }
    },
  }

  transactionSync<T>(work: () => T): T {
    this.#db.exec('BEGIN')
    try {
      const result = work()
      this.#db.exec('COMMIT')
      return result
    } catch (error) {
      this.#db.exec('ROLLBACK')
      throw error
    }
  }
}

storeCompliance("a model of a Durable Object's storage", async () => createSqliteDo(new ModelStorage()), { runs: 30 })

describe('when the storage fails', () => {
  test.each([
    ['database or disk is full: SQLITE_FULL', 'full'],
    ['database disk image is malformed: SQLITE_CORRUPT', 'corrupt'],
  ])('%s', async (said, code) => {
    const storage = new ModelStorage()
    const repo = await openRepo(createSqliteDo(storage))
    storage.failing = said
    const commit = repo.putSetting('a', 'b')
    await expect(commit).rejects.toMatchObject({ name: 'StoreFailure', code, cause: expect.stringContaining(said) })
    storage.failing = undefined
    expect(await repo.setting('a')).toBeUndefined()
  })
})
