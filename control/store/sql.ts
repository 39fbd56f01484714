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
  /** One transaction. Throws `Unexpected` or `Unique`, everything rolled back. */
  batch(statements: readonly Statement[]): Promise<void>
  close(): Promise<void>
}

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
