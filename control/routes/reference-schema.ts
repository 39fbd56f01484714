/** Schemas of the OpenAPI document in words for people. */
import { html } from 'hono/html'

/** What the reference page reads of a JSON Schema (2020-12). */
export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly prefixItems?: readonly Schema[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly oneOf?: readonly Schema[]
  readonly anyOf?: readonly Schema[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
}

export type Html = ReturnType<typeof html>

/** A type in a few words, with links to named ones. */
export function typeOf(schema: Schema): Html {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split('/').at(-1)!
    return html`<a href="#schema-${name}">${name}</a>`
  }
  if (schema.enum !== undefined)
    return html`${joined(
      schema.enum.map((value) => html`<code>${String(value)}</code>`),
      ' or ',
    )}`
  if (schema.const !== undefined) return html`<code>${String(schema.const)}</code>`
  const either = schema.oneOf ?? schema.anyOf
  if (either !== undefined) return html`${joined(either.map(typeOf), ' or ')}`
  if (schema.prefixItems !== undefined) return html`[${joined(schema.prefixItems.map(typeOf), ', ')}]`
  if (schema.items !== undefined) return html`list of ${typeOf(schema.items)}`
  return html`${[schema.type ?? 'any'].flat().join(' or ')}`
}

function joined(parts: readonly Html[], between: string): Html {
  return html`${parts.map((part, i) => (i === 0 ? part : html`${between}${part}`))}`
}

/** Rows for the fields of an object, those within it too. */
export function fieldRows(schema: Schema, prefix = ''): Html[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const required = schema.required?.includes(name) ?? false
    const inner = field.items ?? field
    const within = inner.properties === undefined ? [] : fieldRows(inner, `${prefix}${name}${field.items ? '[]' : ''}.`)
    return [fieldRow(`${prefix}${name}`, field, required), ...within]
  })
}

export function fieldRow(name: string, schema: Schema, required: boolean): Html {
  const star = required ? html`<span class="req" title="required">*</span>` : ''
  return html`<tr><td><code>${name}</code>${star}</td><td>${typeOf(schema)}${boundsOf(schema)}</td><td>${schema.description ?? ''}</td></tr>`
}

function boundsOf(schema: Schema): Html | string {
  const told: string[] = []
  if (schema.minimum !== undefined || (schema.maximum !== undefined && schema.maximum < Number.MAX_SAFE_INTEGER)) {
    told.push(range(schema.minimum, schema.maximum))
  }
  if (schema.minItems !== undefined || schema.maxItems !== undefined) {
    told.push(`${range(schema.minItems, schema.maxItems)} items`)
  }
  if (schema.default !== undefined) told.push(`else ${JSON.stringify(schema.default)}`)
  return told.length === 0 ? '' : html` <span class="dim">${told.join(', ')}</span>`
}

function range(min: number | undefined, max: number | undefined): string {
  if (max === undefined || max >= Number.MAX_SAFE_INTEGER) return `at least ${min}`
  return min === undefined ? `at most ${max}` : `${min} to ${max}`
}
