import { expect, test } from 'vitest'
import { loadConfig } from '../config.ts'
import { faultsOf, faultTexts, files, loaded, SIMPLE } from './testing.ts'

test.each([
  ['EACCES', undefined, 'may not be read', 'file'],
  ['ENOENT', undefined, 'there is no file /etc/isthmus/branch.key', 'file'],
  ['EISDIR', undefined, 'could not be read (EISDIR)', 'file'],
  [undefined, '', 'the secret is empty', 'config'],
  [undefined, '\n', 'the secret is empty', 'config'],
  [undefined, 'hex:abc', 'not pairs of hex digits', 'config'],
  [undefined, 'base64:???', 'announces base64', 'config'],
])('a secret file that is of no use (%s, %j)', (code, content, message, kind) => {
  const source = files({ 'isthmus.yaml': SIMPLE, '/etc/isthmus/branch.key': content ?? '' })
  const readFile = (path: string) => {
    if (path.endsWith('.key') && code !== undefined) throw Object.assign(new Error(code), { code })
    return source.readFile(path)
  }
  const [fault] = faultsOf(loadConfig('isthmus.yaml', { ...source, readFile }))
  expect(fault).toMatchObject({ line: 8, column: 21, path: 'peers.branch.secret.file', kind })
  expect(fault!.message).toContain(message)
})

test.each([
  ['0x00ff10', [0, 0xff, 0x10]],
  ['hex:00FF10\n', [0, 0xff, 0x10]],
  ['base64:AP8Q', [0, 0xff, 0x10]],
  ['abc\r\n', [97, 98, 99]],
  ['abc\n\n', [97, 98, 99, 10]],
])('a secret in the form %j', (content, expected) => {
  const { plan } = loaded(SIMPLE, { '/etc/isthmus/branch.key': content })
  expect([...plan.connections[0]!.ike.psk]).toEqual(expected)
})

test('no fault shows a secret, wherever it was put by mistake', () => {
  const wrong = [
    'secret: hunter2',
    'secret: [hunter2]',
    'secret: { env: "hunter2!" }',
    'secret: { file: k, env: "hunter2!" }',
    'secret: { hunter: x }',
  ]
  for (const line of wrong) {
    const texts = faultTexts(SIMPLE.replace(/secret: .*/, line)).join('\n')
    expect(texts).toContain('peers.branch.secret')
    expect(texts).not.toContain('hunter2')
  }
})
