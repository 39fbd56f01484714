/** docs/rfc-routing.md names tests that exist, for each RFC of the routing and each row of the fault table. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { FAULTS } from '../../connector/core/bgp/wire/codec.ts'

const root = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/rfc-routing.md'), 'utf8')
const BGP = 'connector/core/bgp'
const RFCS = [
  ...[4271, 4760, 6793, 2918, 7313, 4724, 8538, 8326, 7606, 8212, 9234, 5082, 2385, 8203, 9003, 8654],
  ...[1997, 8092, 7196, 4486, 6608, 7607, 9687, 9774, 5880, 5881, 5882],
]

/** The third column of each row: files, each with the names that follow it. */
function named(): readonly { readonly file: string; readonly name: string }[] {
  return page
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
    .flatMap((line) => {
      let file = ''
      return [
        ...line
          .split(' | ')
          .at(-1)!
          .matchAll(/`([^`]+)`|"([^"]+)"/g),
      ].flatMap(([, path, name]) => {
        if (path !== undefined) file = existsSync(join(root, path)) ? path : join(BGP, path)
        return name === undefined ? [] : [{ file, name }]
      })
    })
}

/** A test, a case of one, or a key of a table that is gone through. */
function stands(source: string, name: string): boolean {
  return [`'${name}'`, `"${name}"`, `\`${name}\``, `${name}: [`].some((text) => source.includes(text))
}

test('every test that the table names exists', () => {
  const all = named()
  expect(all.length).toBeGreaterThan(100)
  const missing = all.filter(({ file, name }) => {
    const path = join(root, file)
    return !existsSync(path) || !stands(readFileSync(path, 'utf8'), name)
  })
  expect(missing).toEqual([])
})

test('each row of the table names one', () => {
  const rows = page.split('\n').filter((line) => /^\| (?!---|section|RFC \|)/.test(line))
  expect(rows.filter((row) => !/"[^"]+" \|$/.test(row))).toEqual([])
})

test('every row of the fault table is named', () => {
  const names = new Set(named().map(({ name }) => name))
  expect(Object.keys(FAULTS).filter((fault) => !names.has(fault))).toEqual([])
})

test('every RFC of the routing is there', () => {
  expect(RFCS.filter((rfc) => !new RegExp(`\\b${rfc}\\b`).test(page))).toEqual([])
})
