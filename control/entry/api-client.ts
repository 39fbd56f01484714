/**
 * Writes what the typed client of people and jobs knows of the API, from its OpenAPI document:
 * `node control/entry/api-client.ts`. A test checks that it is current.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compile } from 'json-schema-to-typescript'
import { ALL_OPERATIONS } from '../routes/all.ts'
import { openApiDocument } from '../routes/openapi.ts'

export const CLIENT_FILE = new URL('../../protocol/control/generated/api-client.ts', import.meta.url)

type Json = { [key: string]: Json } | Json[] | string | number | boolean | null
type Schema = { [key: string]: Json }
type Compilable = Parameters<typeof compile>[0]

interface Operation {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly parameters?: readonly {
    readonly in: string
    readonly name: string
    readonly required?: boolean
    readonly schema: Schema
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

const HEAD = `/**
 * What a client of the API sends and gets, by the id of the operation. Made from the OpenAPI document by
 * \`node control/entry/api-client.ts\`; do not edit.
 */

`

/** The file as it should be. */
export async function clientSource(): Promise<string> {
  const document = openApiDocument(ALL_OPERATIONS, '1') as unknown as Document
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { tags }]) => !tags.includes('For connectors') && !tags.includes('For functions'))
      .map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  const root: Schema = {
    title: 'Operations',
    type: 'object',
    additionalProperties: false,
    required: operations.map(({ operation }) => operation.operationId),
    properties: Object.fromEntries(operations.map(({ operation }) => [operation.operationId, shapeOf(operation)])),
    definitions: definitionsOf(
      document,
      operations.map(({ operation }) => operation),
    ),
  }
  const types = await compile(forTypes(root) as unknown as Compilable, 'Operations', {
    bannerComment: '',
    format: false,
  })
  const routes = operations.map(({ path, method, operation }) => {
    const match = (operation.parameters ?? []).some(({ name }) => name === 'If-Match')
    return `  '${operation.operationId}': { method: '${method}', path: '${path}', match: ${match} },`
  })
  const table = `/** Where each operation is. \`match\`: If-Match must come with it. */\nexport const ROUTES = {\n${routes.join('\n')}\n} as const\n`
  return formatted(`${HEAD}${types}\n${table}`)
}

/** What one operation takes and gives. */
function shapeOf(operation: Operation): Schema {
  const body = operation.requestBody?.content['application/json']?.schema
  const answer = Object.entries(operation.responses).find(([status]) => status.startsWith('2'))?.[1]
  const told = answer?.content?.['application/json']?.schema
  const parts: Record<string, Schema | undefined> = {
    params: parametersOf(operation, 'path'),
    query: parametersOf(operation, 'query'),
    body,
    answer: told,
  }
  const present = Object.entries(parts).filter(([, schema]) => schema !== undefined) as [string, Schema][]
  return {
    type: 'object',
    description: operation.summary,
    additionalProperties: false,
    required: present.map(([name]) => name).filter((name) => name !== 'query'),
    properties: Object.fromEntries(present),
  }
}

function parametersOf({ parameters = [] }: Operation, place: string): Schema | undefined {
  const here = parameters.filter((parameter) => parameter.in === place)
  if (here.length === 0) return undefined
  return {
    type: 'object',
    additionalProperties: false,
    required: here.filter(({ required }) => required === true).map(({ name }) => name),
    properties: Object.fromEntries(here.map(({ name, schema: { description: _, ...schema } }) => [name, schema])),
  }
}

/** The schemas that the operations name, and what those name. In what only answers show, what has a default is there. */
function definitionsOf({ components }: Document, operations: readonly Operation[]): Schema {
  const sent = reachable(
    components.schemas,
    operations.map(({ requestBody }) => requestBody ?? null),
  )
  const shown = reachable(components.schemas, operations.map(shapeOf))
  const entries = [...shown].sort().map((name) => {
    const schema = components.schemas[name]!
    return [name, sent.has(name) ? schema : withDefaults(schema)] as const
  })
  return Object.fromEntries(entries)
}

function reachable(schemas: Readonly<Record<string, Schema>>, from: unknown): Set<string> {
  const found = new Set<string>()
  const visit = (value: unknown): void => {
    for (const [, name] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (found.has(name!)) continue
      found.add(name!)
      visit(schemas[name!])
    }
  }
  visit(from)
  return found
}

function withDefaults(json: Schema): Schema {
  return mapped(json, (schema) => {
    if (typeof schema.properties !== 'object') return schema
    const preset = Object.entries(schema.properties as Record<string, Schema>).filter(([, value]) => 'default' in value)
    const required = [...((schema.required as string[] | undefined) ?? []), ...preset.map(([name]) => name)]
    return { ...schema, required: [...new Set(required)] }
  })
}

/** What the compiler of types understands: references to definitions, tuples in the older form, no lengths of lists. */
function forTypes(json: Schema): Schema {
  return mapped(json, ({ prefixItems, minItems: _min, maxItems: _max, $ref, ...schema }) => {
    if (typeof $ref === 'string') return { $ref: $ref.replace('#/components/schemas/', '#/definitions/') }
    if (!Array.isArray(prefixItems)) return schema
    return { ...schema, items: prefixItems, minItems: prefixItems.length, maxItems: prefixItems.length }
  })
}

function mapped(json: Schema, change: (schema: Schema) => Schema): Schema {
  const inside = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(inside)
    return typeof value === 'object' && value !== null ? mapped(value, change) : value
  }
  return change(Object.fromEntries(Object.entries(json).map(([key, value]) => [key, inside(value)])))
}

function formatted(source: string): string {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const words = ['node_modules/@biomejs/biome/bin/biome', 'format', '--stdin-file-path=client.ts']
  return execFileSync(process.execPath, words, { cwd: root, input: source, encoding: 'utf8' })
}

if (import.meta.main) writeFileSync(CLIENT_FILE, await clientSource())
