/** docs/config.md and the JSON Schema for editors, from the schema. */
import { jsonSchema, type SchemaNode } from './keys.ts'

export const SCHEMA_FILE = 'connector/config/isthmus.schema.json'

/** As the formatter leaves it: objects open, short lists of plain values on one line. */
export function schemaText(schema: SchemaNode = jsonSchema()): string {
  return `${layOut(schema, '')}\n`
}

function layOut(value: unknown, indent: string): string {
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    const flat = `[${value.map((item) => JSON.stringify(item)).join(', ')}]`
    const isPlain = value.every((item) => typeof item !== 'object')
    if (isPlain && indent.length + flat.length < 90) return flat
    return `[\n${value.map((item) => `${inner}${layOut(item, inner)}`).join(',\n')}\n${indent}]`
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${layOut(item, inner)}`)
    return entries.length === 0 ? '{}' : `{\n${entries.join(',\n')}\n${indent}}`
  }
  return JSON.stringify(value)
}

const HEAD = `# Configuration

\`isthmus.yaml\` says what one connector is to do. The simple case is short:

\`\`\`yaml
# yaml-language-server: $schema=./${SCHEMA_FILE}
site: hq
address: 192.0.2.1            # our outer address
networks: [10.1.0.0/16]
peers:
  branch:
    address: 198.51.100.7
    networks: [10.2.0.0/16]
    secret: { file: /etc/isthmus/branch.key }
\`\`\`

The other site's file is the same with the sides swapped. \`isthmus keygen\` makes the secret, \`isthmus check\` reports
every fault at once with line and column, and the first comment gives editors completion and help
(\`${SCHEMA_FILE}\`).

- Where \`--config\` and \`$ISTHMUS_CONFIG\` are absent, \`./isthmus.yaml\` and then \`/etc/isthmus/isthmus.yaml\` is read.
- Relative paths start at the directory of the file.
- Durations are numbers with units: \`500ms\`, \`30s\`, \`50m\`, \`8h\`, \`1d\`, or \`1h30m\`. Sizes are \`512MB\` (1,000) or \`512MiB\` (1,024).
- A secret never stands in the file, and no message shows one.

This page is made from the schema in \`connector/config/\`; \`node connector/cli/generate.ts\` renews it.
`

export function configPage(): string {
  return `${[HEAD, ...sections('', 'Top level', jsonSchema())].join('\n')}`
}

/** The section itself, then those below it. */
export function sections(path: string, title: string, node: SchemaNode): string[] {
  const keys = Object.entries(node.properties ?? {})
  const lead = path === '' ? '' : `${node.description} ${node['x-why']}\n\n`
  const required = new Set(node.required)
  const rows = keys.map(([key, child]) => row(key, child, required.has(key)))
  const head = '| key | type | unit | default | what and why |\n| --- | --- | --- | --- | --- |\n'
  const below = keys.flatMap(([key, child]) => {
    const inner = path === '' ? key : `${path}.${key}`
    if (child.properties !== undefined) return sections(inner, `\`${inner}\``, child)
    if (child.items?.properties !== undefined) return sections(`${inner}[]`, `\`${inner}[]\``, child.items)
    const named = child.additionalProperties
    if (typeof named !== 'object' || named.properties === undefined) return []
    return sections(`${inner}.<name>`, `\`${inner}.<name>\``, named)
  })
  return [`## ${title}\n\n${lead}${head}${rows.join('\n')}\n`, ...below]
}

function row(key: string, node: SchemaNode, isRequired: boolean): string {
  const unit = node['x-unit'] ?? ''
  const examples = (node.examples ?? (node['x-example'] === undefined ? [] : [node['x-example']])).map(
    (example) => `\`${String(example)}\``,
  )
  const example = examples.length === 0 ? '' : ` Example: ${examples.join(', ')}.`
  const cells = [
    `\`${key}\``,
    node['x-type'] ?? '',
    unit,
    defaultText(node, isRequired),
    `${node.description} *${node['x-why']}*${example}`,
  ]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replace(/`[^`]*`|</g, (part) => (part === '<' ? '&lt;' : part))).join(' | ')} |`
}

function defaultText(node: SchemaNode, isRequired: boolean): string {
  if (node['x-default'] !== undefined) return node['x-default']
  if (node.properties !== undefined && !isRequired) return 'see below'
  if (node.default === undefined) return isRequired ? '**required**' : 'none'
  if (Array.isArray(node.default)) return node.default.map((item) => `\`${String(item)}\``).join(', ')
  return `\`${String(node.default)}\``
}
