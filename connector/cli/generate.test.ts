import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { jsonSchema, type SchemaNode } from '../config/keys.ts'
import { servicesJsonSchema } from '../config/services.ts'
import { generatedFiles, PROJECT_ROOT } from './generate.ts'

test.each([...generatedFiles()])('%s is current (else run node connector/cli/generate.ts)', (path, text) => {
  expect(readFileSync(join(PROJECT_ROOT, path), 'utf8')).toBe(text)
})

test('every key has a type, a description, a reason, and a default or the duty to be there', () => {
  const lacking: string[] = []
  const visit = (path: string, node: SchemaNode): void => {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      const place = `${path}.${key}`
      const isSettled = child.default !== undefined || child['x-default'] !== undefined || node.required?.includes(key)
      if (!child['x-type'] || !child.description || !child['x-why'] || !isSettled) lacking.push(place)
      visit(place, child)
    }
    if (typeof node.additionalProperties === 'object') visit(`${path}.<name>`, node.additionalProperties)
  }
  visit('isthmus', jsonSchema())
  visit('services', servicesJsonSchema())
  expect(lacking).toEqual([])
})

test.each(['docs/config.md', 'docs/services.md'])('numbers and durations state their unit or range: %s', (name) => {
  const page = generatedFiles().get(name)!
  const rows = page.split('\n').filter((row) => /\| (duration|integer|number|size) \|/.test(row))
  expect(rows.length).toBeGreaterThan(10)
  expect(rows.filter((row) => row.split(' | ')[2]!.trim() === '')).toEqual([])
})
