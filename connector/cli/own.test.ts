import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EXIT } from '../handle.ts'
import { type Enrollment, readEnrollment, writeEnrollment } from '../store/enrollment.ts'
import { runCli } from './run.ts'
import { recordedIo } from './testing.ts'

const ENROLLMENT: Enrollment = {
  format: 1,
  url: 'https://control.example.net',
  network: `net_${'0'.repeat(20)}`,
  connector: `con_${'0'.repeat(20)}`,
  site: 'hq',
  owns: ['10.1.0.0/16'],
}

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-own-test-'))
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

async function own(...words: string[]) {
  const io = recordedIo()
  const code = await runCli(['own', ...words, '--state-directory', directory], io)
  return { code, out: io.out(), err: io.err() }
}

test('prints what the site owns, and takes others in its place', async () => {
  writeEnrollment(directory, ENROLLMENT)
  expect(await own()).toMatchObject({ code: EXIT.ok, out: '10.1.0.0/16\n' })
  expect((await own('10.9.0.0/16', 'fd00:0::/48', '10.9.0.0/16')).code).toBe(EXIT.ok)
  expect(readEnrollment(directory)).toEqual({ ...ENROLLMENT, owns: ['10.9.0.0/16', 'fd00::/48'] })
})

test('names all that are no prefixes, and changes nothing', async () => {
  writeEnrollment(directory, ENROLLMENT)
  const { code, err } = await own('10.9.0.1/16', 'everything')
  expect(code).toBe(EXIT.usage)
  expect(err).toContain('10.9.0.1/16: host bits are set')
  expect(err).toContain('everything: not a network prefix')
  expect(readEnrollment(directory)).toEqual(ENROLLMENT)
})

test('says so where the machine belongs to no network', async () => {
  expect(await own('10.9.0.0/16')).toMatchObject({ code: EXIT.failed, err: expect.stringContaining('no network') })
})
