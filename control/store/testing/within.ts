/** An `Sql` that lives where only certain calls may reach it, as a Durable Object's storage does. */
import type { SnapshotPage, Sql } from '../sql.ts'

/** `run` carries out its argument where the `Sql` is. */
export function sqlWithin(dialect: Sql['dialect'], run: <T>(work: (sql: Sql) => Promise<T>) => Promise<T>): Sql {
  return {
    dialect,
    all: (sql, params) => run((inner) => inner.all(sql, params)),
    batch: (statements) => run((inner) => inner.batch(statements)),
    async *snapshot(queries): AsyncGenerator<SnapshotPage> {
      yield* await run((inner) => Array.fromAsync(inner.snapshot(queries)))
    },
    close: () => run((inner) => inner.close()),
  }
}
