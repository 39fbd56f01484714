/** SQL as all three homes of the store have it. Texts use `?` for parameters; values are text, numbers or null. */
export type SqlValue = string | number | null
export type Row = Readonly<Record<string, SqlValue>>

export interface Statement {
  readonly sql: string
  readonly params: readonly SqlValue[]
  /** Rows that it must change; another number rolls the batch back with `Unexpected`. */
  readonly changes?: number
}

export interface Sql {
  readonly dialect: 'sqlite' | 'postgres'
  all(sql: string, params: readonly SqlValue[]): Promise<Row[]>
  /** One transaction. Throws `Unexpected`, `Unique` or `Dangling`, everything rolled back. */
  batch(statements: readonly Statement[]): Promise<void>
  /** The rows of each query in turn, in pages, all as they were at one moment; `query` is the query's index. */
  snapshot(queries: readonly string[]): AsyncIterable<SnapshotPage>
  close(): Promise<void>
}

export interface SnapshotPage {
  readonly query: number
  readonly rows: readonly Row[]
}

/** Rows of one page of a snapshot. */
export const SNAPSHOT_PAGE = 500

/** The statement at `index` changed another number of rows than it must. */
export class Unexpected extends Error {
  override readonly name = 'Unexpected'
  readonly index: number

  constructor(index: number) {
    super(`statement ${index} changed another number of rows`)
    this.index = index
  }
}

/** The statement at `index` would have made a second row with a unique key. */
export class Unique extends Error {
  override readonly name = 'Unique'
  readonly index: number

  constructor(index: number) {
    super(`statement ${index} would break uniqueness`)
    this.index = index
  }
}

/** The statement at `index` would have made a row that belongs to one that is not there. */
export class Dangling extends Error {
  override readonly name = 'Dangling'
  readonly index: number

  constructor(index: number) {
    super(`statement ${index} would leave a row that belongs to nothing`)
    this.index = index
  }
}
