import { expect, test } from 'vitest'
import { brokenRule } from './rules.ts'
import type { Payload } from './wire/types.ts'

const sa: Payload = { type: 'SA', proposals: [] }
const nonce: Payload = { type: 'NONCE', data: new Uint8Array(16) }
const ke: Payload = { type: 'KE', group: 31, data: new Uint8Array(32) }
const vendor: Payload = { type: 'V', data: new Uint8Array(4) }

test('all that must be there, in any order, beside things that mean nothing', () => {
  expect(brokenRule('init-request', [vendor, nonce, ke, vendor, sa])).toBeUndefined()
})

test('a missing payload is named', () => {
  expect(brokenRule('init-request', [sa, ke])).toBe('the init-request has no NONCE payload')
})

test('a payload too many is named', () => {
  expect(brokenRule('rekey-ike-response', [sa, nonce, nonce, ke])).toBe('the rekey-ike-response has 2 NONCE payloads')
})

test('traffic selectors are needed for a Child SA only', () => {
  expect(brokenRule('child-request', [sa, nonce])).toContain('TSi')
  expect(brokenRule('rekey-ike-request', [sa, nonce, ke])).toBeUndefined()
})
