/** The configuration's JSON Schema, and the keys that it allows at a path. */
import { z } from 'zod'
import type { ConfigPath } from './faults.ts'
import { configSchema } from './schema.ts'

/** The part of JSON Schema that zod makes of our schema. */
export interface SchemaNode {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: boolean | SchemaNode
  readonly required?: readonly string[]
  readonly items?: SchemaNode
  readonly 'x-type'?: string
  readonly 'x-unit'?: string
  readonly 'x-why'?: string
  readonly 'x-default'?: string
  readonly 'x-example'?: string
}

let cached: SchemaNode | undefined

export function jsonSchema(): SchemaNode {
  cached ??= z.toJSONSchema(configSchema, { io: 'input' }) as SchemaNode
  return cached
}

export function keysAt(path: ConfigPath): readonly string[] {
  return keysIn(jsonSchema(), path)
}

/** The keys that the schema `root` allows at a path. */
export function keysIn(root: SchemaNode, path: ConfigPath): readonly string[] {
  let node: SchemaNode | undefined = root
  for (const part of path) {
    const named: SchemaNode | undefined = typeof part === 'string' ? node?.properties?.[part] : undefined
    const any: SchemaNode | undefined =
      typeof node?.additionalProperties === 'object' ? node.additionalProperties : undefined
    node = named ?? any ?? node?.items
  }
  return Object.keys(node?.properties ?? {})
}
