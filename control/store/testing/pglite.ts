/** PostgreSQL within this process: one session, which its users take in turn. */
import { PGlite } from '@electric-sql/pglite'
import { createPostgres, type PgSession, type PgSource } from '../postgres.ts'
import type { Row, Sql } from '../sql.ts'

const INT8 = 20

export class Lite {
  readonly #db: PGlite
  #turn: Promise<void> = Promise.resolve()

  private constructor(db: PGlite) {
    this.#db = db
  }

  static async start(): Promise<Lite> {
    const db = new PGlite({ parsers: { [INT8]: Number } })
    await db.waitReady
    return new Lite(db)
  }

  /** The database, emptied. */
  async fresh(): Promise<Sql> {
    await this.#db.exec('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
    return this.open()
  }

  /** The database as it is. */
  open(): Sql {
    return createPostgres(this.#source())
  }

  stop(): Promise<void> {
    return this.#db.close()
  }

  #source(): PgSource {
    return { acquire: () => this.#acquire(), close: async () => {} }
  }

  async #acquire(): Promise<PgSession> {
    const before = this.#turn
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#turn = promise
    await before
    return {
      query: async (text, params) => {
        const { rows, affectedRows } = await this.#db.query<Row>(text, [...params])
        return { rows, changes: affectedRows ?? 0 }
      },
      release: (broken) => {
        if (broken) this.#db.exec('ROLLBACK').finally(resolve)
        else resolve()
      },
    }
  }
}
