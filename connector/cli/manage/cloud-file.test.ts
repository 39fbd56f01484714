import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { priceSchema } from '../../../protocol/control/cloud.ts'
import { EXIT } from '../../handle.ts'
import { recordedIo } from '../testing.ts'
import { readCloudFile, readPrices } from './cloud-file.ts'
import { ApiFailure } from './transport.ts'

const ONE = `name: aws
site: hq
region: eu-central-1
target: { kind: vpc, vpc: vpc-0123456789abcdef0 }
`
let directory: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-test-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

function file(text: string): string {
  const path = join(directory, 'aws.yaml')
  writeFileSync(path, text)
  return path
}

/** The faults of a file that has some, without its directory. */
function faultsOf(text: string): string[] {
  const io = recordedIo()
  expect(() => readCloudFile(file(text), io)).toThrow(expect.objectContaining({ exitCode: EXIT.badConfig }))
  return io.err().replaceAll(`${directory}/`, '').trimEnd().split('\n')
}

test.each([
  ['YAML', ONE],
  [
    'JSON',
    JSON.stringify({
      name: 'aws',
      site: 'hq',
      region: 'eu-central-1',
      target: { kind: 'vpc', vpc: 'vpc-0123456789abcdef0' },
    }),
  ],
  ['a list', `- ${ONE.trimEnd().replaceAll('\n', '\n  ')}\n`],
  ['a document that says where it begins', `---\n${ONE}`],
])('one connection as %s is as it was written', (_, text) => {
  const [only, ...rest] = readCloudFile(file(text), recordedIo())
  expect(rest).toEqual([])
  expect(only!.draft).toEqual({
    name: 'aws',
    site: 'hq',
    region: 'eu-central-1',
    target: { kind: 'vpc', vpc: 'vpc-0123456789abcdef0' },
  })
})

test('a hundred in one file, in their order', () => {
  const names = Array.from({ length: 100 }, (_, at) => `aws-${at}`)
  const text = names.map((name) => ONE.replace('name: aws', `name: ${name}`)).join('---\n')
  expect(readCloudFile(file(text), recordedIo()).map(({ draft }) => draft.name)).toEqual(names)
})

test('all faults of all documents, each with its place and its path', () => {
  const second = ONE.replace('eu-central-1', 'Frankfurt').replace('kind: vpc', 'kind: vpn').replace('site: hq\n', '')
  expect(
    faultsOf(`${ONE.replace('name: aws', 'nmae: aws')}---\n${second}routing: rip\noptions: { groups: [2] }\n`),
  ).toEqual([
    'aws.yaml:1:1: name: it is missing: text; see docs/aws.md',
    'aws.yaml:1:1: nmae: there is no such key; did you mean name?',
    'aws.yaml:6:1: site: it is missing: text; see docs/aws.md',
    'aws.yaml:7:9: region: "Frankfurt" is not a region, like eu-central-1; see docs/aws.md',
    'aws.yaml:8:17: target.kind: "vpn" is not one of vpc, transit-gateway; see docs/aws.md',
    'aws.yaml:9:10: routing: "rip" is not one of bgp, static; see docs/aws.md',
    'aws.yaml:10:21: options.groups[0]: "2" is not one of 20, 19, 21, 16, 15, 14; see docs/aws.md',
  ])
})

test.each([
  ['nothing', '', ['aws.yaml:1:1: name: it is missing: text; see docs/aws.md']],
  ['an empty list', '[]', ['aws.yaml:1:1: the number of entries should be at least 1; see docs/aws.md']],
  ['text', 'aws', ['aws.yaml:1:1: "aws" is not a mapping; see docs/aws.md']],
  [
    'a name twice',
    `${ONE}---\n${ONE}`,
    ['aws.yaml:6:7: name: aws is there twice; give each connection a name of its own'],
  ],
  ['what is not YAML', 'name: [', ['aws.yaml:1:8: this is not valid YAML: ']],
])('%s is refused', (_, text, expected) => {
  const faults = faultsOf(text)
  for (const [at, words] of expected.entries()) expect(faults[at]).toContain(words)
})

test('what the control plane finds has its place in the file', () => {
  const wanted = readCloudFile(file(`- ${ONE.replaceAll('\n', '\n  ')}gateway: { address: 10.0.0.1 }\n`), recordedIo())
  const errors = [{ pointer: '/draft/gateway/address', code: 'invalid', detail: 'AWS: a public address.' }]
  const refused = new ApiFailure('it does not fit', 'correct it', EXIT.usage, 'invalid-request', 400, errors)
  expect(wanted[0]!.faults(refused)).toMatchObject([
    { line: 5, column: 23, path: '[0].gateway.address', message: 'AWS: a public address' },
  ])
  expect(wanted[0]!.faults(new Error('another one'))).toEqual([])
})

test('prices are read with their faults', () => {
  const io = recordedIo()
  expect(readPrices(undefined, io)).toBeUndefined()
  expect(readPrices(file('connectionHour: 0.04\n'), io)).toEqual({ connectionHour: 0.04 })
  expect(() => readPrices(file('connectionHour: -1\nhour: 3\n'), io)).toThrow('2 faults')
  expect(io.err()).toContain('connectionHour: "-1" is not a number of at least 0')
  expect(io.err()).toContain('hour: there is no such key; did you mean hours?')
  expect(() => readPrices(join(directory, 'none'), io)).toThrow('cannot be read (ENOENT)')
})

test('the examples of docs/aws.md are what they say', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/aws.md'), 'utf8')
  const [first, second, prices, ...rest] = [...page.matchAll(/```yaml\n([^`]+)```/g)].map(([, text]) => text!)
  const io = recordedIo()
  const names = [first!, second!].map((text) => readCloudFile(file(text), io)[0]!.draft.name)
  expect({ names, rest }).toEqual({ names: ['aws', 'aws-tgw'], rest: [] })
  expect(readPrices(file(prices!), io)).toEqual(priceSchema.parse({}))
})
