import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { removeStaleFolders, watchLauncher } from './traces.ts'

/** Above the highest process id of Linux (2^22). */
const NOBODY = 5_000_000

test.runIf(process.platform === 'linux')('only folders of demos that are gone are removed', () => {
  const parent = mkdtempSync(join(tmpdir(), 'isthmus-test-'))
  try {
    const kept = [`isthmus-demo-${process.pid}-abc`, 'isthmus-demo-abc', `other-${NOBODY}-abc`]
    for (const name of [...kept, `isthmus-demo-${NOBODY}-abc`]) {
      mkdirSync(join(parent, name))
      writeFileSync(join(parent, name, 'psk'), 'secret')
    }
    removeStaleFolders(parent)
    expect(readdirSync(parent).sort()).toEqual(kept.sort())
  } finally {
    rmSync(parent, { recursive: true })
  }
})

test('a process that no launcher started watches nobody', () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  watchLauncher(() => undefined)()
  expect(timers()).toBe(before)
})
