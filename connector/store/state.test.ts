import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { prefix } from '../../protocol/net.ts'
import { StartFailure } from '../handle.ts'
import { openState } from './state.ts'

const notes = { device: 'isthmus0', routes: [prefix('10.8.2.0/24'), prefix('fd00::/8')] }

describe.runIf(process.platform === 'linux')('the state directory', () => {
  let directory: string
  beforeEach(() => {
    directory = join(mkdtempSync(join(tmpdir(), 'isthmus-state-')), 'state')
  })
  afterEach(() => rmSync(join(directory, '..'), { recursive: true, force: true }))

  it('gives back what was noted, until it is cleared', () => {
    const first = openState(directory)
    expect(first.read()).toBeUndefined()
    first.write(notes)
    first.close()
    const second = openState(directory)
    expect(second.read()).toEqual(notes)
    second.clear()
    expect(second.read()).toBeUndefined()
    second.clear()
    second.close()
    second.close()
  })

  it('writes beside and renames: a torn write leaves the old notes', () => {
    const store = openState(directory)
    store.write(notes)
    expect(readdirSync(directory).sort()).toEqual(['lock', 'network.json'])
    // What a crash between write and rename leaves.
    writeFileSync(join(directory, 'network.json.new'), '{"version":1,"dev')
    expect(store.read()).toEqual(notes)
    store.write({ ...notes, device: 'isthmus1' })
    expect(store.read()?.device).toBe('isthmus1')
    store.close()
  })

  it('takes no harm from notes that are none', () => {
    const store = openState(directory)
    const path = join(directory, 'network.json')
    for (const text of ['', '{', 'null', '[]', '{"version":1}', '{"version":2,"device":"a","routes":[]}']) {
      writeFileSync(path, text)
      expect(store.read()).toBeUndefined()
    }
    writeFileSync(path, '{"version":1,"device":"a b; rm","routes":[]}')
    expect(store.read()).toBeUndefined()
    writeFileSync(path, '{"version":1,"device":"tun9","routes":["10.0.0.0/8","nonsense",5]}')
    expect(store.read()).toEqual({ device: 'tun9', routes: ['10.0.0.0/8'] })
    store.close()
  })

  it('lets in one connector at a time, and names it', () => {
    const store = openState(directory)
    expect(() => openState(directory)).toThrow(`(pid ${process.pid})`)
    expect(() => openState(directory)).toThrow(StartFailure)
    store.close()
    openState(directory).close()
  })

  it('is free again when its holder was killed', () => {
    const script = `
      import { openState } from ${JSON.stringify(new URL('./state.ts', import.meta.url).href)}
      openState(${JSON.stringify(directory)}).write(${JSON.stringify(notes)})
      process.kill(process.pid, 'SIGKILL')`
    const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script])
    expect(signal).toBe('SIGKILL')
    expect(existsSync(join(directory, 'lock'))).toBe(true)
    const store = openState(directory)
    expect(store.read()).toEqual(notes)
    store.close()
  })

  it('says so when the directory cannot be', () => {
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, 'file'), '')
    expect(() => openState(join(directory, 'file', 'deeper'))).toThrow('cannot be used')
  })
})
