import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { MAX_PAGES } from './abi.ts'
import { BuildError, build, MODULES, modulePath, TARGETS } from './build.ts'

const project = fileURLToPath(new URL('..', import.meta.url))
const ALL = MODULES.flatMap((module) => TARGETS.map((target) => `${module}.${target}`))
let root: string
let messages: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'isthmus-build-'))
  messages = ''
  mkdirSync(join(root, 'wasm/assembly'), { recursive: true })
  for (const name of ['asconfig.json', 'wasm/abi.ts']) cpSync(join(project, name), join(root, name))
  writeEntry('export function answer(): i32 { return 42 }')
  writeFileSync(join(root, 'wasm/assembly/stream.ts'), 'export function question(): i32 { return 54 }\n')
})

afterEach(() => rmSync(root, { recursive: true }))

describe('build', () => {
  test('makes all modules, with nothing imported and memory that has a bound', async () => {
    expect(await buildHere()).toEqual(ALL)
    for (const target of TARGETS) {
      const stream = new WebAssembly.Module(readFileSync(modulePath(target, root, 'stream')))
      const { question } = new WebAssembly.Instance(stream).exports as { question(): number }
      expect(question()).toBe(54)
      const module = new WebAssembly.Module(readFileSync(modulePath(target, root)))
      const exports = new WebAssembly.Instance(module).exports as { answer(): number; memory: GrowingMemory }
      expect(WebAssembly.Module.imports(module)).toEqual([])
      expect(exports.answer()).toBe(42)
      expect(() => exports.memory.grow(MAX_PAGES + 1)).toThrow(RangeError)
    }
  })

  test('leaves modules alone that are up to date', async () => {
    await buildHere()
    expect(await buildHere()).toEqual([])
  })

  test('builds again when a source, the shared numbers or the configuration changes', async () => {
    await buildHere()
    for (const name of ['wasm/assembly/index.ts', 'wasm/abi.ts', 'asconfig.json']) {
      writeFileSync(join(root, name), `${readFileSync(join(root, name), 'utf8')}\n`)
      expect(await buildHere(), name).toEqual(ALL)
    }
  })

  test('builds one module alone', async () => {
    expect(await build({ root, modules: ['stream'] })).toEqual(['stream.relaxed', 'stream.strict'])
    expect(await buildHere()).toEqual(['engine.relaxed', 'engine.strict'])
  })

  test('builds again only what is missing or damaged', async () => {
    await buildHere()
    rmSync(modulePath('strict', root))
    expect(await buildHere()).toEqual(['engine.strict'])
    writeFileSync(modulePath('relaxed', root), readFileSync(modulePath('relaxed', root)).subarray(0, 20))
    expect(await buildHere()).toEqual(['engine.relaxed'])
  })

  test('says what does not compile, and leaves the last module in place', async () => {
    await buildHere()
    const before = readFileSync(modulePath('relaxed', root))
    writeEntry('export function answer(): i32 { return missing }')
    await expect(buildHere()).rejects.toThrow(BuildError)
    expect(messages).toMatch(/Cannot find name 'missing'/)
    expect(readFileSync(modulePath('relaxed', root))).toEqual(before)
  })

  test('refuses a module that imports', async () => {
    writeEntry(
      '@external("host", "clock") declare function clock(): i32\nexport function now(): i32 { return clock() }',
    )
    await expect(buildHere()).rejects.toThrow('imports host.clock')
    expect(readdirSync(join(root, 'wasm'))).not.toContain('build')
  })

  test('stands several builds at once', async () => {
    const script = `import { build } from ${JSON.stringify(join(project, 'wasm/build.ts'))}
      await build({ root: ${JSON.stringify(root)} })`
    const results = await Promise.all([1, 2, 3].map(() => runNode(script)))
    expect(results).toEqual([0, 0, 0].map((code) => ({ code, output: '' })))
    expect(readdirSync(join(root, 'wasm/build')).sort()).toEqual(ALL.map((name) => `${name}.wasm`))
    expect(await buildHere()).toEqual([])
  })
})

describe("the engine's own modules", () => {
  beforeAll(() => build())

  test.each(TARGETS)('%s: no imports, and the exports that engine-exports.ts describes', (target) => {
    const module = new WebAssembly.Module(readFileSync(modulePath(target, project)))
    const described = readFileSync(join(project, 'wasm/engine-exports.ts'), 'utf8')
    const names = described.slice(described.indexOf('RawExports {')).matchAll(/^ {2}(?:readonly )?(\w+)[(:]/gm)
    const exported = WebAssembly.Module.exports(module).map(({ name }) => name)
    expect(WebAssembly.Module.imports(module)).toEqual([])
    expect(exported.sort()).toEqual(Array.from(names, (match) => match[1]!).sort())
  })

  test.each(TARGETS)('%s: that of sessions imports nothing and is small', (target) => {
    const bytes = readFileSync(modulePath(target, project, 'stream'))
    expect(WebAssembly.Module.imports(new WebAssembly.Module(bytes))).toEqual([])
    expect(gzipSync(bytes).length).toBeLessThan(12_000)
  })
})

interface GrowingMemory {
  grow(pages: number): number
}

function writeEntry(source: string): void {
  writeFileSync(join(root, 'wasm/assembly/index.ts'), `${source}\n`)
}

function buildHere() {
  return build({ root, log: (text) => (messages += text) })
}

function runNode(script: string): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { cwd: project })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })))
}
