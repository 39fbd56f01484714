/** Values that fit a JSON Schema of our OpenAPI document, and values that nearly do. For tests only. */
import * as fc from 'fast-check'

export interface JsonSchema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly prefixItems?: readonly JsonSchema[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly pattern?: string
  readonly examples?: readonly unknown[]
  readonly oneOf?: readonly JsonSchema[]
  readonly anyOf?: readonly JsonSchema[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly maxLength?: number
}

export type Schemas = Readonly<Record<string, JsonSchema>>

/** What programs that do not know better send. */
const JUNK: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(null, true, -1, 0, 1e308, 2 ** 53, '', ' ', '\u0000', '\ud800', '__proto__', '../..', '%00', [], {}),
  fc.string({ maxLength: 80 }),
  fc.jsonValue({ maxDepth: 2 }),
)

/** Mostly fits; `known` gives real identifiers by prefix, so that some requests reach what is there. */
export function nearly(
  schema: JsonSchema,
  schemas: Schemas,
  known: Readonly<Record<string, readonly string[]>>,
): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 40, arbitrary: fitting(schema, schemas, known) }, { weight: 1, arbitrary: JUNK })
}

function fitting(
  schema: JsonSchema,
  schemas: Schemas,
  known: Readonly<Record<string, readonly string[]>>,
): fc.Arbitrary<unknown> {
  const inner = (one: JsonSchema) => nearly(one, schemas, known)
  if (schema.$ref !== undefined) return fitting(schemas[schema.$ref.split('/').at(-1)!]!, schemas, known)
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  const either = schema.oneOf ?? schema.anyOf
  if (either !== undefined) return fc.oneof(...either.map(inner))
  if (schema.prefixItems !== undefined) return fc.tuple(...schema.prefixItems.map(inner))
  switch ([schema.type].flat()[0]) {
    case 'object':
      return record(schema, inner)
    case 'array':
      return array(schema, inner)
    case 'integer':
      return fc.integer({ min: schema.minimum ?? 0, max: Math.min(schema.maximum ?? 1000, 2 ** 31) })
    case 'number':
      return fc.double({ min: schema.minimum ?? 0, max: schema.maximum ?? 1000, noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'string':
      return text(schema, known)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

function record(schema: JsonSchema, inner: (one: JsonSchema) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const fields = Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([name, field]) => [name, inner(field)]),
  )
  const requiredKeys = (schema.required ?? []).filter((name) => name in fields)
  const whole = fc.record(fields, { requiredKeys })
  const partial = fc.record(fields, { requiredKeys: [] })
  const extra = fc
    .tuple(whole, fc.string({ maxLength: 12 }), fc.jsonValue())
    .map(([value, name, more]) => ({ ...value, [name]: more }))
  return fc.oneof({ weight: 10, arbitrary: whole }, { weight: 1, arbitrary: partial }, { weight: 1, arbitrary: extra })
}

function array(schema: JsonSchema, inner: (one: JsonSchema) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const minLength = schema.minItems ?? 0
  return fc.array(inner(schema.items ?? {}), {
    minLength,
    maxLength: Math.max(minLength, Math.min(schema.maxItems ?? 4, 4)),
  })
}

function text(schema: JsonSchema, known: Readonly<Record<string, readonly string[]>>): fc.Arbitrary<unknown> {
  const choices: { weight: number; arbitrary: fc.Arbitrary<unknown> }[] = []
  const prefix = /^\^([a-z]+)_\[/.exec(schema.pattern ?? '')?.[1]
  const ids = prefix === undefined ? undefined : known[prefix]
  if (ids !== undefined && ids.length > 0) choices.push({ weight: 8, arbitrary: fc.constantFrom(...ids) })
  if (schema.pattern !== undefined)
    choices.push({ weight: 2, arbitrary: fc.stringMatching(new RegExp(schema.pattern)) })
  else choices.push({ weight: 1, arbitrary: fc.string({ maxLength: schema.maxLength ?? 40 }) })
  for (const example of schema.examples ?? []) choices.push({ weight: 4, arbitrary: likeExample(example) })
  return fc.oneof(...choices)
}

/** More of the kind of an example: prefixes and addresses in documentation ranges. */
function likeExample(example: unknown): fc.Arbitrary<unknown> {
  if (typeof example !== 'string' || !/^\d+\./.test(example)) return fc.constant(example)
  const pair = fc.tuple(octet, octet)
  if (!example.includes('/')) return pair.map(([a, b]) => `198.51.${a}.${b}`)
  return fc.oneof(
    pair.map(([a, b]) => `10.${a}.${b}.0/24`),
    pair.map(([a, b]) => `2001:db8:${a.toString(16)}:${b.toString(16)}::/64`),
  )
}

const octet = fc.integer({ min: 0, max: 255 })
