import { describe, expect, test } from 'vitest'
import { rotationCron } from './cloudflare.ts'
import { rotationSchedule } from './lambda.ts'
import { RotationFailure, type RotationOptions, rotate } from './rotate.ts'

const NET = '0123456789abcdefghjk'
const TOKEN = `ist_rotation_${NET}_${NET}_${'A'.repeat(43)}`
const RUN = { id: 'run_1', state: 'running' }
const BEGUN = { run: RUN, skipped: [{ tunnel: 'tun_1', name: 'hq-branch', why: 'has no key' }] }

/** A control plane that answers with these, one after the other, the last one again and again. */
function plane(...answers: readonly (() => Response | Promise<Response>)[]) {
  const asked: { method: string; url: string; headers: Headers; body: unknown }[] = []
  const fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const body = init.body === undefined ? undefined : JSON.parse(String(init.body))
    asked.push({ method: init.method!, url, headers: new Headers(init.headers), body })
    return answers[Math.min(asked.length, answers.length) - 1]!()
  }
  const options: RotationOptions = { token: `${TOKEN}@https://control.test/`, fetch }
  return { asked, options }
}

const json =
  (value: unknown, status = 200) =>
  () =>
    Response.json(value, { status })
const problem = (status: number, code: string) =>
  json({ code, title: 'Title', detail: 'why', remedy: 'Do this.' }, status)

describe('a rotation', () => {
  test('begins with one request, whose key is of the occasion', async () => {
    const { asked, options } = plane(json(BEGUN, 201))
    const outcome = await rotate({ ...options, tunnels: ['tun_1'], canary: false }, 'monday')
    expect(outcome).toEqual({ run: 'run_1', state: 'running', skipped: BEGUN.skipped })
    expect(asked).toHaveLength(1)
    expect(asked[0]).toMatchObject({
      method: 'POST',
      url: `https://control.test/v1/networks/net_${NET}/runs`,
      body: { tunnels: ['tun_1'], canary: false },
    })
    expect(asked[0]!.headers.get('authorization')).toBe(`Bearer ${TOKEN}`)
    await rotate({ ...options, tunnels: ['tun_1'], canary: false }, 'monday')
    await rotate({ ...options, tunnels: ['tun_1'], canary: false }, 'tuesday')
    await rotate({ ...options, tunnels: ['tun_2'], canary: false }, 'monday')
    const keys = asked.map(({ headers }) => headers.get('idempotency-key'))
    expect(keys[0]).toMatch(/^rotation-[0-9a-f]{32}$/)
    expect(keys[1]).toBe(keys[0])
    expect(new Set(keys).size).toBe(3)
  })

  test('is waited for where that is wanted', async () => {
    const { asked, options } = plane(json(BEGUN, 201), json(RUN), json({ ...RUN, state: 'done' }))
    expect(await rotate({ ...options, waitMs: 5_000, lookMs: 1 }, 'x')).toMatchObject({ run: 'run_1', state: 'done' })
    const looks = asked.slice(1).map(({ method, url }) => [method, new URL(url).pathname])
    const look = ['GET', `/v1/networks/net_${NET}/runs/run_1`]
    expect(looks).toEqual([look, look])
  })

  test('that is not over when the wait is, is no failure', async () => {
    const { options } = plane(json(BEGUN, 201), json(RUN))
    expect(await rotate({ ...options, waitMs: 3, lookMs: 1 }, 'x')).toMatchObject({ state: 'running' })
  })

  test.each(['stopped', 'aborted'])('that was %s fails, with the reason', async (state) => {
    const { options } = plane(json(BEGUN, 201), json({ ...RUN, state, reason: 'tunnel hq-branch did not confirm' }))
    const failed = rotate({ ...options, waitMs: 5_000, lookMs: 1 }, 'x')
    await expect(failed).rejects.toMatchObject({ name: 'RotationFailure', code: state })
    await expect(failed).rejects.toThrow(/hq-branch did not confirm/)
  })

  test('of nothing is none, and no failure', async () => {
    const { options } = plane(problem(409, 'nothing-to-rotate'))
    expect(await rotate(options, 'x')).toEqual({ state: 'nothing-to-rotate', skipped: [] })
  })
})

describe('a control plane that does not', () => {
  test.each([
    ['refuses the token', problem(401, 'bad-credentials'), 'bad-credentials', 1],
    ['refuses the role', problem(403, 'forbidden'), 'forbidden', 1],
    ['is busy', problem(429, 'rate-limited'), 'rate-limited', 4],
    ['is out of order', problem(503, 'unavailable'), 'unavailable', 4],
    ['is a gateway', () => new Response('<html>', { status: 502 }), 'unavailable', 4],
    ['is another server', () => new Response('<html>'), 'not-control', 1],
    ['is not there', () => Promise.reject(new TypeError('fetch failed')), 'unreachable', 4],
  ])('%s', async (_, answer, code, tries) => {
    const { asked, options } = plane(answer)
    const failed = rotate({ ...options, pauseMs: 1 }, 'x')
    await expect(failed).rejects.toBeInstanceOf(RotationFailure)
    await expect(failed).rejects.toMatchObject({ code })
    expect(asked).toHaveLength(tries)
    expect(new Set(asked.map(({ headers }) => headers.get('idempotency-key'))).size).toBe(1)
  })

  test('is out of order only for a while: the same request is repeated', async () => {
    const { options } = plane(problem(503, 'unavailable'), json(BEGUN, 201))
    expect(await rotate({ ...options, pauseMs: 1 }, 'x')).toMatchObject({ run: 'run_1' })
  })
})

test.each([
  ['no token', { token: '', url: 'https://a.test' }],
  ['the token of a function', { token: TOKEN.replace('rotation', 'function'), url: 'https://a.test' }],
  ['no address', { token: TOKEN }],
])('%s is told with its remedy, and not shown', async (_, options) => {
  const failed = rotate(options, 'x')
  await expect(failed).rejects.toMatchObject({ code: 'no-token' })
  await expect(failed).rejects.not.toThrow(/A{43}/)
})

describe('handlers', () => {
  test('of Workers take the bindings, and the time that the trigger was scheduled for', async () => {
    const { asked, options } = plane(json(BEGUN, 201))
    const scheduled = rotationCron({ fetch: options.fetch })
    const env = { ISTHMUS_TOKEN: TOKEN, ISTHMUS_URL: 'https://control.test' }
    for (const scheduledTime of [1, 1, 2]) await scheduled({ cron: '0 3 * * *', scheduledTime }, env)
    const keys = asked.map(({ headers }) => headers.get('idempotency-key'))
    expect(keys[0]).toBe(keys[1])
    expect(keys[2]).not.toBe(keys[1])
    await expect(scheduled({ cron: '', scheduledTime: 1 }, {})).rejects.toMatchObject({ code: 'no-token' })
  })

  test('of Lambda take the event, or what repeats with it', async () => {
    const { asked, options } = plane(json(BEGUN, 201))
    const handler = rotationSchedule(options)
    const [first, second] = ['2026-11-01T03:00:00Z', '2026-11-08T03:00:00Z'] as const
    for (const time of [first, first, second]) await handler({ id: 'one', time })
    for (const id of ['two', 'two']) await handler({ id })
    for (const awsRequestId of ['three', 'three']) await handler({}, { awsRequestId })
    const keys = asked.map(({ headers }) => headers.get('idempotency-key'))
    expect(keys.map((key) => keys.indexOf(key))).toEqual([0, 0, 2, 3, 3, 5, 5])
  })
})
