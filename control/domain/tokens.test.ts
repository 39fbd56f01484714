import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromBase64url, toBase64url } from '../../protocol/control/base64url.ts'
import { makeId } from '../../protocol/control/ids.ts'
import { joinTokenSchema } from '../../protocol/control/join.ts'
import { ROLES } from '../../protocol/control/resources.ts'
import { equalInConstantTime } from './bytes.ts'
import {
  hashSecret,
  makeAdminToken,
  makeApiToken,
  makeFunctionToken,
  makeJoinToken,
  parseApiToken,
  parseFunctionToken,
  parseJoinToken,
  secretMatches,
} from './tokens.ts'

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const id20 = bytes(20)

test('an API token tells role, network and id, and its hash is that of its secret', () => {
  fc.assert(
    fc.property(fc.constantFrom(...ROLES), id20, id20, bytes(32), (role, net, tok, random) => {
      const network = makeId('network', net)
      const id = makeId('token', tok)
      const token = makeApiToken({ role, network, id, secret: random })
      const parsed = parseApiToken(token.text)
      expect(parsed).toMatchObject({ role, network, id })
      expect(secretMatches(parsed!.secret, token.hash)).toBe(true)
      expect(token.hash).not.toContain(parsed!.secret)
    }),
  )
})

test('a join token is taken by the schema of joining and parsed as one', () => {
  fc.assert(
    fc.property(id20, id20, bytes(32), (net, join, random) => {
      const network = makeId('network', net)
      const id = makeId('join', join)
      const { text, hash } = makeJoinToken({ network, id, secret: random })
      expect(joinTokenSchema.safeParse(text).success).toBe(true)
      const parsed = parseJoinToken(text)
      expect(parsed).toMatchObject({ network, id })
      expect(hashSecret(parsed!.secret)).toBe(hash)
    }),
  )
})

test('the token of a function is parsed as one and as nothing else', () => {
  fc.assert(
    fc.property(id20, id20, bytes(32), (net, own, random) => {
      const network = makeId('network', net)
      const id = makeId('function', own)
      const { text, hash } = makeFunctionToken({ network, id, secret: random })
      const parsed = parseFunctionToken(text)
      expect(parsed).toMatchObject({ network, id })
      expect(hashSecret(parsed!.secret)).toBe(hash)
      expect([parseApiToken(text), parseJoinToken(text)]).toEqual([undefined, undefined])
      for (const other of [
        `${text}A`,
        text.slice(0, -1),
        ` ${text}`,
        `${text}@https://x`,
        text.replace('function', 'join'),
      ])
        expect(parseFunctionToken(other)).toBeUndefined()
    }),
  )
})

test('the admin token belongs to no network', () => {
  const { text, hash } = makeAdminToken(new Uint8Array(32).fill(7))
  const parsed = parseApiToken(text)
  expect(parsed?.role).toBe('admin')
  expect(secretMatches(parsed!.secret, hash)).toBe(true)
})

test('a secret with one other character does not match', () => {
  fc.assert(
    fc.property(bytes(32), fc.nat(255), (random, bit) => {
      const other = random.slice()
      other[bit >> 3]! ^= 1 << (bit & 7)
      expect(secretMatches(toBase64url(other), makeAdminToken(random).hash)).toBe(false)
    }),
  )
})

test('what is no token is none', () => {
  const good = makeAdminToken(new Uint8Array(32)).text
  for (const text of [
    '',
    'ist_',
    `${good}A`,
    good.slice(0, -1),
    good.replace('admin', 'root'),
    ` ${good}`,
    `${good}\n`,
  ])
    expect([parseApiToken(text), parseJoinToken(text)]).toEqual([undefined, undefined])
  fc.assert(
    fc.property(
      fc.string({ maxLength: 120 }),
      (text) => parseApiToken(text) === undefined && parseJoinToken(text) === undefined,
    ),
  )
})

test('wrong lengths and foreign ids are faults of the program', () => {
  expect(() => makeAdminToken(new Uint8Array(31))).toThrow(RangeError)
  expect(() => makeJoinToken({ network: 'con_x', id: 'join_x', secret: new Uint8Array(32) })).toThrow(TypeError)
})

test('base64url agrees with Buffer and has one text for each value', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (value) => {
      const text = toBase64url(value)
      expect(text).toBe(Buffer.from(value).toString('base64url'))
      expect(fromBase64url(text)).toEqual(value)
    }),
  )
  for (const text of ['A', 'AB', 'AAB', 'AA==', 'A+A/', 'AAAAA']) expect(fromBase64url(text)).toBeUndefined()
})

test('comparison sees every difference', () => {
  expect(equalInConstantTime('', '')).toBe(true)
  expect(equalInConstantTime('abc', 'abd')).toBe(false)
  expect(equalInConstantTime('abc', 'abcd')).toBe(false)
  expect(equalInConstantTime('abc', 'abc')).toBe(true)
})
