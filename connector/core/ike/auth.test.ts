import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { AUTH_METHOD_PSK, type PskAuthInput, pskAuth, verifyPskAuth } from './auth.ts'

const input: PskAuthInput = {
  prf: 'prfsha256',
  psk: Uint8Array.from(Buffer.from('example')),
  skP: new Uint8Array(32).fill(1),
  message: new Uint8Array(300).map((_, i) => i & 0xff),
  peerNonce: new Uint8Array(32).fill(2),
  id: { idType: 1, data: Uint8Array.of(192, 168, 77, 1) },
}

describe.each([
  ['prfsha256', 'sha256'],
  ['prfsha384', 'sha384'],
  ['prfsha512', 'sha512'],
] as const)('%s', (prf, hash) => {
  const hmac = (key: Uint8Array, ...data: Uint8Array[]) => createHmac(hash, key).update(Buffer.concat(data)).digest()

  test('the formula of RFC 7296 section 2.15', () => {
    const macedId = hmac(input.skP, Uint8Array.of(1, 0, 0, 0, 192, 168, 77, 1))
    const padded = hmac(input.psk, Buffer.from('Key Pad for IKEv2', 'ascii'))
    const expected = hmac(padded, input.message, input.peerNonce, macedId)
    expect(Buffer.from(pskAuth(nodeCrypto, { ...input, prf })).equals(expected)).toBe(true)
  })

  test('each of the ingredients matters', () => {
    const auth = { method: AUTH_METHOD_PSK, data: pskAuth(nodeCrypto, { ...input, prf }) }
    expect(verifyPskAuth(nodeCrypto, { ...input, prf }, auth)).toBe(true)
    const others: Partial<PskAuthInput>[] = [
      { psk: Uint8Array.from(Buffer.from('Example')) },
      { skP: new Uint8Array(32).fill(3) },
      { message: input.message.subarray(1) },
      { peerNonce: new Uint8Array(32).fill(4) },
      { id: { idType: 2, data: input.id.data } },
      { id: { idType: 1, data: Uint8Array.of(192, 168, 77, 2) } },
    ]
    for (const other of others) expect(verifyPskAuth(nodeCrypto, { ...input, prf, ...other }, auth)).toBe(false)
  })
})

test('other methods and other lengths never verify', () => {
  const data = pskAuth(nodeCrypto, input)
  expect(verifyPskAuth(nodeCrypto, input, { method: 1, data })).toBe(false)
  expect(verifyPskAuth(nodeCrypto, input, { method: 13, data: new Uint8Array(0) })).toBe(false)
  expect(verifyPskAuth(nodeCrypto, input, { method: AUTH_METHOD_PSK, data: data.subarray(1) })).toBe(false)
  expect(verifyPskAuth(nodeCrypto, input, { method: AUTH_METHOD_PSK, data: new Uint8Array(0) })).toBe(false)
})

test('the inputs stay as they were', () => {
  pskAuth(nodeCrypto, input)
  expect(Buffer.from(input.psk).toString()).toBe('example')
  expect(input.skP).toEqual(new Uint8Array(32).fill(1))
})
