import { writeFileSync } from 'node:fs'
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

const text = (...words: string[]) => managed.text(...words)
const json = (...words: string[]) => managed.json(...words)
const refused = (code: number, message: string, ...words: string[]) => managed.refused(code, message, ...words)

test('the first site makes the first network; with several, one is to be named', async () => {
  const fresh = await ManagedWorld.create()
  expect((await fresh.run('network', 'show')).err).toContain('isthmus network add')
  const out = await fresh.text('site', 'add', 'hq', '--prefix', '10.1.0.0/16')
  expect(out).toContain('in a new network, main,')
  await fresh.text('network', 'add', 'lab', '--topology', 'none')
  expect((await fresh.run('site', 'list')).err).toContain('name one with --network: ')
  expect((await fresh.run('site', 'list', '--network', 'x')).err).toContain('there is no network x')
  expect(await fresh.text('network', 'show', '--network', 'lab')).toMatch(/topology +none/)
  expect(await fresh.text('network', 'list')).toMatch(/\nlab .*\nmain /)
  fresh.close()
})

test('a token of one network means that one, and no other', async () => {
  managed.token = network.tokens.viewer
  expect(await json('network', 'list')).toMatchObject({ items: [{ name: 'acme' }] })
  await refused(EXIT.permission, 'of the network acme, not of other', 'site', 'list', '--network', 'other')
  await refused(EXIT.permission, 'do not allow it', 'site', 'add', 'x', '--prefix', '10.7.0.0/16')
})

test('export, apply, and back to an old version', async () => {
  const file = join(managed.home, 'acme.yaml')
  writeFileSync(file, await text('network', 'export'))
  expect(await text('network', 'apply', file)).toBe(`Network acme is as ${file} says already.\n`)
  const { version } = await json('network', 'export')
  writeFileSync(
    file,
    'preferences: { topology: none }\nsites: [{ name: hq, prefixes: [10.1.0.0/16] }, { name: branch, prefixes: [10.2.0.0/16] }]\n',
  )
  await refused(EXIT.usage, 'this would remove tunnel hq-branch', 'network', 'apply', file)
  await refused(EXIT.failed, 'hq would reach nothing any more', 'network', 'apply', file, '--yes')
  const forced = await text('network', 'apply', file, '--yes', '--force')
  expect(forced).toContain(`at version ${version + 1} now: 2 sites, 0 tunnels`)
  writeFileSync(file, await text('network', 'export', '--version', String(version)))
  expect(await text('network', 'apply', file)).toContain('2 sites, 1 tunnel.')
  expect((await json('tunnel', 'list')).items).toMatchObject([{ name: 'hq-branch' }])
})

test('apply tells every fault, and changes nothing then', async () => {
  const before = await json('network', 'export')
  const file = join(managed.home, 'bad.yaml')
  writeFileSync(
    file,
    `${JSON.stringify({ ...before, sites: [...before.sites, { name: 'X', prefixes: ['10.1.0.1/8'] }] })}`,
  )
  await refused(EXIT.badConfig, 'sites[2].prefixes[0]: host bits are set', 'network', 'apply', file)
  writeFileSync(file, 'sites: [')
  await refused(EXIT.badConfig, 'does not make sense', 'network', 'apply', file)
  await refused(EXIT.unreadableFile, 'cannot be read (ENOENT)', 'network', 'apply', `${file}x`)
  expect(await json('network', 'export')).toEqual(before)
})

test('remove takes an empty one, by its own name, when it is meant', async () => {
  await text('network', 'add', 'b')
  await refused(EXIT.usage, 'would remove the network b', 'network', 'remove', 'b')
  await refused(EXIT.failed, 'The network is in use', 'network', 'remove', 'acme', '--yes')
  await text('network', 'remove', 'b', '--yes')
  expect((await json('network', 'list')).items).toMatchObject([{ name: 'acme' }])
})
