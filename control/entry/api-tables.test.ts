import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { pageWithTables } from './api-tables.ts'

test('docs/control-api.md has the tables of the code: node control/entry/api-tables.ts', () => {
  const page = readFileSync(new URL('../../docs/control-api.md', import.meta.url), 'utf8')
  expect(page).toBe(pageWithTables(page))
})
