/**
 * The EC2 API as the SDK's own model describes it: which parameters an operation takes, by which names they travel, and
 * how its answer is written. The stand-in reads and writes by it, so that it cannot invent a name.
 */
import * as sdk from '@aws-sdk/client-ec2'

/** As in the package's `dist-es/schemas`: a number is a simple type, an array a type of its own. */
export type Ref = number | RawShape | (() => Ref) | readonly [Ref, unknown]
type RawShape = readonly [number, string, string, unknown, ...unknown[]]
type Traits = { readonly ec2QueryName?: string; readonly xmlName?: string }

const LIST = 1
const STRUCTURE = 3
const OPERATION = 9
const LIST_OF = 64
const NUMBER = 1
const BOOLEAN = 2
const INSTANTS = [4, 5, 6, 7]

export interface Member {
  readonly name: string
  readonly ref: Ref
  readonly required: boolean
}
export type Shape =
  | { readonly kind: 'text' | 'number' | 'boolean' | 'instant' }
  | { readonly kind: 'list'; readonly item: Ref }
  | { readonly kind: 'structure'; readonly name: string; readonly members: readonly Member[] }

export type Value = string | number | boolean | Date | undefined | readonly Value[] | { readonly [key: string]: Value }
export type Fields = { readonly [key: string]: Value }

export interface Operation {
  readonly input: Ref
  readonly output: Ref
}

/** Undefined: the API has no such operation. */
export function operationOf(action: string): Operation | undefined {
  const shape = (sdk as unknown as Record<string, RawShape | undefined>)[`${action}$`]
  return shape?.[0] === OPERATION ? { input: shape[4] as Ref, output: shape[5] as Ref } : undefined
}

export function shapeOf(ref: Ref): Shape {
  const raw = rawShape(ref)
  if (typeof raw === 'number') return simpleShape(raw)
  if (raw[0] === LIST) return { kind: 'list', item: raw[4] as Ref }
  if (raw[0] !== STRUCTURE) return simpleShape(raw[4] as number)
  const [, , name, , names = [], refs = [], required = 0] = raw as unknown as readonly [
    ...[number, string, string, unknown],
    ...[(readonly string[])?, (readonly Ref[])?, number?],
  ]
  const members = names.map((each, index) => ({ name: each, ref: refs[index]!, required: index < required }))
  return { kind: 'structure', name, members }
}

function simpleShape(type: number): Shape {
  if (type & LIST_OF) return { kind: 'list', item: type & ~LIST_OF }
  if (type === NUMBER) return { kind: 'number' }
  if (type === BOOLEAN) return { kind: 'boolean' }
  return { kind: INSTANTS.includes(type) ? 'instant' : 'text' }
}

function rawShape(ref: Ref): number | RawShape {
  if (typeof ref === 'number') return ref
  if (typeof ref === 'function') return rawShape(ref())
  // A reference with traits is a pair; a shape has its kind first and its namespace second.
  if (typeof ref[1] === 'string') return ref as RawShape
  return rawShape((ref as readonly [Ref, unknown])[0])
}

function traitsOf(ref: Ref): Traits {
  if (typeof ref !== 'object' || typeof ref[1] !== 'object' || ref[1] === null) return {}
  return ref[1] as Traits
}

export interface Parsed {
  readonly input: Fields
  /** Names that the operation does not have. */
  readonly unknown: readonly string[]
  /** Names whose values are not of their type. */
  readonly malformed: readonly string[]
  /** Names that have to be there, and are not. */
  readonly missing: readonly string[]
}

/** From the parameters of a Query request. */
export function parseInput(operation: Operation, params: ReadonlyMap<string, string>): Parsed {
  const reader = new Reader(params)
  const input = (reader.read(operation.input, '') ?? {}) as Fields
  const { used, malformed, missing } = reader
  return { input, unknown: [...params.keys()].filter((name) => !used.has(name)), malformed, missing }
}

class Reader {
  readonly #params: ReadonlyMap<string, string>
  /** All parameters, and whatever they are parts of. */
  readonly #paths = new Set<string>()
  readonly used = new Set<string>()
  readonly malformed: string[] = []
  readonly missing: string[] = []

  constructor(params: ReadonlyMap<string, string>) {
    this.#params = params
    for (const name of params.keys()) {
      const parts = name.split('.')
      for (let count = 1; count <= parts.length; count++) this.#paths.add(parts.slice(0, count).join('.'))
    }
  }

  read(ref: Ref, at: string): Value {
    const shape = shapeOf(ref)
    if (shape.kind === 'list') return this.#list(shape.item, at)
    if (shape.kind === 'structure') return this.#structure(shape, at)
    return this.#simple(shape.kind, at)
  }

  #structure(shape: Shape & { kind: 'structure' }, at: string): Value {
    const fields: Record<string, Value> = {}
    for (const { name, ref, required } of shape.members) {
      const path = at === '' ? queryName(name, ref) : `${at}.${queryName(name, ref)}`
      if (this.#paths.has(path)) fields[name] = this.read(ref, path)
      else if (required) this.missing.push(path)
    }
    return guarded(shape, fields)
  }

  /** `Name.1`, `Name.2`, ... without a gap. */
  #list(item: Ref, at: string): Value {
    const items: Value[] = []
    for (let index = 1; this.#paths.has(`${at}.${index}`); index++) items.push(this.read(item, `${at}.${index}`))
    return items
  }

  #simple(kind: 'text' | 'number' | 'boolean' | 'instant', at: string): Value {
    const text = this.#params.get(at)
    if (text === undefined) return undefined
    this.used.add(at)
    const value = simpleValue(kind, text)
    if (value === undefined) this.malformed.push(at)
    return value
  }
}

/** Undefined where the text is none of its kind. */
function simpleValue(kind: 'text' | 'number' | 'boolean' | 'instant', text: string): Value {
  if (kind === 'text') return text
  if (kind === 'number') return /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined
  if (kind === 'boolean') return text === 'true' ? true : text === 'false' ? false : undefined
  const instant = new Date(text)
  return Number.isNaN(instant.getTime()) ? undefined : instant
}

/** What the language itself asks any object for. */
const RUNTIME = new Set(['toJSON', 'then'])

/** Whoever reads a name that the model does not have learns of it at once. */
function guarded({ name: type, members }: Shape & { kind: 'structure' }, fields: Fields): Fields {
  const names = new Set(members.map(({ name }) => name))
  return new Proxy(fields, {
    get(target, name) {
      if (typeof name === 'string' && !names.has(name) && !RUNTIME.has(name)) throw new Error(`${type} has no ${name}`)
      return Reflect.get(target, name)
    },
  })
}

/** The whole XML answer of an operation. Throws where a field is none of its own. */
export function renderOutput(action: string, output: Fields, requestId: string): string {
  const shape = shapeOf(operationOf(action)!.output)
  const head = `<?xml version="1.0" encoding="UTF-8"?>\n<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">`
  const body = shape.kind === 'structure' ? fieldsXml(shape, output) : '<return>true</return>'
  return `${head}<requestId>${requestId}</requestId>${body}</${action}Response>`
}

function fieldsXml({ name: type, members }: Shape & { kind: 'structure' }, fields: Fields): string {
  const stranger = Object.keys(fields).find((name) => members.every((member) => member.name !== name))
  if (stranger !== undefined) throw new Error(`${type} has no ${stranger}`)
  return members
    .map(({ name, ref }) => (fields[name] === undefined ? '' : valueXml(xmlNameOf(name, ref), ref, fields[name])))
    .join('')
}

function valueXml(tag: string, ref: Ref, value: Value): string {
  const shape = shapeOf(ref)
  if (shape.kind === 'list') {
    const item = xmlNameOf('item', shape.item)
    return `<${tag}>${(value as readonly Value[]).map((each) => valueXml(item, shape.item, each)).join('')}</${tag}>`
  }
  if (shape.kind === 'structure') return `<${tag}>${fieldsXml(shape, value as Fields)}</${tag}>`
  return `<${tag}>${escaped(value instanceof Date ? value.toISOString() : String(value))}</${tag}>`
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** The protocol's rule: ec2QueryName, else xmlName with a capital, else the member's name with a capital. */
function queryName(member: string, ref: Ref): string {
  const { ec2QueryName, xmlName } = traitsOf(ref)
  return ec2QueryName ?? capital(xmlName ?? member)
}

function xmlNameOf(member: string, ref: Ref): string {
  return traitsOf(ref).xmlName ?? member
}

function capital(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1)
}
