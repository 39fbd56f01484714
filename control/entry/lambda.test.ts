import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Lite } from '../store/testing/pglite.ts'
import { createLambda } from './lambda.ts'
import { lambdaSecrets } from './lambda-secrets.ts'
import { lambdaCases, requestEvent, SCHEDULED, SECRETS } from './testing/lambda-cases.ts'

let lite: Lite
beforeAll(async () => {
  lite = await Lite.start()
}, 120_000)
afterAll(() => lite.stop())

lambdaCases('PostgreSQL, within the process', () => lite.fresh())

describe('an instance', () => {
  const log = { info() {}, warn() {}, error() {} }

  test.each([
    ['nothing', undefined],
    ['an event of another kind', { Records: [{ eventSource: 'aws:s3' }] }],
    ['payload format 1.0', { version: '1.0', requestContext: { identity: { sourceIp: '203.0.113.5' } } }],
  ])('takes %s for a mistake', async (_, event) => {
    const handler = createLambda({ secrets: async () => SECRETS, openSql: () => lite.open(), log })
    await expect(handler(event)).rejects.toThrow(/neither a request/)
  })

  test('that could not start tries again with the next event', async () => {
    let asked = 0
    const secrets = async () => {
      if (++asked === 1) throw new Error('not now')
      return SECRETS
    }
    const handler = createLambda({ secrets, openSql: () => lite.open(), log })
    await expect(handler(SCHEDULED)).rejects.toThrow('not now')
    const answer = await handler(requestEvent('/healthz', {}))
    expect(answer).toMatchObject({ statusCode: 200 })
    await handler(requestEvent('/healthz', {}))
    expect(asked).toBe(2)
  })

  test('whose keys are no keys does not start', async () => {
    const handler = createLambda({
      secrets: async () => ({ ...SECRETS, keyring: 'nonsense' }),
      openSql: () => lite.open(),
      log,
    })
    await expect(handler(SCHEDULED)).rejects.toMatchObject({ name: 'StoreFailure', code: 'sealed' })
  })
})

describe('its secrets', () => {
  test('are variables where no secret is named', async () => {
    const env = { DATABASE_URL: 'postgres://a', KEYRING: 'kek', ADMIN_TOKEN: 'ist' }
    expect(await lambdaSecrets(env)).toEqual({ databaseUrl: 'postgres://a', keyring: 'kek', adminToken: 'ist' })
    await expect(lambdaSecrets({})).rejects.toMatchObject({ code: 'access' })
  })

  test('come from Secrets Manager by its extension', async () => {
    const asked: (string | undefined)[] = []
    const server = createServer((request, response) => {
      asked.push(request.url, String(request.headers['x-aws-parameters-secrets-token']))
      response.end(JSON.stringify({ Name: 'isthmus', SecretString: JSON.stringify(SECRETS) }))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const env = {
      SECRET_ID: 'arn:aws:secretsmanager:eu-central-1:1:secret:isthmus',
      PARAMETERS_SECRETS_EXTENSION_HTTP_PORT: String(port),
      AWS_SESSION_TOKEN: 'session',
    }
    expect(await lambdaSecrets(env)).toEqual(SECRETS)
    expect(asked).toEqual([
      '/secretsmanager/get?secretId=arn%3Aaws%3Asecretsmanager%3Aeu-central-1%3A1%3Asecret%3Aisthmus',
      'session',
    ])
    server.close()
    await once(server, 'close')
    await expect(lambdaSecrets(env)).rejects.toMatchObject({
      code: 'access',
      message: expect.stringContaining('does not answer'),
    })
  })

  test.each([
    ['a refusal', () => new Response('no', { status: 400 }), /HTTP status 400/],
    ['no JSON', () => new Response('{"SecretString":"hush"}'), /no JSON/],
    ['no database', () => new Response('{"SecretString":"{}"}'), /address of the database/],
  ])('%s is told without what is secret', async (_, answer, reason) => {
    const failing = lambdaSecrets({ SECRET_ID: 'isthmus' }, async () => answer())
    await expect(failing).rejects.toMatchObject({ code: 'access', message: expect.stringMatching(reason) })
    await expect(failing).rejects.not.toMatchObject({ message: expect.stringContaining('hush') })
  })
})
