import { expect, test } from 'vitest'
import type { CliIo } from '../command.ts'
import { recordedIo } from '../testing.ts'
import { ago, byName, clipped, renderFields, renderTable, wrapped } from './view.ts'

const terminal = (columns: number, color = false): CliIo => ({ ...recordedIo(), isTty: true, columns, color })
const columns = [
  { title: 'NAME', shrinks: true },
  { title: 'COUNT', align: 'right' },
  { title: 'WHY', shrinks: true },
] as const
const rows = [
  ['a-very-long-name-of-a-site-somewhere', '7', { text: 'for a reason that takes many words', style: 'red' }],
  ['b', '1,234', ''],
] as const

test('a table fits its terminal, and is whole for other programs', () => {
  for (const width of [40, 60, 80]) {
    const lines = renderTable(columns, rows, terminal(width)).trimEnd().split('\n')
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width)
  }
  expect(renderTable(columns, rows, recordedIo())).toBe(
    [
      'NAME                                  COUNT  WHY',
      'a-very-long-name-of-a-site-somewhere      7  for a reason that takes many words',
      'b                                     1,234',
      '',
    ].join('\n'),
  )
  expect(renderTable(columns, rows, terminal(40))).toContain('…')
})

test('colour is around the words only, and control characters are gone', () => {
  const text = renderTable(
    [{ title: 'X' }, { title: 'Y' }],
    [[{ text: 'up', style: 'green' }, 'a\u001b[2Jb\n']],
    terminal(80, true),
  )
  expect(text.split('\n')[1]).toBe('\u001b[32mup\u001b[39m  a [2Jb')
  expect(
    renderFields(
      [
        ['k', 'a\tb'],
        ['gone', undefined],
      ],
      terminal(80),
    ),
  ).toBe('  k  a b\n')
})

test('ages, widths and orders', () => {
  expect([ago(undefined, 5), ago(5, 5), ago(9, 5), ago(0, 90_000)]).toEqual([
    'never',
    'just now',
    'just now',
    '1m 30s ago',
  ])
  expect([clipped('abc', 3), clipped('abcd', 3)]).toEqual(['abc', 'ab…'])
  expect(wrapped('a b '.repeat(20).trim(), '  ', terminal(40)).every((line) => line.length <= 40)).toBe(true)
  expect(byName([{ name: 'b10' }, { name: 'b9' }, { name: 'a' }]).map(({ name }) => name)).toEqual(['a', 'b9', 'b10'])
})
