import { describe, expect, test } from 'vitest'
import {
  cipherSizes,
  encryptionTransform,
  espSuite,
  groupId,
  groupName,
  ikeCipher,
  parseEspProposal,
  parseIkeProposal,
  prfLength,
  suiteName,
} from './names.ts'
import type { EncryptionName, GroupName, IntegrityName, PrfName } from './types.ts'

const ENCRYPTIONS: EncryptionName[] = ['aes128gcm16', 'aes256gcm16', 'chacha20poly1305', 'aes128', 'aes256']
const INTEGRITIES: IntegrityName[] = ['sha256', 'sha384', 'sha512']
const PRFS: PrfName[] = ['prfsha256', 'prfsha384', 'prfsha512']
const GROUPS: GroupName[] = ['modp2048', 'modp3072', 'modp4096', 'ecp256', 'ecp384', 'ecp521', 'x25519']

test('groups have IANA numbers, and back', () => {
  expect(GROUPS.map(groupId)).toEqual([14, 15, 16, 19, 20, 21, 31])
  expect(GROUPS.map((name) => groupName(groupId(name)))).toEqual(GROUPS)
  expect(groupName(2)).toBeUndefined()
})

test('encryption transforms carry a key length where the RFC has one', () => {
  expect(ENCRYPTIONS.map(encryptionTransform)).toEqual([
    { id: 20, keyLength: 128 },
    { id: 20, keyLength: 256 },
    { id: 28 },
    { id: 12, keyLength: 128 },
    { id: 12, keyLength: 256 },
  ])
})

test('sizes of keys, IVs and checksums', () => {
  expect(cipherSizes(ikeCipher({ encryption: 'aes128gcm16' }))).toEqual({
    key: 16,
    salt: 4,
    integKey: 0,
    iv: 8,
    icv: 16,
    block: 1,
  })
  expect(cipherSizes(ikeCipher({ encryption: 'chacha20poly1305' }))).toMatchObject({ key: 32, salt: 4, iv: 8, icv: 16 })
  const cbc = (integrity: IntegrityName) => cipherSizes(ikeCipher({ encryption: 'aes256', integrity }))
  expect(cbc('sha256')).toEqual({ key: 32, salt: 0, integKey: 32, iv: 16, icv: 16, block: 16 })
  expect(cbc('sha384')).toMatchObject({ integKey: 48, icv: 24 })
  expect(cbc('sha512')).toMatchObject({ integKey: 64, icv: 32 })
  expect(PRFS.map(prfLength)).toEqual([32, 48, 64])
})

test('engine suites', () => {
  expect(espSuite('aes128gcm16')).toBe('aes-128-gcm')
  expect(espSuite('aes256gcm16')).toBe('aes-256-gcm')
  expect(espSuite('chacha20poly1305')).toBe('chacha20-poly1305')
})

describe('IKE suites as text', () => {
  test.each([
    ['aes128gcm16-prfsha256-x25519', { encryption: 'aes128gcm16', prf: 'prfsha256', group: 'x25519' }],
    ['aes256gcm16-prfsha384-ecp384', { encryption: 'aes256gcm16', prf: 'prfsha384', group: 'ecp384' }],
    [
      'aes256-sha256-prfsha256-ecp256',
      { encryption: 'aes256', integrity: 'sha256', prf: 'prfsha256', group: 'ecp256' },
    ],
  ])('%s', (text, proposal) => {
    expect(parseIkeProposal(text)).toEqual(proposal)
  })

  test('the PRF follows the integrity algorithm where it is left out', () => {
    expect(parseIkeProposal('aes256-sha512-modp2048')).toMatchObject({ integrity: 'sha512', prf: 'prfsha512' })
    expect(parseIkeProposal(' CHACHA20POLY1305-ecp256 ')).toMatchObject({ prf: 'prfsha256' })
  })

  test('every suite reads back from its own text', () => {
    for (const encryption of ENCRYPTIONS)
      for (const integrity of encryption.length > 6 ? [undefined] : INTEGRITIES)
        for (const prf of PRFS)
          for (const group of GROUPS) {
            const suite = { encryption, ...(integrity === undefined ? {} : { integrity }), prf, group }
            expect(parseIkeProposal(suiteName(suite))).toEqual(suite)
          }
  })

  test.each([
    ['aes128gcm16-prfsha256', 'no key exchange group'],
    ['aes128gcm16-sha256-x25519', 'by itself'],
    ['aes256-prfsha256-x25519', 'needs an integrity algorithm'],
    ['sha256-prfsha256-x25519', 'no encryption algorithm'],
    ['aes128gcm16-aes256gcm16-x25519', 'both aes128gcm16 and aes256gcm16'],
    ['aes128gcm16-prfsha256-modp1024', "'modp1024' is not an algorithm"],
    ['aes128gcm16-x25519-esn', 'belongs to ESP'],
    ['constructor-x25519', "'constructor' is not an algorithm"],
    ['', "'' is not an algorithm"],
  ])('%s is refused in words', (text, words) => {
    const result = parseIkeProposal(text)
    expect('error' in result && result.error).toContain(words)
  })
})

describe('ESP suites as text', () => {
  test.each([
    ['aes128gcm16', { encryption: 'aes128gcm16', esn: false }],
    ['aes256gcm16-x25519', { encryption: 'aes256gcm16', group: 'x25519', esn: false }],
    ['chacha20poly1305-modp2048-esn', { encryption: 'chacha20poly1305', group: 'modp2048', esn: true }],
  ])('%s, and back', (text, proposal) => {
    expect(parseEspProposal(text)).toEqual(proposal)
    expect(suiteName(parseEspProposal(text) as never)).toBe(text)
  })

  test('noesn says the default', () => {
    expect(parseEspProposal('aes128gcm16-noesn')).toEqual({ encryption: 'aes128gcm16', esn: false })
  })

  test.each([
    ['aes128-sha256', 'use aes128gcm16'],
    ['aes128gcm16-prfsha256', "'prfsha256' has no place"],
    ['aes128gcm16-sha256', "'sha256' has no place"],
    ['aes128gcm16-esn-noesn', 'both esn and noesn'],
    ['x25519', 'no encryption algorithm'],
  ])('%s is refused in words', (text, words) => {
    const result = parseEspProposal(text)
    expect('error' in result && result.error).toContain(words)
  })
})
