import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { IMPORT_TABLE, IMPURE_GLOBALS, type Row } from './import-table.ts'

const root = resolve(import.meta.dirname, '../..')
const sources = sourceFiles()

describe('who may import whom', () => {
  test('every import is allowed by the table', () => {
    const faults = sources.filter((file) => !file.endsWith('.test.ts')).flatMap(importFaults)
    expect(faults).toEqual([])
  })

  test('nobody imports test/', () => {
    const faults = sources
      .filter((file) => !file.startsWith('test/'))
      .flatMap((file) =>
        importsOf(file)
          .filter((target) => target.startsWith('test/'))
          .map((target) => `${file} -> ${target}`),
      )
      .filter((line) => !line.includes('.test.ts ->'))
    expect(faults).toEqual([])
  })

  test('core, domain and protocol reach for no clock, timer, randomness or process', () => {
    const faults = sources
      .filter(
        (file) => /^(connector\/core|control\/domain|protocol)\//.test(file) && !/\.test\.ts$|\/testing\//.test(file),
      )
      .flatMap((file) => {
        const code = withoutComments(readFileSync(join(root, file), 'utf8'))
        return IMPURE_GLOBALS.filter((word) => code.includes(word)).map((word) => `${file} uses ${word.trim()}`)
      })
    expect(faults).toEqual([])
  })

  test('the scan sees real imports, so that the rules above cannot pass on nothing', () => {
    expect(sources.length).toBeGreaterThan(50)
    expect(sources.flatMap(importsOf).length).toBeGreaterThan(100)
  })
})

describe('the shape of the house', () => {
  test('files stay under 400 lines', () => {
    const long = sources
      .filter((file) => !file.includes('/generated/'))
      .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n').length - 1 }))
      .filter(({ lines }) => lines > 400)
    expect(long).toEqual([])
  })
})

function sourceFiles(): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'], {
    cwd: root,
    encoding: 'utf8',
  })
  return listed
    .split('\n')
    .filter((file) => /^(protocol|wasm|connector|control|functions|infra|test)\//.test(file) && existsNow(file))
    .sort()
}

function existsNow(file: string): boolean {
  try {
    readFileSync(join(root, file))
    return true
  } catch {
    return false
  }
}

/** Imports of ours as paths from the root; packages and node: modules as they are written. */
function importsOf(file: string): string[] {
  const code = withoutComments(readFileSync(join(root, file), 'utf8'))
  const found = [
    ...code.matchAll(/(?:^|\n)\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/g),
    ...code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g),
  ]
  return found.map((match) => {
    const target = match[1]!
    if (!target.startsWith('.')) return target
    const path = relative(root, join(root, dirname(file), target))
    // AssemblyScript leaves the extension out.
    return file.startsWith('wasm/assembly/') && !path.endsWith('.ts') ? `${path}.ts` : path
  })
}

function importFaults(file: string): string[] {
  const row = IMPORT_TABLE.find(({ folder }) => file.startsWith(folder))
  if (row === undefined) return [`${file}: no row of the import table governs it`]
  return importsOf(file)
    .filter((target) => !allowed(row, target))
    .map((target) => `${file} -> ${target}: ${row.why}`)
}

function allowed(row: Row, target: string): boolean {
  const ours = /^(protocol|wasm|connector|control|functions|infra|test)\//.test(target)
  return (ours ? row.may : row.packages).some((start) => target.startsWith(start))
}

function withoutComments(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/[^\n]*/g, '$1')
}
