/** YAML text as plain values, with the way back from a path to a line and a column. */
import {
  type Document,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  parseAllDocuments,
  parseDocument,
} from 'yaml'
import type { ConfigFault, Finding } from './faults.ts'
import { formatPath } from './faults.ts'

/** A configuration is some kilobytes; more is a wrong file. */
const MAX_CHARACTERS = 1 << 20

export interface ConfigSource {
  readonly value: unknown
  /** Mistakes of YAML itself; when there are any, `value` is not to be relied on. */
  readonly faults: readonly ConfigFault[]
  place(finding: Finding): ConfigFault
}

/** Never throws: what is not YAML comes back as faults. `most`: characters. */
export function readSource(file: string, text: string, most = MAX_CHARACTERS): ConfigSource {
  const lines = new LineCounter()
  const long = tooLong(file, text, most)
  return long ?? sourceOf(file, parseDocument(text, { ...OPTIONS, lineCounter: lines }), lines)
}

/** Like `readSource`, of a file that may have several documents, divided by `---`; at least one comes back. */
export function readSources(file: string, text: string, most = MAX_CHARACTERS): ConfigSource[] {
  const lines = new LineCounter()
  const long = tooLong(file, text, most)
  if (long !== undefined) return [long]
  const documents = parseAllDocuments(text, { ...OPTIONS, lineCounter: lines })
  if (!Array.isArray(documents) || documents.length === 0) return [readSource(file, text, most)]
  return documents.map((document) => sourceOf(file, document, lines))
}

const OPTIONS = { prettyErrors: false, uniqueKeys: true, logLevel: 'error' } as const

function sourceOf(file: string, document: Document, lines: LineCounter): ConfigSource {
  const fault = (offset: number, message: string, remedy: string): ConfigFault => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(1, line), column: Math.max(1, col), path: '', message, remedy, kind: 'config' }
  }
  const faults = document.errors.map((error) => fault(error.pos[0], plain(error.message), remedyFor(error.code)))
  if (faults.length > 0) return brokenSource(file, faults)
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 100 })
  } catch {
    return brokenSource(file, [fault(0, 'its aliases expand too far', 'write the values out instead of using aliases')])
  }
  const place = (finding: Finding): ConfigFault => {
    const { line, col } = lines.linePos(offsetOf(document, finding))
    const at = { line: Math.max(1, line), column: Math.max(1, col) }
    return { file, ...at, path: formatPath(finding.path), ...wordsOf(finding) }
  }
  return { value, faults, place }
}

function tooLong(file: string, text: string, most: number): ConfigSource | undefined {
  if (text.length <= most) return undefined
  const message = `the file has ${text.length} characters, far more than a configuration`
  const remedy = 'name the right file with --config'
  return brokenSource(file, [{ file, line: 1, column: 1, path: '', message, remedy, kind: 'config' }])
}

function brokenSource(file: string, faults: ConfigFault[]): ConfigSource {
  const place = (finding: Finding): ConfigFault => {
    return { file, line: 1, column: 1, path: formatPath(finding.path), ...wordsOf(finding) }
  }
  return { value: undefined, faults, place }
}

function wordsOf(finding: Finding): Pick<ConfigFault, 'message' | 'remedy' | 'kind'> {
  return { message: finding.message, remedy: finding.remedy, kind: finding.kind ?? 'config' }
}

/** The deepest node on the path that exists: a missing key is placed at the key of the mapping that lacks it. */
function offsetOf(document: Document, finding: Finding): number {
  let node: unknown = document.contents
  let offset = startOf(document.contents) ?? 0
  for (const [depth, part] of finding.path.entries()) {
    const isLast = depth === finding.path.length - 1
    const step = childOf(node, part)
    if (step === undefined) break
    const atKey = (isLast && finding.atKey) || step.value === null || startOf(step.value) === undefined
    const leadsOn = !isLast && childOf(step.value, finding.path[depth + 1]!) === undefined
    offset = (atKey || leadsOn ? startOf(step.key) : startOf(step.value)) ?? offset
    node = step.value
  }
  return offset
}

function childOf(node: unknown, part: string | number): { key: unknown; value: unknown } | undefined {
  if (isMap(node)) {
    const pair = node.items.find(
      (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(part),
    )
    return pair === undefined ? undefined : { key: pair.key, value: pair.value }
  }
  if (node !== null && typeof node === 'object' && 'items' in node && Array.isArray(node.items)) {
    const item: unknown = typeof part === 'number' ? node.items[part] : undefined
    return item === undefined ? undefined : { key: item, value: item }
  }
  return undefined
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? (node as Node).range?.[0] : undefined
}

function plain(message: string): string {
  const sentence = message.replace(/\s+/g, ' ').replace(/[.;]$/, '').trim()
  return `this is not valid YAML: ${sentence}`
}

function remedyFor(code: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'keep one of the two keys'
    case 'TAB_AS_INDENT':
      return 'indent with spaces'
    case 'BAD_INDENT':
      return 'align it with its neighbours, two spaces deeper than its parent'
    case 'MULTIPLE_DOCS':
      return 'keep one document: remove the line ---'
    default:
      return 'correct the syntax here; text with : # { [ or a leading quote needs quotes around it'
  }
}
