/**
 * Writes the tables of docs/control-api.md, which are made from the code: `node control/entry/api-tables.ts`.
 * With `--check` it only says whether they are up to date.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { rolesTable } from '../domain/roles.ts'
import { REFUSALS, type RefusalKind } from '../service/refusals.ts'

const PAGE = new URL('../../docs/control-api.md', import.meta.url)

function problemsTable(): string {
  const rows = Object.entries(REFUSALS).map(([code, kind]: [string, RefusalKind]) => {
    return `| \`${code}\` | ${kind.status} | ${kind.title}. | ${kind.remedy ?? ''} |`
  })
  return ['| code | status | what it means | what to do |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function replaced(page: string, name: string, table: string): string {
  const start = `<!-- ${name} -->`
  const from = page.indexOf(start)
  const to = page.indexOf(`<!-- /${name} -->`)
  if (from < 0 || to < 0) throw new Error(`docs/control-api.md has no place for ${name}`)
  return `${page.slice(0, from + start.length)}\n${table}\n${page.slice(to)}`
}

/** The page as it should be. */
export function pageWithTables(page: string): string {
  return replaced(replaced(page, 'roles', rolesTable()), 'problems', problemsTable())
}

if (import.meta.main) {
  const page = readFileSync(PAGE, 'utf8')
  const fresh = pageWithTables(page)
  if (process.argv.includes('--check')) process.exitCode = fresh === page ? 0 : 1
  else writeFileSync(PAGE, fresh)
}
