import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { toBase64url } from '../../../protocol/control/base64url.ts'
import type { SessionClaims } from '../../../protocol/control/grant.ts'
import { TokenVerifier } from './tokens.ts'

const NETWORK = 'net_00000000000000000000'
const KEY = new Uint8Array(32).fill(7)
const NOW = 1_800_000_000_000

const ours = generateKeyPairSync('ed25519')
const older = generateKeyPairSync('ed25519')
const foreign = generateKeyPairSync('ed25519')
const x = (key: KeyObject) => key.export({ format: 'jwk' }).x!

const CLAIMS: SessionClaims = {
  use: 'isthmus-session',
  network: NETWORK,
  function: 'fn_00000000000000000000',
  name: 'orders',
  site: 'hq',
  services: ['erp'],
  key: toBase64url(KEY),
  iat: NOW - 1000,
  exp: NOW + 599_000,
}

function token(changes: object = {}, by: KeyObject = ours.privateKey, head: object = { alg: 'EdDSA' }): string {
  const text = [head, { ...CLAIMS, ...changes }].map((part) => toBase64url(Buffer.from(JSON.stringify(part)))).join('.')
  return `${text}.${toBase64url(sign(null, Buffer.from(text), by))}`
}

const verifier = new TokenVerifier({
  network: NETWORK,
  site: () => 'hq',
  keys: () => [x(ours.publicKey), x(older.publicKey), 'A'.repeat(43)],
  now: () => NOW,
})

function outcome(text: string, key = KEY): string {
  const verdict = verifier.authorize(text, key)
  return 'refused' in verdict ? verdict.refused.code : verdict.identity.name
}

describe('session tokens', () => {
  it('gives the identity that a good one speaks of', () => {
    const identity = { function: CLAIMS.function, name: 'orders', services: ['erp'], expiresAt: CLAIMS.exp }
    expect(verifier.authorize(token(), KEY)).toEqual({ identity })
  })

  test.each([
    ['by an older key of the network', token({}, older.privateKey), 'orders'],
    ['with the newer name of the algorithm', token({}, ours.privateKey, { alg: 'Ed25519' }), 'orders'],
    ['by a foreign key', token({}, foreign.privateKey), 'token-refused'],
    ['of another network', token({ network: 'net_11111111111111111111' }), 'token-refused'],
    ['for another site', token({ site: 'branch' }), 'token-refused'],
    ['for another key', token({ key: toBase64url(new Uint8Array(32)) }), 'token-refused'],
    ['for another use', token({ use: 'isthmus-join' }), 'token-refused'],
    ['that has expired', token({ iat: NOW - 600_000, exp: NOW }), 'token-expired'],
    ['that is good for too long', token({ exp: NOW + 3_600_000 }), 'token-refused'],
    ['from the future', token({ iat: NOW + 60_000, exp: NOW + 600_000 }), 'token-refused'],
    ['with more in it than we know', token({ more: 1 }), 'token-refused'],
    ['without a signature', `${token().split('.').slice(0, 2).join('.')}.`, 'token-refused'],
    ['with alg none', token({}, ours.privateKey, { alg: 'none' }), 'token-refused'],
    ['with another alg', token({}, ours.privateKey, { alg: 'HS256' }), 'token-refused'],
    [
      'that wants something understood',
      token({}, ours.privateKey, { alg: 'EdDSA', crit: ['x'], x: 1 }),
      'token-refused',
    ],
    ['that is none', 'x', 'token-refused'],
    ['that is empty', '', 'token-refused'],
    ['that is too long', `${token({ name: 'a'.repeat(63) })}${'A'.repeat(5000)}`, 'token-refused'],
  ])('one %s', (_, text, expected) => {
    expect(outcome(text)).toBe(expected)
  })

  it('is bound to the key of the handshake', () => {
    expect(outcome(token(), new Uint8Array(32).fill(8))).toBe('token-refused')
  })

  it('refuses one of which any character was changed, and never throws', () => {
    const good = token()
    const alphabet = 'ABCXYZabcxyz0189-_.= \u00e9'
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.constantFrom(...alphabet), (at, character) => {
        fc.pre(good[at] !== character)
        expect(outcome(good.slice(0, at) + character + good.slice(at + 1))).toBe('token-refused')
      }),
      { numRuns: 2000 },
    )
  })
})
