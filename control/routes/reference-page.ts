/** The API to read, at /docs: one page made from the OpenAPI document, with no script and nothing to fetch. */
import { html, raw } from 'hono/html'
import { REFUSALS } from '../service/refusals.ts'
import type { OpenApiDocument } from './openapi.ts'
import { fieldRow, fieldRows, type Html, type Schema } from './reference-schema.ts'
import { REFERENCE_STYLE } from './reference-style.ts'

interface Body {
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>
}
interface Answer extends Body {
  readonly description: string
}
interface Parameter {
  readonly name: string
  readonly in: string
  readonly required?: boolean
  readonly description?: string
  readonly schema?: Schema
}
interface OperationObject {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: Body
  readonly responses: Readonly<Record<string, Answer>>
}
interface Listed extends OperationObject {
  readonly method: string
  readonly path: string
}

export function referencePage(document: OpenApiDocument): string {
  const operations = listed(document)
  const tags = (document.tags ?? []).map(({ name }) => name)
  const schemas = Object.entries((document.components?.schemas ?? {}) as Record<string, Schema>)
  const { title, version, description } = document.info
  const body = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}: API reference</title>
<style>${raw(REFERENCE_STYLE)}</style>
</head>
<body>
${navigation(tags, operations)}
<main>
<h1>${title} <span class="dim">${version}</span></h1>
<p>${description ?? ''}</p>
<p>This page as data: <a href="/v1/openapi.json">OpenAPI 3.1</a>.</p>
${introduction()}
${tags.map((tag) => html`<h2 id="tag-${slug(tag)}">${tag}</h2>${operations.filter(({ tags: [first] }) => first === tag).map(operationSection)}`)}
<h2 id="problems">Problems</h2>
<p>Every error is a document of type <code>application/problem+json</code> (RFC 9457). <code>code</code> is stable; <code>errors</code> names every faulty field by its JSON pointer.</p>
<table><tr><th>code</th><th>status</th><th>what it means, and what to do</th></tr>${Object.entries(REFUSALS).map(([code, kind]) => problemRow(code, kind))}</table>
<h2 id="schemas">Schemas</h2>
${schemas.map(schemaSection)}
</main>
</body>
</html>`
  return String(body)
}

function listed(document: OpenApiDocument): Listed[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, OperationObject>).map(([method, operation]) => ({
      ...operation,
      method,
      path,
    })),
  )
}

function navigation(tags: readonly string[], operations: readonly Listed[]): Html {
  const entry = (operation: Listed) => html`<li><a href="#${operation.operationId}">${operation.summary}</a></li>`
  return html`<nav>${tags.map(
    (tag) =>
      html`<h2><a href="#tag-${slug(tag)}">${tag}</a></h2><ul>${operations.filter(({ tags: [first] }) => first === tag).map(entry)}</ul>`,
  )}<h2><a href="#problems">Problems</a></h2><h2><a href="#schemas">Schemas</a></h2></nav>`
}

function introduction(): Html {
  return html`<table>
<tr><td>Credentials</td><td><code>Authorization: Bearer ist_...</code> for people and jobs. Connectors sign each request: <code>Authorization: Isthmus &lt;jws&gt;</code>.</td></tr>
<tr><td>Changes</td><td>Reading gives an <code>ETag</code>; changing and removing need it as <code>If-Match</code>. Who was slower gets 412 and overwrites nothing.</td></tr>
<tr><td>Repetition</td><td>A POST with an <code>Idempotency-Key</code> may be repeated for 24 hours: it is done once, and answered alike.</td></tr>
<tr><td>Lists</td><td><code>?limit=</code> and <code>?cursor=</code>; the answer has <code>items</code>, and <code>next</code> unless it is the last page.</td></tr>
<tr><td>Limits</td><td>Too many requests get 429 with <code>Retry-After</code>; <code>RateLimit</code> tells what is left.</td></tr>
<tr><td>Tracing</td><td><code>X-Request-Id</code> is taken over or made, and stands in the answer, the log and the audit log.</td></tr>
</table>`
}

function operationSection(operation: Listed): Html {
  const body = Object.values(operation.requestBody?.content ?? {})[0]?.schema
  const parameters = operation.parameters ?? []
  return html`<section class="op" id="${operation.operationId}">
<h3>${operation.summary}</h3>
<p><span class="method ${operation.method}">${operation.method.toUpperCase()}</span><span class="path">${operation.path}</span></p>
${(operation.description ?? '').split('\n\n').map((text) => html`<p class="dim">${text}</p>`)}
${parameters.length === 0 ? '' : html`<h4>Parameters</h4><table>${parameters.map(parameterRow)}</table>`}
${body === undefined ? '' : html`<h4>Body</h4><table>${fieldRow('body', body, true)}${fieldRows(body)}</table>`}
<h4>Answers</h4><table>${Object.entries(operation.responses).map(([status, answer]) => answerRow(status, answer))}</table>
</section>`
}

function parameterRow(parameter: Parameter): Html {
  const { description } = parameter.schema ?? {}
  const told = { ...parameter.schema, description: `${parameter.in}. ${parameter.description ?? description ?? ''}` }
  return fieldRow(parameter.name, told, parameter.required ?? false)
}

function answerRow(status: string, answer: Answer): Html {
  const [type, content] = Object.entries(answer.content ?? {})[0] ?? []
  const problem = type === 'application/problem+json'
  const told = problem || content?.schema === undefined ? {} : content.schema
  const description = problem ? linked(answer.description) : answer.description
  return html`<tr><td><code>${status}</code></td><td>${told.$ref === undefined ? '' : html`<a href="#schema-${told.$ref.split('/').at(-1)}">${told.$ref.split('/').at(-1)}</a>`}</td><td>${description}</td></tr>`
}

/** Codes in backquotes as links to the table of problems. */
function linked(text: string): Html {
  const parts = text.split(/`([a-z-]+)`/)
  return html`${parts.map((part, i) => (i % 2 === 1 ? html`<a href="#problem-${part}"><code>${part}</code></a>` : part))}`
}

function problemRow(code: string, kind: { status: number; title: string; remedy?: string }): Html {
  return html`<tr id="problem-${code}"><td><code>${code}</code></td><td>${kind.status}</td><td>${kind.title}. <span class="dim">${kind.remedy ?? ''}</span></td></tr>`
}

function schemaSection([name, schema]: [string, Schema]): Html {
  const fields = schema.properties === undefined ? fieldRow('value', schema, false) : fieldRows(schema)
  return html`<section class="schema" id="schema-${name}"><h3>${name}</h3><p class="dim">${schema.description ?? ''}</p><table>${fields}</table></section>`
}

function slug(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z]+/g, '-')
}
