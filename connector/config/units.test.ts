import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nearest } from './faults.ts'
import { formatDuration, formatSize, parseDuration, parsePorts, parseSize } from './units.ts'

test.each([
  ['500ms', 500],
  ['5s', 5000],
  ['1.5s', 1500],
  ['50m', 3_000_000],
  ['8h', 28_800_000],
  ['1h30m', 5_400_000],
  ['1d', 86_400_000],
  ['5', undefined],
  ['5 s', undefined],
  ['-5s', undefined],
  ['', undefined],
  ['1x', undefined],
  ['s', undefined],
  ['1e3s', undefined],
  ['9'.repeat(400).concat('d'), undefined],
])('parseDuration(%s)', (text, expected) => expect(parseDuration(text)).toBe(expected))

test.each([
  ['512B', 512],
  ['1KB', 1000],
  ['1KiB', 1024],
  ['1.5MB', 1_500_000],
  ['10 GiB', 10 * 2 ** 30],
  ['10', undefined],
  ['10iB', undefined],
  ['999999999TiB', undefined],
])('parseSize(%s)', (text, expected) => expect(parseSize(text)).toBe(expected))

test.each([
  ['443', { start: 443, end: 443 }],
  ['8000-8010', { start: 8000, end: 8010 }],
  ['0-65535', { start: 0, end: 65_535 }],
  ['65536', undefined],
  ['9-8', undefined],
  ['a', undefined],
])('parsePorts(%s)', (text, expected) => expect(parsePorts(text)).toEqual(expected))

test.each([
  [0, '0ms'],
  [-5, '0ms'],
  [999, '999ms'],
  [12_345, '12.3s'],
  [59_999, '59.9s'],
  [60_000, '1m'],
  [3_599_999, '59m 59s'],
  [7_380_000, '2h 3m'],
  [90_000_000, '1d 1h'],
])('formatDuration(%d)', (ms, expected) => expect(formatDuration(ms)).toBe(expected))

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1 KB'],
  [999_949, '999.9 KB'],
  [999_951, '1 MB'],
  [1.23e9, '1.2 GB'],
])('formatSize(%d)', (bytes, expected) => expect(formatSize(bytes)).toBe(expected))

test('the parsers are total', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const parse of [parseDuration, parseSize]) {
        const value = parse(text)
        expect(value === undefined || (Number.isFinite(value) && value >= 0)).toBe(true)
      }
    }),
  )
})

test.each([
  ['adress', 'address'],
  ['networsk', 'networks'],
  ['mtu', 'path_mtu'],
  ['ADDRESS', 'address'],
  ['colour', undefined],
])('nearest key to %s', (word, expected) => {
  expect(nearest(word, ['address', 'networks', 'path_mtu', 'dpd'])).toBe(expected)
})
