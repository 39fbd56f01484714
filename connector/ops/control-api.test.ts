import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fakeConnector, sampleStatus, sampleTunnel } from '../cli/testing.ts'
import { EXIT } from '../handle.ts'
import { controlClient, controlRequest } from './client.ts'
import { type ControlApi, startControlApi } from './control-api.ts'

let directory: string
let socket: string
let api: ControlApi | undefined
const errors: unknown[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-test-'))
  socket = join(directory, 'inner', 's')
  errors.length = 0
})

afterEach(async () => {
  await api?.close()
  api = undefined
  rmSync(directory, { recursive: true })
})

async function start(handle = fakeConnector(), onStop = () => {}) {
  const metrics = { text: async () => 'isthmus_info 1\n', contentType: 'text/plain' }
  api = await startControlApi(socket, { handle, metrics, onStop, onError: (error) => errors.push(error) })
  return handle
}

test('the verbs reach the connector', async () => {
  let stops = 0
  const handle = await start(fakeConnector(), () => stops++)
  const client = controlClient(socket)
  expect(await client.status()).toEqual(sampleStatus())
  await client.initiate('branch')
  await client.terminate('branch')
  await client.rekey('branch', 'net')
  await controlRequest(socket, 'POST', '/rekey', { connection: 'branch' })
  expect(handle.calls).toEqual(['initiate branch', 'terminate branch', 'rekey branch net', 'rekey branch ike'])
  await client.stop()
  expect(stops).toBe(1)
})

test('the socket is for its owner only, and gone when the connector has ended', async () => {
  await start()
  expect(statSync(socket).mode & 0o777).toBe(0o600)
  await api!.close()
  await api!.close()
  expect(() => statSync(socket)).toThrow('ENOENT')
  await expect(controlClient(socket).status()).rejects.toMatchObject({
    exitCode: EXIT.notRunning,
    message: expect.stringContaining('the connector is not running'),
    remedy: expect.stringContaining('start it with isthmus up'),
  })
})

test('a second connector is refused, and the first goes on', async () => {
  await start()
  const first = api!
  await expect(start()).rejects.toMatchObject({ code: 'already-running', exitCode: EXIT.portBusy })
  expect(await controlClient(socket).status()).toMatchObject({ site: 'hq' })
  api = first
})

test('a socket left over from a crash is replaced', async () => {
  socket = join(directory, 's')
  await leaveStaleSocket(socket)
  await expect(controlClient(socket).status()).rejects.toMatchObject({ exitCode: EXIT.notRunning })
  await start()
  expect(await controlClient(socket).status()).toMatchObject({ site: 'hq' })
})

test('a plain file in its place is not taken for a socket of ours and stays', async () => {
  socket = join(directory, 'file')
  writeFileSync(socket, 'precious')
  await expect(start()).rejects.toMatchObject({ code: 'control-socket' })
  expect(statSync(socket).size).toBe(8)
})

test('a path that is too long for a socket is refused in words', async () => {
  socket = join(directory, 'x'.repeat(120))
  await expect(start()).rejects.toMatchObject({ exitCode: EXIT.badConfig, remedy: expect.stringContaining('shorter') })
})

test('what does not fit is answered as a problem with a remedy', async () => {
  await start()
  const problem = async (head: string, body = '') => {
    const answer = await raw(
      `${head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    expect(answer).toContain('application/problem+json')
    return JSON.parse(answer.split('\r\n\r\n')[1]!) as Record<string, unknown>
  }
  expect(await problem('POST /rekey', '{')).toMatchObject({ status: 400, code: 'not-json' })
  expect(await problem('POST /rekey', '[]')).toMatchObject({ status: 400, code: 'bad-field' })
  expect(await problem('POST /rekey', '{"connection":7}')).toMatchObject({ status: 400, remedy: expect.any(String) })
  expect(await problem('POST /rekey', '{"connection":"brunch"}')).toMatchObject({ status: 404, code: 'not-found' })
  expect(await problem('GET /rekey')).toMatchObject({ status: 405, remedy: 'use POST' })
  expect(await problem('GET /../etc')).toMatchObject({ status: 404, code: 'no-such-path' })
  expect(await problem('GET /constructor')).toMatchObject({ status: 404 })
  expect(await problem('POST /rekey', `"${'x'.repeat(20_000)}"`)).toMatchObject({ status: 413, code: 'too-large' })
  expect(await raw('nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400/)
  expect(await controlClient(socket).status()).toMatchObject({ site: 'hq' })
  await expect(controlClient(socket).rekey('brunch', 'ike')).rejects.toMatchObject({
    message: 'there is no SA "ike" with a peer "brunch"',
    exitCode: EXIT.failed,
  })
})

test('there is nothing to rekey before a tunnel stands', async () => {
  await start(fakeConnector(sampleStatus(sampleTunnel({ state: 'connecting' }))))
  await expect(controlClient(socket).rekey('branch', 'ike')).rejects.toMatchObject({
    message: 'branch is connecting: there is no SA to rekey',
    remedy: 'wait until isthmus status says that the tunnel is up',
  })
})

test('an error of ours is told and does not end the connector', async () => {
  const handle = fakeConnector()
  let isBroken = true
  await start({ ...handle, status: () => (isBroken ? fail() : handle.status()) })
  await expect(controlClient(socket).status()).rejects.toMatchObject({ message: 'the connector could not answer' })
  expect(errors).toMatchObject([{ message: 'broken' }])
  isBroken = false
  expect(await controlClient(socket).status()).toMatchObject({ site: 'hq' })
})

function fail(): never {
  throw new Error('broken')
}

/** A socket file that nobody listens on, as SIGKILL leaves it: closing through Node.js would remove it. */
async function leaveStaleSocket(path: string): Promise<void> {
  const server: Server = createServer()
  await new Promise<void>((resolve) => server.listen(`${path}.first`, resolve))
  const { renameSync } = await import('node:fs')
  renameSync(`${path}.first`, path)
  await new Promise<void>((resolve) => server.close(() => resolve()))
}

function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket)
    let answer = ''
    connection.on('data', (chunk) => {
      answer += chunk.toString()
    })
    connection.on('error', reject).on('close', () => resolve(answer))
    connection.write(text)
  })
}
