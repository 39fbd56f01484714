/** What is wanted of a network, from a file: every fault with its place, before anything is asked of the control plane. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { IntentDraft } from '../../../protocol/control/generated/api-client.ts'
import { intentDraftSchema } from '../../../protocol/control/intent.ts'
import { type Finding, formatFault } from '../../config/faults.ts'
import { findingsOf } from '../../config/issues.ts'
import { keysIn, type SchemaNode } from '../../config/keys.ts'
import { placed } from '../../config/read.ts'
import { readSource } from '../../config/source.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure } from '../command.ts'

/** Characters; the control plane takes as many bytes. */
const MAX_CHARACTERS = 4 << 20
const REMEDY = 'isthmus network export shows what it looks like, docs/intents.md tells what may be in it'

/**
 * YAML or JSON; `-` is standard input. Prints all faults; throws a CommandFailure when there are any. What it gives is
 * as it was written, without defaults.
 */
export function readIntentFile(path: string, io: Pick<CliIo, 'stderr'>): IntentDraft {
  const text = textOf(path)
  const plain = parsedJson(text)
  if (plain !== undefined && intentDraftSchema.safeParse(plain).success) return plain as IntentDraft
  const source = readSource(path, text, MAX_CHARACTERS)
  if (source.faults.length > 0) throw faulty(path, source.faults.map(formatFault), io)
  const parsed = intentDraftSchema.safeParse(source.value ?? {})
  if (parsed.success) return source.value as IntentDraft
  const keys = schemaOf(z.toJSONSchema(intentDraftSchema, { io: 'input' }) as Referring)
  const found = findingsOf(parsed.error.issues.map(worded), source.value, (at) => keysIn(keys, at)).map(ofIntents)
  throw faulty(path, placed(source, found).map(formatFault), io)
}

function textOf(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CommandFailure(`${path} cannot be read (${code})`, 'name a file of YAML or JSON', EXIT.unreadableFile)
  }
}

/** JSON is YAML too, but reading it as such takes many times as long. */
function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

type Issue = z.core.$ZodIssue

interface Referring {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, Referring>>
  readonly properties?: Readonly<Record<string, Referring>>
  readonly items?: Referring
}

/** With every section where it stands. */
function schemaOf(root: Referring): SchemaNode {
  const whole = (node: Referring): SchemaNode => {
    const { properties, items } = root.$defs?.[node.$ref?.split('/').at(-1) ?? ''] ?? node
    const entries = Object.entries(properties ?? {}).map(([name, property]) => [name, whole(property)] as const)
    return {
      ...(properties === undefined ? {} : { properties: Object.fromEntries(entries) }),
      ...(items === undefined ? {} : { items: whole(items) }),
    } as SchemaNode
  }
  return whole(root)
}

/** With what it should be in place of zod's own words, which make no sentence here. */
function worded(issue: Issue): Issue {
  const wanted = wantedBy(issue)
  return wanted === undefined ? issue : { ...issue, message: wanted }
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
      const each = issue.errors.flatMap(([first]) => (first === undefined ? [] : (wantedBy(first) ?? first.message)))
      return each.find((text) => text.includes(' is ')) ?? [...new Set(each)].join(', or ')
    }
    default:
      return undefined
  }
}

function limitText(origin: string, limit: string): string {
  if (origin === 'string') return `text of ${limit} characters`
  return origin === 'array' || origin === 'tuple' ? `the number of entries should be ${limit}` : `a number of ${limit}`
}

function ofIntents(finding: Finding): Finding {
  return finding.remedy === 'see docs/config.md' ? { ...finding, remedy: 'see docs/intents.md' } : finding
}

function faulty(path: string, faults: readonly string[], io: Pick<CliIo, 'stderr'>): CommandFailure {
  for (const fault of faults) io.stderr(`${fault}\n`)
  const count = faults.length === 1 ? 'one fault' : `${faults.length} faults`
  return new CommandFailure(`${path} does not make sense: ${count}`, REMEDY, EXIT.badConfig)
}
