/** What becomes of calls: which are repeated, when they end, what is told of them. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { CloudFailure } from '../domain/cloud/provider.ts'
import { MOST_ANSWER } from './bounded.ts'
import type { AwsCall } from './calls.ts'
import { type AwsProviderOptions, createAwsProvider } from './provider.ts'
import { ACTIONS, SECRETS, SUBJECTS } from './testing/actions.ts'
import { type Answer, emptyAnswer, errorAnswer, KEYS, type Sent, wire } from './testing/wire.ts'

const REGION = 'eu-central-1'
const CREATE = ACTIONS['create-vpn-connection']

afterEach(() => vi.unstubAllEnvs())

/** Time passes only by sleeping. */
function world(answer: (sent: Sent) => Answer | Promise<Answer>, more: Partial<AwsProviderOptions> = {}) {
  let now = 0
  const calls: AwsCall[] = []
  const { sent, requestHandler } = wire(answer)
  const provider = createAwsProvider({
    credentials: KEYS,
    requestHandler,
    now: () => now,
    sleep: async (ms) => {
      now += ms
    },
    onCall: (call) => calls.push(call),
    ...more,
  })
  return { provider, sent, calls, at: () => now }
}

const failing = (promise: Promise<unknown>): Promise<CloudFailure> =>
  promise.then(
    () => expect.unreachable('it should have failed'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(CloudFailure)
      return error as CloudFailure
    },
  )
const lost = () => Promise.reject(Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }))

describe('what is repeated', () => {
  test('a change that AWS throttles, until it takes it', async () => {
    let left = 3
    const { provider, sent, calls } = world((one) =>
      left-- > 0 ? errorAnswer('RequestLimitExceeded', 'Request limit exceeded.', 503) : emptyAnswer(one),
    )
    expect(await provider.perform(REGION, CREATE, SECRETS)).toEqual({})
    expect(new Set(sent.map(({ action }) => action))).toEqual(new Set(['CreateVpnConnection']))
    expect(calls.map(({ outcome }) => outcome)).toEqual(['later', 'later', 'later', 'ok'])
    expect(calls[0]).toEqual({
      region: REGION,
      action: 'CreateVpnConnection',
      outcome: 'later',
      code: 'RequestLimitExceeded',
    })
  })

  test.each([
    ['an answer that is lost', lost, 'unknown'],
    ['an error on their side', () => errorAnswer('InternalError', 'x', 500), 'unknown'],
    ['an answer that is none', () => ({ body: '<html>' }), 'unknown'],
    ['a state that is not right yet', () => errorAnswer('IncorrectState', 'x'), 'later'],
    ['a parameter that is wrong', () => errorAnswer('InvalidParameterValue', 'x'), 'invalid'],
  ])('no change after %s', async (_, answer, kind) => {
    const { provider, sent } = world(answer)
    expect((await failing(provider.perform(REGION, CREATE, SECRETS))).kind).toBe(kind)
    expect(sent).toHaveLength(1)
  })

  test('a read that is lost, three times at most', async () => {
    let left = 2
    const once = world((one) => (one.action === 'DescribeVpcs' && left-- > 0 ? lost() : emptyAnswer(one)))
    expect(await once.provider.look(SUBJECTS)).toHaveLength(2)
    const never = world((one) => (one.action === 'DescribeVpcs' ? lost() : emptyAnswer(one)))
    expect(await failing(never.provider.look(SUBJECTS))).toMatchObject({ kind: 'later', code: 'ECONNRESET' })
    expect(never.sent.filter(({ action }) => action === 'DescribeVpcs')).toHaveLength(3)
  })

  test('not the SDK itself: it would repeat a change that may have been carried out', async () => {
    const { provider, sent } = world(() => errorAnswer('ServiceUnavailable', 'x', 503))
    expect((await failing(provider.perform(REGION, CREATE, SECRETS))).kind).toBe('unknown')
    expect(sent).toHaveLength(1)
  })
})

describe('when it ends', () => {
  test('a change that is throttled without end is given up before whoever asked does', async () => {
    const { provider, sent, at } = world(() => errorAnswer('RequestLimitExceeded', 'x', 503))
    const failure = await failing(provider.perform(REGION, CREATE, SECRETS))
    expect(failure).toMatchObject({ kind: 'later', code: 'RequestLimitExceeded' })
    expect(sent.length).toBeGreaterThan(3)
    expect(at()).toBeLessThanOrEqual(30_000)
  })

  test('what cannot begin in time never begins', async () => {
    const rates = { read: { perSecond: 1, burst: 1 }, write: { perSecond: 0.1, burst: 1 } }
    const { provider, sent } = world(emptyAnswer, { rates, sleep: async () => undefined })
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () =>
        provider.perform(REGION, CREATE, SECRETS).then(
          () => 'done',
          (failure: CloudFailure) => `${failure.kind} ${failure.code}`,
        ),
      ),
    )
    expect(outcomes).toEqual([...Array(4).fill('done'), ...Array(4).fill('later OwnRateLimit')])
    expect(sent).toHaveLength(4)
  })

  test('whoever never answers is waited for only so long', async () => {
    const server = createServer(() => undefined)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const provider = createAwsProvider({ credentials: KEYS, endpoint, attemptMs: 50 })
    expect(await failing(provider.perform(REGION, CREATE, SECRETS))).toMatchObject({
      kind: 'unknown',
      code: 'AbortError',
    })
    server.closeAllConnections()
    server.close()
  })

  test('a list without an end is no list', async () => {
    const page = '<nextToken>again</nextToken><vpcSet><item><vpcId>vpc-1</vpcId></item></vpcSet>'
    const { provider, sent } = world((one) =>
      one.action === 'DescribeVpcs'
        ? { body: `<DescribeVpcsResponse>${page}</DescribeVpcsResponse>` }
        : emptyAnswer(one),
    )
    expect(await failing(provider.look(SUBJECTS))).toMatchObject({ kind: 'later', code: 'EndlessList' })
    expect(sent.filter(({ action }) => action === 'DescribeVpcs').length).toBeLessThanOrEqual(200)
  })

  test('an answer without an end is not read to its end', async () => {
    let given = 0
    async function* endless() {
      for (;;) {
        given += 1 << 20
        yield new Uint8Array(1 << 20)
      }
    }
    const { provider, sent } = world(() => ({ body: endless() }))
    const failure = await failing(provider.perform(REGION, CREATE, SECRETS))
    expect(failure).toMatchObject({ kind: 'unknown', code: 'AnswerTooLarge' })
    expect(given).toBeLessThanOrEqual(MOST_ANSWER + (1 << 20))
    expect(sent).toHaveLength(1)
  })
})

describe('what is told', () => {
  test('no key, whatever AWS quotes', async () => {
    const { provider, calls } = world(() =>
      errorAnswer('InvalidParameterValue', `Value (${SECRETS.get('one')}) for PreSharedKey is invalid`),
    )
    const failure = await failing(provider.perform(REGION, CREATE, SECRETS))
    expect(failure.message).toContain('Value ((a key)) for PreSharedKey')
    expect(JSON.stringify([failure, failure.stack, calls])).not.toContain(SECRETS.get('one'))
  })

  test.each([
    ['is not there', new Map()],
    ['begins with zero', new Map([...SECRETS, ['one', '0.secret_of_the_first']])],
    ['is too short', new Map([...SECRETS, ['two', 'a.short']])],
    ['has other letters', new Map([...SECRETS, ['two', 'a secret with spaces']])],
  ])('a key that %s is refused before any call', async (_, secrets) => {
    const { provider, sent } = world(emptyAnswer)
    const failure = await failing(provider.perform(REGION, CREATE, secrets))
    expect(failure).toMatchObject({ kind: 'invalid', code: 'InvalidPreSharedKey' })
    expect(failure.remedy).toContain('8 to 64')
    expect(`${failure.message}${failure.remedy}`).not.toMatch(/0\.secret|a\.short|with spaces/)
    expect(sent).toEqual([])
  })

  test('the action that a role must be allowed', async () => {
    const { provider } = world(() => errorAnswer('UnauthorizedOperation', 'You are not authorized.', 403))
    const failure = await failing(provider.perform(REGION, ACTIONS['enable-propagation'], SECRETS))
    expect(failure).toMatchObject({ kind: 'forbidden', iamAction: 'ec2:EnableVgwRoutePropagation' })
  })
})

describe('the platform', () => {
  test('the SDK’s own chain finds keys and the endpoint in the environment', async () => {
    const heard: string[] = []
    const server = createServer((request, response) => {
      heard.push(request.headers.authorization ?? '')
      request.resume().on('end', () => response.end('<AnyResponse></AnyResponse>'))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    vi.stubEnv('AWS_ENDPOINT_URL_EC2', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAFROMENVIRONMENT0')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'from-the-environment')
    await createAwsProvider().perform(REGION, ACTIONS['delete-route'], SECRETS)
    expect(heard[0]).toContain('Credential=AKIAFROMENVIRONMENT0/')
    server.closeAllConnections()
    server.close()
  })

  test('regions are kept apart, however many there are', async () => {
    const { provider, sent } = world(emptyAnswer)
    const regions = Array.from({ length: 200 }, (_, index) => `eu-central-${index % 100}`)
    await Promise.all(regions.map((region) => provider.look([{ ...SUBJECTS[0]!, region }])))
    const asked = new Set(sent.map(({ headers }) => /\/(eu-central-\d+)\/ec2/.exec(headers.authorization!)?.[1]))
    expect(asked.size).toBe(100)
  })

  test('many subjects cost no more calls than two', async () => {
    const { provider, sent } = world(emptyAnswer)
    const many = Array.from({ length: 100 }, (_, index) => ({ ...SUBJECTS[index % 2]!, cloud: `cld_${index}` }))
    const views = await Promise.all(many.map((each) => provider.look([each])))
    expect(views.every((view) => view.length === 1)).toBe(true)
    expect(sent).toHaveLength(7)
  })
})
