/** Files of YAML or JSON that people write for verbs: read whole, held against a schema, every fault with its place. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { ConfigFault, Finding } from '../../config/faults.ts'
import { findingsOf } from '../../config/issues.ts'
import { keysIn, type SchemaNode } from '../../config/keys.ts'
import { placed } from '../../config/read.ts'
import type { ConfigSource } from '../../config/source.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure } from '../command.ts'

/** Characters; the control plane takes as many bytes. */
export const MAX_CHARACTERS = 4 << 20

/** Of a file; `-` is standard input. Throws a CommandFailure. */
export function textOf(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CommandFailure(`${path} cannot be read (${code})`, 'name a file of YAML or JSON', EXIT.unreadableFile)
  }
}

/** JSON is YAML too, but reading it as such takes many times as long. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What of a source's value does not fit. `page`: what a person is referred to where nothing better can be said. */
export function schemaFaults(source: ConfigSource, schema: z.ZodType, page: string): ConfigFault[] {
  const parsed = schema.safeParse(source.value ?? {})
  if (parsed.success) return []
  const keys = nodeOf(z.toJSONSchema(schema, { io: 'input' }) as Referring)
  const findings = findingsOf(parsed.error.issues.map(worded), source.value, (at) => keysIn(keys, at))
  return placed(
    source,
    findings.map((finding) => referringTo(page, finding)),
  )
}

/** Prints each, and gives the failure of the whole. */
export function faulty(
  path: string,
  faults: readonly string[],
  remedy: string,
  io: Pick<CliIo, 'stderr'>,
): CommandFailure {
  for (const fault of faults) io.stderr(`${fault}\n`)
  const count = faults.length === 1 ? 'one fault' : `${faults.length} faults`
  return new CommandFailure(`${path} does not make sense: ${count}`, remedy, EXIT.badConfig)
}

type Issue = z.core.$ZodIssue

interface Referring {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, Referring>>
  readonly properties?: Readonly<Record<string, Referring>>
  readonly items?: Referring
  readonly anyOf?: readonly Referring[]
  readonly oneOf?: readonly Referring[]
}

/** With every section where it stands; of several forms, the keys of all. */
function nodeOf(root: Referring): SchemaNode {
  const whole = (node: Referring): SchemaNode => {
    const section = root.$defs?.[node.$ref?.split('/').at(-1) ?? ''] ?? node
    const forms = [section, ...(section.anyOf ?? []), ...(section.oneOf ?? [])]
    const properties = forms.flatMap((form) => Object.entries(form.properties ?? {}))
    const items = forms.find((form) => form.items !== undefined)?.items
    return {
      ...(properties.length === 0
        ? {}
        : { properties: Object.fromEntries(properties.map(([name, property]) => [name, whole(property)])) }),
      ...(items === undefined ? {} : { items: whole(items) }),
    } as SchemaNode
  }
  return whole(root)
}

/** With what it should be in place of zod's own words, which make no sentence here. */
function worded(issue: Issue): Issue {
  const wanted = wantedBy(issue)
  if (wanted !== undefined) return { ...issue, message: wanted }
  if (!issue.message.startsWith('not ')) return issue
  const noun = { message: issue.message.slice('not '.length) }
  return issue.code === 'custom' ? { ...issue, ...noun, params: { wanted: true } } : { ...issue, ...noun }
}

const TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  tuple: 'a list',
  object: 'a mapping',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  string: 'text',
}

function wantedBy(issue: Issue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return TYPES[issue.expected]
    case 'invalid_value':
      return issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.join(', ')}`
    case 'too_small':
      return limitText(issue.origin, `at least ${issue.minimum}`)
    case 'too_big':
      return limitText(issue.origin, `at most ${issue.maximum}`)
    case 'invalid_union': {
      const options = 'options' in issue && Array.isArray(issue.options) ? issue.options : []
      if (options.length > 0) return `one of ${options.join(', ')}`
      const each = issue.errors.flatMap(([first]) => (first === undefined ? [] : (wantedBy(first) ?? first.message)))
      return each.find((text) => text.includes(' is ')) ?? ([...new Set(each)].join(', or ') || undefined)
    }
    default:
      return undefined
  }
}

function limitText(origin: string, limit: string): string {
  if (origin === 'string') return `text of ${limit} characters`
  return origin === 'array' || origin === 'tuple' ? `the number of entries should be ${limit}` : `a number of ${limit}`
}

function referringTo(page: string, finding: Finding): Finding {
  return finding.remedy === 'see docs/config.md' ? { ...finding, remedy: `see ${page}` } : finding
}
