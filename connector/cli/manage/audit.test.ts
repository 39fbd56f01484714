import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { TestNetwork } from '../../../control/testing/network.ts'
import { ManagedWorld } from '../../../test/cli/managed-world.ts'
import { EXIT } from '../../handle.ts'

let managed: ManagedWorld
let network: TestNetwork

beforeEach(async () => {
  managed = await ManagedWorld.create()
  network = (await managed.pair()).network
})
afterEach(async () => {
  expect((await network.ask('GET', '/audit/verify')).body).toMatchObject({ intact: true })
  managed.close()
})

const run = (...words: string[]) => managed.run(...words)
const text = (...words: string[]) => managed.text(...words)
const refused = (code: number, message: string, ...words: string[]) => managed.refused(code, message, ...words)
const lines = (out: string) => out.trimEnd().split('\n')

test('list shows the last events, export all of them, and verify finds any change', async () => {
  await text('site', 'set', 'hq', '--rename', 'main')
  expect(lines(await text('audit', 'list', '--last', '1'))[1]).toMatch(
    / 2026-01-05 12:00:0\d +token:admin +sites\.replace +site_/,
  )
  const file = join(managed.home, 'audit.ndjson')
  const exported = await text('audit', 'export', file)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const events = lines(readFileSync(file, 'utf8'))
  const [, head] = /The last is (\d+:[\w-]{43})\n$/.exec(exported)!
  expect(head).toMatch(new RegExp(`^${events.length}:`))
  expect(await text('audit', 'export')).toBe(readFileSync(file, 'utf8'))
  expect(await text('audit', 'verify')).toBe(
    `The audit log of acme is whole: ${events.length} events. The last is ${head}\n`,
  )
  const offline = ['audit', 'verify', file, '--network', network.id, '--head', head!]
  managed.requests.length = 0
  expect(await text(...offline)).toContain(`${file} is whole`)
  expect(managed.requests).toEqual([])
  await refused(EXIT.failed, 'exists already', 'audit', 'export', file)

  writeFileSync(file, `${events.with(3, events[3]!.replace('token:admin', 'token:other')).join('\n')}\n`)
  const changed = await run(...offline)
  expect(changed).toMatchObject({ code: EXIT.notGenuine, err: expect.stringContaining('broken at event 4') })
  writeFileSync(file, `${events.toSpliced(2, 1).join('\n')}\n`)
  expect(await run(...offline)).toMatchObject({
    code: EXIT.notGenuine,
    err: expect.stringContaining('broken at event 3'),
  })
  writeFileSync(file, `${events.slice(0, -1).join('\n')}\n`)
  expect(await run(...offline)).toMatchObject({ code: EXIT.notGenuine, err: expect.stringContaining('cut off') })
  expect((await run('audit', 'verify', file, '--network', network.id)).code).toBe(EXIT.ok)
  writeFileSync(file, `${events[0]}\nx\n`)
  expect(JSON.parse((await run(...offline, '--json')).out)).toEqual({
    intact: false,
    brokenAt: 2,
    why: 'it is not an event',
  })
  await refused(EXIT.unreadableFile, 'ENOENT', 'audit', 'verify', `${file}x`, '--network', network.id)
})
