import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, expect, test } from 'vitest'

// Its types bring those of browsers along, for the whole project.
const { parse } = (await import('@cdktf/hcl2json' as string)) as {
  parse(file: string, text: string): Promise<Record<string, unknown>>
}

const here = import.meta.dirname
const root = resolve(here, '../..')
const files = readdirSync(here).filter((name) => name.endsWith('.tf'))
const boot = readFileSync(join(root, 'infra/connector/ec2/boot.sh'), 'utf8')

type Blocks = Readonly<Record<string, Readonly<Record<string, unknown>>>>
interface Statement {
  readonly actions: readonly string[]
  readonly resources: readonly string[] | string
  readonly condition?: unknown
}
interface Module {
  readonly variable: Blocks
  readonly locals: readonly Readonly<Record<string, unknown>>[]
  readonly data: Readonly<Record<string, Blocks>>
  readonly resource: Readonly<Record<string, Blocks>>
}

/** Everything that is declared, and the text of every expression. */
let module: Module
let text: string

beforeAll(async () => {
  const parsed = await Promise.all(files.map((name) => parse(name, readFileSync(join(here, name), 'utf8'))))
  module = Object.assign({}, ...parsed) as Module
  text = JSON.stringify(parsed)
})

const dataOf = (kind: string, name: string) => (module.data[kind]![name] as unknown as { statement: Statement[] }[])[0]!
const localOf = (name: string) => String(module.locals[0]![name])

test('is HCL, and each block stands in one file', () => {
  expect(files).toEqual(['main.tf', 'outputs.tf', 'variables.tf', 'versions.tf'])
  expect(Object.keys(module).sort()).toEqual(['data', 'locals', 'output', 'resource', 'terraform', 'variable'])
})

test('HCL that is none does not pass', async () => {
  await expect(parse('x.tf', 'resource "aws_eip" { ')).rejects.toThrow()
})

test('refers to nothing that it does not declare, and declares nothing in vain', () => {
  const declared = [
    ...Object.keys(module.variable).map((name) => `var.${name}`),
    ...Object.keys(module.locals[0]!).map((name) => `local.${name}`),
    ...Object.entries(module.data).flatMap(([kind, all]) => Object.keys(all).map((name) => `data.${kind}.${name}`)),
    ...Object.entries(module.resource).flatMap(([kind, all]) => Object.keys(all).map((name) => `${kind}.${name}`)),
  ]
  const used = new Set(text.match(/\b(var\.\w+|local\.\w+|data\.aws_\w+\.\w+|(?<!data\.)aws_\w+\.\w+)/g))
  expect([...used].filter((reference) => !declared.includes(reference))).toEqual([])
  const ends = ['aws_autoscaling_group.connector']
  expect(declared.filter((name) => !used.has(name) && !ends.includes(name))).toEqual([])
})

test('reads files that are there', () => {
  const paths = [...text.matchAll(/path\.module\}\/([^"\\]+)/g)].map(([, path]) => join(here, path!))
  expect(paths).toEqual([join(root, 'infra/connector/ec2/boot.sh')])
  expect(paths.every(existsSync)).toBe(true)
})

test('takes the inputs of the CDK stack', () => {
  const { connector } = JSON.parse(readFileSync(join(root, 'infra/cdk/example.context.json'), 'utf8'))
  const names = Object.keys(connector).map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
  // CDK finds the project by itself, and names its resources.
  expect(Object.keys(module.variable).sort()).toEqual([...names, 'bundle', 'name'].sort())
})

test('tells its instance everything that the boot script asks for', () => {
  const [, head] = boot.match(/User data sets, before it: ([\s\S]+?)\n# It ends/)!
  const names = head!.match(/\b[A-Z_]{6,}\b/g)!
  const settings = module.locals[0]!.settings as Readonly<Record<string, unknown>>
  expect(Object.keys(settings).sort()).toEqual([...names].sort())
  expect(localOf('user_data')).toContain('#!/bin/sh')
})

test('may do what its boot script calls, on what is its own, and nothing else', () => {
  const calls = [...boot.matchAll(/\baws (ec2|secretsmanager|s3) ([a-z-]+)/g)].map(([, service, verb]) =>
    service === 's3' ? 's3:GetObject' : `${service}:${pascal(verb!)}`,
  )
  const { statement: statements } = dataOf('aws_iam_policy_document', 'boot')
  expect(new Set(statements.flatMap(({ actions }) => actions))).toEqual(new Set(calls))
  const broad = statements.filter(({ resources }) => /\*/.test(String(resources)))
  expect(broad.map(({ condition }) => condition)).toEqual([
    [{ test: 'StringEquals', values: [`\${var.name}`], variable: 'aws:ResourceTag/isthmus:connector' }],
  ])
})

test('is one instance by IMDSv2 only, on encrypted disks; routes lead to what does not check addresses', () => {
  const one = (kind: string, name: string) => (module.resource[kind]![name] as unknown as object[])[0]
  expect(one('aws_autoscaling_group', 'connector')).toMatchObject({ min_size: 1, max_size: 1 })
  expect(one('aws_launch_template', 'connector')).toMatchObject({
    metadata_options: [{ http_tokens: 'required', http_put_response_hop_limit: 1 }],
    block_device_mappings: [{ ebs: [{ encrypted: true }] }],
  })
  expect(one('aws_ebs_volume', 'identity')).toMatchObject({ encrypted: true, final_snapshot: true })
  expect(one('aws_network_interface', 'nobody')).toMatchObject({ source_dest_check: false })
  expect(one('aws_route', 'site')).toMatchObject({ network_interface_id: `\${aws_network_interface.nobody.id}` })
})

function pascal(verb: string): string {
  return verb.replace(/(^|-)([a-z])/g, (_, __, letter: string) => letter.toUpperCase())
}
