import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parseDocument } from 'yaml'
import { bundle } from '../../infra/lambda/build.ts'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'isthmus-lambda-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the bundle is small, and runs where there is nothing but Node', async () => {
  const { path, gzipBytes } = await bundle(folder)
  // Two fifths of it are the EC2 client, which only a network with connections to AWS loads.
  expect(gzipBytes).toBeLessThan(700_000)
  const script = `import('${path}').then(({ handler }) => handler({ source: 'aws.events' })).catch((e) => console.log(e.name))`
  const said = execFileSync(process.execPath, ['-e', script], { cwd: folder, env: {}, encoding: 'utf8' })
  expect(said.trim().split('\n').at(-1)).toBe('StoreFailure')
})

test('the template gives the function what it needs and no more', () => {
  const text = readFileSync(join(root, 'infra/lambda/template.yaml'), 'utf8')
  const document = parseDocument(text, { logLevel: 'silent' })
  expect(document.errors).toEqual([])
  const { Resources } = document.toJS()
  const [policy] = Resources.Role.Properties.Policies
  for (const { Action, Resource } of policy.PolicyDocument.Statement) {
    expect(String(Action)).not.toContain('*')
    expect(['SecretArn', 'Logs.Arn']).toContain(Resource)
  }
  const { Handler, CodeUri, Events } = Resources.Control.Properties
  expect([Handler, resolve(root, 'infra/lambda', CodeUri)]).toEqual(['index.handler', join(root, 'dist/lambda')])
  expect(Events.Requests.Properties.PayloadFormatVersion).toBe('2.0')
})
