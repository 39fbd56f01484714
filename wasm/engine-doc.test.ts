import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import * as abi from './abi.ts'
import { DROP_NAMES } from './drop-reasons.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const doc = readFileSync(new URL('../docs/engine.md', import.meta.url), 'utf8')

/** First cells of the table under a heading. */
function rows(heading: string): string[][] {
  const section = doc.split(`## ${heading}\n`)[1]!.split('\n## ')[0]!
  const lines = section.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
  return lines.slice(1).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

describe('docs/engine.md', () => {
  it('has a script of ten lines that runs as it stands', () => {
    const script = /```js\n([\s\S]*?)```/.exec(doc)![1]!
    expect(script.trimEnd().split('\n').length).toBe(10)
    const run = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: root, encoding: 'utf8' })
    expect(run.stderr).toBe('')
    expect(run.stdout).toBe('1 4500001400010000401166d60a0000010a000002\n')
  })

  it('names every drop reason, in order', () => {
    expect(rows('Why a packet is dropped').map(([name]) => name)).toEqual([...DROP_NAMES])
  })

  it('gives the limits that hold', () => {
    const limits = rows('Limits')
    const numbers = new Map<string, unknown>(Object.entries(abi))
    expect(limits.length).toBeGreaterThan(15)
    for (const [name, value] of limits) expect([name, numbers.get(name!)]).toEqual([name, Number(value)])
  })
})
