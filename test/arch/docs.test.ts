/** The docs point at things that exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { recursive: true })
    .map((name) => `docs/${name}`)
    .filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'infra'), { recursive: true })
    .map((name) => `infra/${name}`)
    .filter((name) => name.endsWith('README.md')),
]

test('every link leads somewhere', () => {
  const dead = pages.flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1]!)
      .filter((target) => !existsSync(join(root, dirname(page), target)))
      .map((target) => `${page}: ${target}`),
  )
  expect(dead).toEqual([])
})

test('every path with a folder that the map and the README name exists', () => {
  const missing = ['docs/map.md', 'README.md', 'CONTRIBUTING.md'].flatMap((page) =>
    [
      ...readFileSync(join(root, page), 'utf8').matchAll(
        /`((?:protocol|wasm|connector|control|infra|test|docs|\.ci)\/[\w./-]*)`/g,
      ),
    ]
      .map((match) => match[1]!)
      .filter((path) => !existsSync(join(root, path)))
      .map((path) => `${page}: ${path}`),
  )
  expect(missing).toEqual([])
})
