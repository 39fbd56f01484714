import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KNOWN_CODES } from './failure-codes.ts'
import { failureOf } from './failures.ts'

const told = (error: unknown, mutating = true, action = 'CreateVpnConnection') =>
  failureOf(error, { action, mutating, secrets: ['a.secret_key'] })
/** As the SDK throws what AWS says. */
const said = (name: string, message = 'Words of AWS.') => Object.assign(new Error(message), { name, $fault: 'client' })

describe('codes', () => {
  test.each([
    ['RequestLimitExceeded', 'later', 'later'],
    ['Throttling', 'later', 'later'],
    ['IncorrectState', 'later', 'later'],
    ['InvalidVpnGatewayState', 'later', 'later'],
    ['Gateway.NotAttached', 'later', 'later'],
    ['InternalError', 'unknown', 'later'],
    ['Unavailable', 'unknown', 'later'],
    ['SomethingNew', 'unknown', 'later'],
    ['Unknown', 'unknown', 'later'],
    ['InvalidVpnConnectionID.NotFound', 'gone', 'gone'],
    ['InvalidRoute.NotFound', 'gone', 'gone'],
    ['InvalidTransitGatewayID.NotFound', 'gone', 'gone'],
    ['RouteAlreadyExists', 'exists', 'exists'],
    ['InvalidCustomerGateway.DuplicateIpAddress', 'exists', 'exists'],
    ['AuthFailure', 'credentials', 'credentials'],
    ['ExpiredToken', 'credentials', 'credentials'],
    ['CredentialsProviderError', 'credentials', 'credentials'],
    ['UnauthorizedOperation', 'forbidden', 'forbidden'],
    ['VpnConnectionLimitExceeded', 'quota', 'quota'],
    ['VpnGatewayLimitExceeded', 'quota', 'quota'],
    ['SomethingLimitExceeded', 'quota', 'quota'],
    ['DependencyViolation', 'in-use', 'in-use'],
    ['InvalidParameterValue', 'invalid', 'invalid'],
    ['InvalidParameterCombination', 'invalid', 'invalid'],
    ['MissingParameter', 'invalid', 'invalid'],
    ['UnknownParameter', 'invalid', 'invalid'],
    ['UnsupportedOperation', 'unsupported', 'unsupported'],
    ['constructor', 'unknown', 'later'],
  ])('%s of a change is %s, of a read %s', (code, change, read) => {
    expect(told(said(code))).toMatchObject({ kind: change, code })
    expect(told(said(code), false).kind).toBe(read)
  })

  test('each says what to do', () => {
    const silent = [...KNOWN_CODES, 'X'].filter((code) => told(said(code)).remedy.length < 10)
    expect(silent).toEqual([])
  })

  test('quotas are named as Service Quotas names them', () => {
    expect(told(said('VpnConnectionLimitExceeded')).remedy).toContain('"Site-to-Site VPN connections per Region"')
    expect(told(said('CustomerGatewayLimitExceeded')).remedy).toContain('"Customer gateways per Region"')
  })
})

describe('what did not get through', () => {
  test.each([
    [Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' })],
    [Object.assign(new Error('getaddrinfo ENOTFOUND ec2.xx.amazonaws.com'), { code: 'ENOTFOUND' })],
    [Object.assign(new Error('Request aborted'), { name: 'AbortError' })],
    [Object.assign(new Error('aborted'), { code: 'ECONNRESET' })],
    [Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })],
    [new TypeError('fetch failed')],
    [new Error('Network connection lost.')],
  ])('%s', (error) => {
    expect(told(error).kind).toBe('unknown')
    const read = told(error, false, 'DescribeVpcs')
    expect(read.kind).toBe('later')
    expect(read.message).toContain('DescribeVpcs')
    expect(read.remedy).toMatch(/reaches AWS/)
  })

  test('an answer of something else', () => {
    const html = Object.assign(new Error('unexpected end\n  Deserialization error: to see the raw response, inspect'), {
      $metadata: { httpStatusCode: 502 },
    })
    const failure = told(html)
    expect(failure.kind).toBe('unknown')
    expect(failure.message).toBe('What answered CreateVpnConnection was not EC2 (Error): unexpected end')
  })
})

describe('permissions', () => {
  test('the action is the call’s, or what AWS names', () => {
    expect(told(said('UnauthorizedOperation', 'You are not authorized.'))).toMatchObject({
      iamAction: 'ec2:CreateVpnConnection',
      remedy: expect.stringContaining('Allow ec2:CreateVpnConnection'),
    })
    const named =
      'You are not authorized to perform this operation. User: arn:aws:iam::1:user/x is not authorized to perform: ec2:CreateTags on resource: arn:aws:ec2:… Encoded authorization failure message: c2VjcmV0'
    const failure = told(said('UnauthorizedOperation', named))
    expect(failure.iamAction).toBe('ec2:CreateTags')
    expect(`${failure.message}${failure.remedy}`).not.toContain('c2VjcmV0')
    const role = said('AccessDenied', 'User: x is not authorized to perform: sts:AssumeRole on resource: y')
    expect(told(role).iamAction).toBe('sts:AssumeRole')
  })

  test('without credentials there is a remedy, on all platforms', () => {
    const node = Object.assign(new Error('Could not load credentials from any providers'), {
      name: 'CredentialsProviderError',
    })
    for (const error of [node, new Error('Credential is missing')]) {
      expect(told(error)).toMatchObject({
        kind: 'credentials',
        remedy: expect.stringContaining('Give the control plane'),
      })
    }
  })
})

test('no key is quoted, whoever quotes it', () => {
  const failure = told(said('InvalidParameterValue', "Value 'a.secret_key' for PreSharedKey is invalid."))
  expect(failure.message).toBe(
    "AWS answered CreateVpnConnection with InvalidParameterValue: Value '(a key)' for PreSharedKey is invalid.",
  )
  expect(JSON.stringify({ ...failure, stack: failure.stack })).not.toContain('a.secret_key')
})

test('whatever is thrown becomes a failure of limited length', () => {
  const thrown = fc.oneof(
    fc.anything(),
    fc.record({ name: fc.anything(), message: fc.anything(), code: fc.anything(), $metadata: fc.anything() }),
    fc.record({
      name: fc.string({ maxLength: 2_000 }),
      message: fc.string({ maxLength: 2_000 }),
      $fault: fc.anything(),
    }),
  )
  fc.assert(
    fc.property(thrown, fc.boolean(), (error, mutating) => {
      const { kind, code, message, remedy } = told(error, mutating)
      expect(message.length).toBeLessThan(500)
      expect(remedy.length).toBeGreaterThan(0)
      expect(code).toMatch(/^[\w.-]{1,64}$/)
      if (!mutating) expect(kind).not.toBe('unknown')
    }),
  )
})
