import { describe, expect, test } from 'vitest'
import { cloudDraftSchema } from '../../../protocol/control/cloud.ts'
import { espProposals, ikeProposals } from './external.ts'
import {
  chooseInside,
  faultsOf,
  insideFault,
  insideHosts,
  isAmazonAs,
  isPsk,
  isPublic,
  makePsk,
  overlaps,
  pskFingerprint,
} from './rules.ts'

const DRAFT = {
  name: 'aws',
  site: 'hq',
  region: 'eu-central-1',
  target: { kind: 'vpc', vpc: 'vpc-0123456789abcdef0' },
}
const faults = (more: object) =>
  faultsOf(cloudDraftSchema.parse({ ...DRAFT, ...more })).map(({ pointer, detail }) => `${pointer}: ${detail}`)

describe('AWS’s rules', () => {
  test.each([
    ['12345678', true],
    ['1234567', false],
    ['0234567890', false],
    ['a.b_c.d_e', true],
    ['with space', false],
    ['a'.repeat(64), true],
    ['a'.repeat(65), false],
  ])('PSK %s: %s', (text, good) => expect(isPsk(text)).toBe(good))

  test('a key that is made obeys them, whatever the random octets are', () => {
    let turn = 0
    for (const first of Array(256).keys()) {
      const psk = makePsk((length) => new Uint8Array(length).fill((first + turn++) & 255))
      expect(isPsk(psk)).toBe(true)
      expect(psk).toHaveLength(48)
    }
  })

  test('a fingerprint tells keys apart', () => {
    expect(pskFingerprint('one')).toMatch(/^[0-9a-f]{16}$/)
    expect(pskFingerprint('one')).not.toBe(pskFingerprint('two'))
  })

  test.each([
    ['169.254.10.0/30', undefined],
    ['169.254.169.252/30', 'reserved'],
    ['169.254.5.0/30', 'reserved'],
    ['169.254.10.0/29', 'size /30'],
    ['10.0.0.0/30', 'size /30'],
  ])('inside %s: %s', (cidr, words) => {
    if (words === undefined) expect(insideFault(cidr)).toBeUndefined()
    else expect(insideFault(cidr)).toContain(words)
  })

  test.each([
    ['198.51.100.7', true],
    ['10.0.0.1', false],
    ['172.31.0.1', false],
    ['100.64.0.1', false],
    ['224.0.0.5', false],
    ['2001:db8::1', false],
  ])('public address %s: %s', (address, good) => expect(isPublic(address)).toBe(good))

  test.each([
    [64_511, false],
    [64_512, true],
    [65_535, false],
    [4_199_999_999, false],
    [4_294_967_294, true],
  ])('AS %s of a gateway: %s', (as, good) => expect(isAmazonAs(as)).toBe(good))

  test('all faults of a draft at once', () => {
    const found = faults({
      gateway: { address: '10.1.1.1' },
      target: { kind: 'transit-gateway', transitGateway: 'tgw-0123456789abcdef0' },
      insideCidrs: ['169.254.0.0/30', '169.254.0.0/30'],
      options: { ikeLifetimeS: 900, childLifetimeS: 900, rekeyMarginS: 600, groups: [20, 20] },
    })
    expect(found.map((each) => each.split(':')[0])).toEqual([
      '/insideCidrs/0',
      '/insideCidrs/1',
      '/insideCidrs/1',
      '/gateway/address',
      '/remote',
      '/options/childLifetimeS',
      '/options/rekeyMarginS',
      '/options/groups',
    ])
    expect(faults({})).toEqual([])
  })
})

test('inside CIDRs avoid what is taken, and each other', () => {
  const first = chooseInside([], 0)!
  expect(first).toEqual(['169.254.171.0/30', '169.254.171.4/30'])
  expect(chooseInside(first, 0)).toEqual(['169.254.171.8/30', '169.254.171.12/30'])
  const all: string[] = []
  for (;;) {
    const next = chooseInside(all, all.length)
    if (next === undefined) break
    all.push(...next)
  }
  expect(new Set(all).size).toBe(all.length)
  expect(all).toHaveLength(84 * 64)
})

test('AWS has the first host, we the second', () => {
  expect(insideHosts('169.254.171.8/30')).toEqual({ peer: '169.254.171.9', local: '169.254.171.10' })
})

test('overlaps', () => {
  expect(overlaps('10.0.0.0/8', '10.1.0.0/16')).toBe(true)
  expect(overlaps('10.1.0.0/16', '10.0.0.0/8')).toBe(true)
  expect(overlaps('10.0.0.0/16', '10.1.0.0/16')).toBe(false)
  expect(overlaps('::/0', '10.1.0.0/16')).toBe(false)
})

test('proposals in our words', () => {
  const { options } = cloudDraftSchema.parse({
    ...DRAFT,
    options: { encryption: ['AES256-GCM-16', 'AES128'], groups: [20, 14] },
  })
  expect(ikeProposals(options)).toEqual([
    'aes256gcm16-prfsha384-ecp384',
    'aes256gcm16-prfsha384-modp2048',
    'aes128-sha384-prfsha384-ecp384',
    'aes128-sha384-prfsha384-modp2048',
  ])
  expect(espProposals(options)).toEqual(['aes256gcm16-ecp384-noesn', 'aes256gcm16-modp2048-noesn'])
})
