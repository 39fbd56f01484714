/** docs/functions.md says of every error what it is. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { STREAM_PROBLEMS } from '../protocol/stream-problem.ts'

test('the table of errors is whole, and its retries are those of the code', () => {
  const page = readFileSync(join(import.meta.dirname, '../docs/functions.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `([a-z-]+)` \| [^|]+ \| (never|later|elsewhere) \|$/gm)]
  expect(Object.fromEntries(rows.map(([, code, retry]) => [code, retry]))).toEqual(STREAM_PROBLEMS)
})
