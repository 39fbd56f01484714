import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parse } from 'yaml'
import type { TestNetwork } from '../../../control/testing/network.ts'
import { ManagedWorld } from '../../../test/cli/managed-world.ts'
import { EXIT } from '../../handle.ts'

let managed: ManagedWorld
let network: TestNetwork
let file: string

beforeEach(async () => {
  managed = await ManagedWorld.create()
  network = (await managed.pair()).network
  file = join(managed.home, 'acme.yaml')
})
afterEach(async () => {
  expect((await network.ask('GET', '/audit/verify')).body).toMatchObject({ intact: true })
  managed.close()
})

const STAR = `
preferences: { topology: none }
sites:
  - { name: hq, prefixes: [10.1.0.0/16] }
  - { name: branch, prefixes: [10.2.0.0/16] }
  - { name: lab, prefixes: [10.3.0.0/16] }
tunnels:
  - { name: hq-branch, sites: [hq, branch] }
  - { name: hq-lab, sites: [hq, lab] }
routing:
  sites:
    - { site: hq, hub: true }
`

test('tells which routes come and go at each site, and changes nothing', async () => {
  const before = await managed.json('network', 'export')
  writeFileSync(file, STAR)
  const { code, out, err } = await managed.run('plan', file)
  expect({ code, err }).toEqual({ code: EXIT.ok, err: '' })
  expect(out).toBe(
    `${[
      `${file} for the network acme, which is at version ${before.version}.`,
      'SITE    CHANGE   BEFORE  AFTER  ADDED  REMOVED  MOVED',
      'hq      changed       1      2      1        0      0',
      'branch  changed       1      2      1        0      0',
      'lab     new           0      2      2        0      0',
      '  + 10.3.0.0/16  hq > lab',
      '  + 10.3.0.0/16  branch > hq > lab',
      '  + 10.1.0.0/16  lab > hq',
      '  + 10.2.0.0/16  lab > hq > branch',
      '3 sites, 3 prefixes, 6 routes: nothing is wrong with it.',
      `What next: isthmus apply ${file}`,
    ].join('\n')}\n`,
  )
  expect(await managed.json('network', 'export')).toEqual(before)
})

test('findings are told, and by the exit code', async () => {
  writeFileSync(file, STAR)
  await managed.text('network', 'apply', file)
  writeFileSync(file, STAR.replace('  - { name: hq-lab, sites: [hq, lab] }\n', ''))
  const { code, out } = await managed.run('plan', file)
  expect(code).toBe(EXIT.findings)
  expect(out).toContain('error    lab would reach nothing any more; now it reaches 2 prefixes of other sites.\n')
  expect(out).toMatch(/ {2}- 10\.3\.0\.0\/16 {2}branch > hq > lab\n/)
  expect(out).toMatch(/: it is refused without --force\.\n$/)
  const json = await managed.run('plan', file, '--json')
  expect(json.code).toBe(EXIT.findings)
  expect(JSON.parse(json.out)).toMatchObject({ blocked: true, changes: true, findings: [{ code: 'cut-off' }, {}, {}] })
})

test('what export prints comes to no change, by names and without numbers', async () => {
  writeFileSync(file, STAR)
  await managed.text('network', 'apply', file)
  const yaml = await managed.text('network', 'export')
  expect(parse(yaml).routing).toEqual({
    maxPrefixes: 10_000,
    bfd: { intervalMs: 300, multiplier: 3 },
    sites: [{ site: 'hq', hub: true }],
    tunnels: [],
  })
  writeFileSync(file, yaml)
  const { code, out } = await managed.run('plan', file)
  expect(code).toBe(EXIT.ok)
  expect(out).toContain('The network is like that already.\n')
})

test('faults of the file are told with their places, in words', async () => {
  writeFileSync(
    file,
    `preferences: { topology: star }
sites:
  - { name: hq, prefixs: [10.1.0.0/16] }
tunnels:
  - { name: hq-lab, sites: [hq], pathMtu: 5 }
routing:
  bfd: never
  sites:
    - { site: Main Office, hub: yes }
`,
  )
  const { code, err } = await managed.run('plan', file)
  expect(code).toBe(EXIT.badConfig)
  const see = 'see docs/intents.md'
  expect(err.split('\n').flatMap((line) => (line.startsWith(file) ? [line.slice(file.length + 1)] : []))).toEqual([
    `1:26: preferences.topology: "star" is not one of mesh, none; ${see}`,
    `3:5: sites[0].prefixes: it is missing: a list; ${see}`,
    '3:17: sites[0].prefixs: there is no such key; did you mean prefixes?',
    `5:28: tunnels[0].sites: the number of entries should be at least 2; ${see}`,
    `5:43: tunnels[0].pathMtu: "5" is not a number of at least 576; ${see}`,
    `7:8: routing.bfd: "never" is not off, or a mapping; ${see}`,
    `9:15: routing.sites[0].site: a name is 1 to 63 lower-case letters, digits, dots and dashes; ${see}`,
    `9:33: routing.sites[0].hub: "yes" is not true or false; ${see}`,
  ])
})

test('faults are told by the control plane, all at once', async () => {
  writeFileSync(file, STAR.replace('- { site: hq, hub: true }', '- { site: lab, owns: [10.2.7.0/24], through: [hq] }'))
  const { code, err } = await managed.run('plan', file)
  expect(code).toBe(EXIT.usage)
  expect(err).toContain('hq is not a hub')
  expect(err).toContain('10.2.7.0/24 of lab overlaps 10.2.0.0/16, which branch owns')
})
