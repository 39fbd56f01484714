import { expect, test } from 'vitest'
import { EXIT } from '../../handle.ts'
import { type ApiFailure, type ApiRequest, jsonOf, type Surroundings, send } from './transport.ts'

const URL_OF_CONTROL = 'https://control.example.net'

interface Made {
  readonly url: string
  readonly init: RequestInit
  readonly key: string | null
}

/** Answers one after the other; the last one again and again. */
function around(...answers: (Response | Error)[]) {
  const made: Made[] = []
  const waits: number[] = []
  let keys = 0
  const surroundings: Surroundings = {
    url: URL_OF_CONTROL,
    token: 'ist_admin_x',
    fetch: async (url, init) => {
      made.push({ url, init, key: new Headers(init.headers).get('idempotency-key') })
      const answer = answers.length > 1 ? answers.shift()! : answers[0]!
      if (answer instanceof Error) throw answer
      return answer.clone()
    },
    pause: async (ms) => void waits.push(ms),
    freshKey: () => `key-${++keys}`,
  }
  return { surroundings, made, waits }
}

function problem(status: number, fields: object = {}, headers: Record<string, string> = {}): Response {
  const body = { type: '/docs#x', title: 'It is so', status, code: 'x', ...fields }
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  })
}

const lost = (code: string) => new TypeError('fetch failed', { cause: { code } })
const good = () => new Response('{"id":"x"}', { status: 201, headers: { etag: '"3"' } })
const post: ApiRequest = { method: 'POST', path: '/v1/networks', body: { name: 'acme' } }
const get: ApiRequest = { method: 'GET', path: '/v1/networks' }
const put: ApiRequest = { method: 'PUT', path: '/v1/networks/x/preferences', body: {}, headers: { 'If-Match': '"1"' } }

async function failure(request: ApiRequest, ...answers: (Response | Error)[]) {
  const { surroundings, made, waits } = around(...answers)
  const error = (await send(request, surroundings).catch((caught: unknown) => caught)) as ApiFailure
  return { error, made, waits, exit: error.exitCode }
}

test('a request has the token, a key where it is a POST, and follows no redirection', async () => {
  const { surroundings, made } = around(good())
  const answer = await send(post, surroundings)
  expect(jsonOf(answer, URL_OF_CONTROL)).toEqual({ id: 'x' })
  const headers = new Headers(made[0]!.init.headers)
  expect(made[0]!.url).toBe('https://control.example.net/v1/networks')
  expect(made[0]!.init).toMatchObject({ method: 'POST', body: '{"name":"acme"}', redirect: 'manual' })
  expect(Object.fromEntries(headers)).toMatchObject({
    authorization: 'Bearer ist_admin_x',
    'content-type': 'application/json',
    'idempotency-key': 'key-1',
  })
  const read = around(new Response('[]'))
  await send(get, read.surroundings)
  expect(read.made[0]!.key).toBeNull()
})

test('too many requests: as long as Retry-After says, with the same key, four times at most', async () => {
  const busy = problem(429, {}, { 'retry-after': '2' })
  const { surroundings, made, waits } = around(busy, busy, good())
  await send(post, surroundings)
  expect({ waits, keys: made.map(({ key }) => key) }).toEqual({
    waits: [2000, 2000],
    keys: ['key-1', 'key-1', 'key-1'],
  })
  const never = await failure(put, busy)
  expect({ exit: never.exit, attempts: never.made.length }).toEqual({ exit: EXIT.noControl, attempts: 4 })
  const long = await failure(get, problem(429, {}, { 'retry-after': '3600' }))
  expect({ waits: long.waits, attempts: long.made.length }).toEqual({ waits: [], attempts: 1 })
})

test('a change that may have been made is not repeated, for it would meet its own revision', async () => {
  const { made, exit } = await failure(put, lost('ECONNRESET'))
  expect({ exit, attempts: made.length }).toEqual({ exit: EXIT.noControl, attempts: 1 })
  expect((await failure(put, problem(503))).made).toHaveLength(1)
  const again = around(lost('ECONNRESET'), problem(503), good())
  await send(post, again.surroundings)
  expect(again.made.map(({ key }) => key)).toEqual(['key-1', 'key-1', 'key-1'])
  expect(again.waits).toEqual([250, 500])
})

test.each([
  ['ECONNREFUSED', 1, 'isthmus control'],
  ['ENOTFOUND', 1, 'DNS'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 1, 'NODE_EXTRA_CA_CERTS'],
  ['ECONNRESET', 4, '/healthz'],
])('%s says what to do', async (code, attempts, remedy) => {
  const { error, made, exit } = await failure(get, lost(code))
  expect({ exit, attempts: made.length, code: error.code }).toEqual({
    exit: EXIT.noControl,
    attempts,
    code: 'unreachable',
  })
  expect(error.message).toBe(`the control plane at ${URL_OF_CONTROL} cannot be reached (${code})`)
  expect(error.remedy).toContain(remedy)
})

test('what does not answer as a control plane is named, with where it points', async () => {
  const html = new Response('<html>', { status: 404 })
  expect((await failure(get, html)).error.message).toContain('HTTP status 404')
  const moved = new Response(null, { status: 302, headers: { location: 'https://elsewhere.example/' } })
  const { error, made } = await failure(get, moved)
  expect(error.message).toContain('points to https://elsewhere.example/')
  expect(made).toHaveLength(1)
  const { surroundings } = around(new Response('hello'))
  const answer = await send(get, surroundings)
  expect(() => jsonOf(answer, URL_OF_CONTROL)).toThrow('its answer is not JSON')
})

test('exit codes tell kinds of refusals apart', async () => {
  const exits = new Map<number, number>()
  for (const status of [400, 401, 403, 404, 409, 412, 422, 500])
    exits.set(status, (await failure(get, problem(status))).exit)
  const { usage, permission, failed, noControl } = EXIT
  expect([...exits.values()]).toEqual([usage, permission, permission, failed, failed, failed, failed, noControl])
})

test('every fault is told by its place, and no word from elsewhere steers the terminal', async () => {
  const errors = [
    { pointer: '/name', detail: 'taken.' },
    { pointer: '', detail: 'and \u001b[2Jmore' },
  ]
  const { error } = await failure(get, problem(400, { code: 'invalid-request', detail: 'two', remedy: 'r', errors }))
  expect(error.message).toBe('/name: taken; and  [2Jmore')
  expect(error.remedy).toBe('correct this, and try again')
  const ours = await failure(get, problem(500, { detail: 'the disk', remedy: 'look', requestId: 'abc' }))
  expect(ours.error).toMatchObject({
    message: 'It is so: the disk (request abc)',
    remedy: 'look',
    code: 'x',
    status: 500,
  })
})
