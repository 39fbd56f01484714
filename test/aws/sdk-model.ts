/**
 * The EC2 API as the SDK's own model describes it: which parameters an operation takes, by which names they travel, and
 * how its answer is written. The stand-in reads and writes by it, so that it cannot invent a name.
 */
import * as sdk from '@aws-sdk/client-ec2'

/** Shapes of the package: see `dist-es/schemas`. A number is a simple type; an array is a type of its own. */
type Ref = number | Shape | (() => Ref) | readonly [Ref, unknown]
type Shape = readonly [number, string, string, unknown, ...unknown[]]
type Traits = { readonly ec2QueryName?: string; readonly xmlName?: string }

const LIST = 1
const STRUCT = 3
const OPERATION = 9
const LIST_OF = 64
const NUMBER = 1
const BOOLEAN = 2
const TIMESTAMPS = new Set([4, 5, 6, 7])

export type Value = string | number | boolean | Date | undefined | readonly Value[] | { readonly [key: string]: Value }
export type Fields = { readonly [key: string]: Value }

/** Undefined: the API has no such operation. */
export function operationOf(action: string): { readonly input: Ref; readonly output: Ref } | undefined {
  const shape = (sdk as unknown as Record<string, Shape | undefined>)[`${action}$`]
  return shape?.[0] === OPERATION ? { input: shape[4] as Ref, output: shape[5] as Ref } : undefined
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
export function parseInput(operation: { readonly input: Ref }, params: ReadonlyMap<string, string>): Parsed {
  const reader = new Reader(params)
  const input = reader.read(operation.input, '') as Fields
  const { used, malformed, missing } = reader
  return { input, unknown: [...params.keys()].filter((name) => !used.has(name)), malformed, missing }
}

class Reader {
  readonly #params: ReadonlyMap<string, string>
  readonly used = new Set<string>()
  readonly malformed: string[] = []
  readonly missing: string[] = []

  constructor(params: ReadonlyMap<string, string>) {
    this.#params = params
  }

  read(ref: Ref, at: string): Value {
    const shape = resolve(ref)
    if (typeof shape === 'number') return shape & LIST_OF ? this.#list(shape & ~LIST_OF, at) : this.#simple(shape, at)
    if (shape[0] === STRUCT) return this.#struct(shape, at)
    if (shape[0] === LIST) return this.#list(shape[4] as Ref, at)
    return this.#simple(shape[4] as number, at)
  }

  #struct(shape: Shape, at: string): Value {
    const [names, refs] = [shape[4] as readonly string[], shape[5] as readonly Ref[]]
    const required = (shape[6] as number | undefined) ?? 0
    const fields: Record<string, Value> = {}
    for (const [index, name] of names.entries()) {
      const path = at === '' ? queryName(name, refs[index]!) : `${at}.${queryName(name, refs[index]!)}`
      if (this.#has(path)) fields[name] = this.read(refs[index]!, path)
      else if (index < required) this.missing.push(path)
    }
    return at !== '' && Object.keys(fields).length === 0 ? undefined : guarded(shape, fields)
  }

  /** `Name.1`, `Name.2`, ... without a gap. */
  #list(member: Ref, at: string): Value {
    const items: Value[] = []
    for (let index = 1; this.#has(`${at}.${index}`); index++) items.push(this.read(member, `${at}.${index}`))
    return items
  }

  #simple(type: number, at: string): Value {
    const text = this.#params.get(at)
    if (text === undefined) return undefined
    this.used.add(at)
    if (type === NUMBER) {
      const number = Number(text)
      if (!/^-?\d{1,19}$/.test(text)) this.malformed.push(at)
      return number
    }
    if (type === BOOLEAN) {
      if (text !== 'true' && text !== 'false') this.malformed.push(at)
      return text === 'true'
    }
    return TIMESTAMPS.has(type) ? new Date(text) : text
  }

  #has(path: string): boolean {
    if (this.#params.has(path)) return true
    for (const name of this.#params.keys()) if (name.startsWith(`${path}.`)) return true
    return false
  }
}

/** Whoever reads a name that the model does not have learns of it at once. */
function guarded(shape: Shape, fields: Fields): Fields {
  const names = new Set(shape[4] as readonly string[])
  return new Proxy(fields, {
    get(target, name) {
      if (typeof name === 'string' && !names.has(name) && !RUNTIME.has(name)) {
        throw new Error(`${shape[2]} has no ${name}`)
      }
      return Reflect.get(target, name)
    },
  })
}

/** What the language itself asks any object for. */
const RUNTIME = new Set(['toJSON', 'then'])

/** The whole XML answer of an operation. Throws where a field is none of its own. */
export function renderOutput(action: string, output: Fields, requestId: string): string {
  const { output: ref } = operationOf(action)!
  const head = `<?xml version="1.0" encoding="UTF-8"?>\n<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">`
  const shape = resolve(ref)
  const isStruct = typeof shape !== 'number' && shape[0] === STRUCT && (shape[4] as readonly string[]).length > 0
  const body = isStruct ? fieldsXml(shape, output) : '<return>true</return>'
  return `${head}<requestId>${requestId}</requestId>${body}</${action}Response>`
}

function fieldsXml(shape: Shape, fields: Fields): string {
  const [names, refs] = [shape[4] as readonly string[], shape[5] as readonly Ref[]]
  const stranger = Object.keys(fields).find((name) => !names.includes(name))
  if (stranger !== undefined) throw new Error(`${shape[2]} has no ${stranger}`)
  return names
    .map((name, index) =>
      fields[name] === undefined ? '' : valueXml(xmlNameOf(name, refs[index]!), refs[index]!, fields[name]),
    )
    .join('')
}

function valueXml(tag: string, ref: Ref, value: Value): string {
  const shape = resolve(ref)
  const member =
    typeof shape === 'number'
      ? shape & LIST_OF
        ? shape & ~LIST_OF
        : undefined
      : shape[0] === LIST
        ? (shape[4] as Ref)
        : undefined
  if (member !== undefined) {
    const item = xmlNameOf('item', member)
    return `<${tag}>${(value as readonly Value[]).map((each) => valueXml(item, member, each)).join('')}</${tag}>`
  }
  if (typeof shape !== 'number' && shape[0] === STRUCT) return `<${tag}>${fieldsXml(shape, value as Fields)}</${tag}>`
  return `<${tag}>${escaped(value instanceof Date ? value.toISOString() : String(value))}</${tag}>`
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

function resolve(ref: Ref): number | Shape {
  if (typeof ref === 'number') return ref
  if (typeof ref === 'function') return resolve(ref())
  // A reference with traits is a pair; a shape has its kind first and its namespace second.
  if (typeof ref[1] === 'string') return ref as Shape
  return resolve((ref as readonly [Ref, unknown])[0])
}

function traitsOf(ref: Ref): Traits {
  if (typeof ref !== 'object' || typeof ref[1] !== 'object' || ref[1] === null) return {}
  return ref[1] as Traits
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
