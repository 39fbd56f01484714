import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { generatedSources } from './sources.ts'

test.each([...generatedSources()])('%s is what its generator writes', (name, text) => {
  expect(readFileSync(new URL(`../assembly/${name}`, import.meta.url), 'utf8')).toBe(text)
})
