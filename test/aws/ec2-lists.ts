/** What lists have in common: chosen by identifiers and filters, in pages. */
import { createHash } from 'node:crypto'
import { Ec2Error } from './ec2-error.ts'
import { type Account, isVisible, type NOUNS, notFound, type Tagged } from './ec2-state.ts'
import type { Fields, Value } from './sdk-model.ts'

/** "You can specify up to 200 values per filter." */
const MOST_VALUES = 200

/** Those that are shown, or of the identifiers that are asked for all. Throws where one is not there. */
export function chosen<T extends Tagged>(account: Account, all: readonly T[], ids: Value, code: keyof typeof NOUNS) {
  const shown = all.filter((each) => isVisible(account, each) && !isForgotten(account, each))
  if (ids === undefined) return shown
  return (ids as readonly string[]).map((id) => {
    const one = shown.find((each) => each.id === id)
    if (one === undefined) throw notFound(id, code)
    return one
  })
}

/** What was deleted is shown as that for a while. */
function isForgotten(account: Account, { deletedAt }: Tagged): boolean {
  return deletedAt !== undefined && account.clock.now() > deletedAt + account.delays.listed
}

type Names<T> = Readonly<Record<string, (item: T) => readonly string[]>>

/** Those that all filters let through. `names`: by the filters' names, what each has. */
export function matching<T extends Tagged>({ Filters = [] }: Fields, all: readonly T[], names: Names<T>): T[] {
  const tests = (Filters as readonly Fields[]).map((filter) => testOf(filter, names))
  return all.filter((item) => tests.every((test) => test(item)))
}

function testOf<T extends Tagged>({ Name, Values = [] }: Fields, names: Names<T>): (item: T) => boolean {
  const name = String(Name)
  const values = Values as readonly string[]
  if (values.length > MOST_VALUES) {
    throw new Ec2Error('FilterLimitExceeded', `The maximum number of filter values is ${MOST_VALUES}.`)
  }
  const valuesOf = valuesFor(name, names)
  const patterns = values.map(patternOf)
  return (item) => valuesOf(item).some((value) => patterns.some((pattern) => pattern.test(value)))
}

function valuesFor<T extends Tagged>(name: string, names: Names<T>): (item: T) => readonly string[] {
  if (name.startsWith('tag:')) {
    return ({ tags }) => tags.filter(({ Key }) => Key === name.slice(4)).map(({ Value: value }) => value)
  }
  if (name === 'tag-key') return ({ tags }) => tags.map(({ Key }) => Key)
  const known = Object.hasOwn(names, name) ? names[name] : undefined
  if (known === undefined) throw new Ec2Error('InvalidParameterValue', `The filter '${name}' is invalid`)
  return known
}

/** `*` and `?` stand for any characters, and any one; a backslash takes their meaning away. */
function patternOf(value: string): RegExp {
  const source = value.replaceAll(/\\([*?\\])|[*?]|[^*?\\]|\\/g, (part, literal: string | undefined) => {
    if (part === '*') return '.*'
    if (part === '?') return '.'
    return (literal ?? part).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${source}$`, 's')
}

export interface Paging {
  readonly least: number
  readonly most: number
}

/** By MaxResults and NextToken, which names the list that it goes on with. */
export function page<T extends { readonly id: string }>(
  account: Account,
  { MaxResults, NextToken }: { readonly MaxResults?: Value; readonly NextToken?: Value },
  all: readonly T[],
  { least, most }: Paging,
): { readonly items: readonly T[]; readonly rest: Fields } {
  const asked = MaxResults as number | undefined
  if (asked !== undefined && (asked < least || asked > most)) {
    throw new Ec2Error('InvalidParameterValue', `Value ( ${asked} ) for parameter maxResults is invalid.`)
  }
  const from = NextToken === undefined ? 0 : all.findIndex(({ id }) => tokenOf(id) === NextToken)
  if (from < 0) throw new Ec2Error('InvalidNextToken', 'The token is invalid')
  const size = Math.min(asked ?? account.pageSize, account.pageSize)
  const next = all[from + size]
  return { items: all.slice(from, from + size), rest: next === undefined ? {} : { NextToken: tokenOf(next.id) } }
}

function tokenOf(id: string): string {
  return createHash('sha256').update(`next ${id}`).digest('base64')
}
