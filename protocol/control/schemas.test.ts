import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { intentDraftSchema, intentSchema, siteDraftSchema } from './intent.ts'
import { policyDraftSchema } from './rotation.ts'
import { addressSchema, prefixFault, prefixSchema } from './values.ts'

describe('prefixes', () => {
  test('come out in canonical form', () => {
    expect(prefixSchema.parse('10.1.0.0/16')).toBe('10.1.0.0/16')
    expect(prefixSchema.parse('192.0.2.1')).toBe('192.0.2.1/32')
    expect(prefixSchema.parse('2001:DB8:0:0::/32')).toBe('2001:db8::/32')
    expect(addressSchema.parse('2001:DB8::0:1')).toBe('2001:db8::1')
  })

  test('with host bits are refused, and the right one is named', () => {
    expect(prefixFault('10.1.2.3/16')).toBe('host bits are set: the network is 10.1.0.0/16')
    expect(prefixFault('2001:db8::1/32')).toBe('host bits are set: the network is 2001:db8::/32')
    expect(prefixFault('10.1.0.0/33')).toBe('not a network prefix, like 10.1.0.0/16')
    const parsed = siteDraftSchema.safeParse({ name: 'hq', prefixes: ['10.1.0.0/16', '10.2.3.4/8'] })
    expect(parsed.error?.issues.map(({ path, message }) => [path.join('/'), message])).toEqual([
      ['prefixes/1', 'host bits are set: the network is 10.0.0.0/8'],
    ])
  })

  test('are plain strings in JSON Schema', () => {
    expect(z.toJSONSchema(prefixSchema)).toMatchObject({ type: 'string', maxLength: 49 })
  })
})

describe('the draft of an intent', () => {
  const site = { id: 'site_00000000000000000000', name: 'hq', prefixes: ['10.1.0.0/16'] }
  const other = { id: 'site_00000000000000000001', name: 'branch', prefixes: ['10.2.0.0/16'] }
  const tunnel = { id: 'tun_00000000000000000000', name: 'hq-branch', sites: [site.id, other.id] }
  const intent = { version: 3, preferences: { topology: 'mesh' as const }, sites: [site, other], tunnels: [tunnel] }

  test('takes an intent that was read', () => {
    expect(intentDraftSchema.parse(intentSchema.parse(intent))).toEqual(intent)
  })

  test('takes names for sites, and no more than two of them to a tunnel', () => {
    const draft = {
      sites: [{ name: 'a', prefixes: ['10.1.0.0/16'] }],
      tunnels: [{ name: 't', sites: ['a', other.id] }],
    }
    expect(intentDraftSchema.parse(draft)).toMatchObject({ preferences: { topology: 'mesh' } })
    expect(intentDraftSchema.safeParse({ sites: [], tunnels: [{ name: 't', sites: ['a', 'b', 'c'] }] }).success).toBe(
      false,
    )
  })
})

test('a policy may take keys for too old from a few seconds on', () => {
  const parsed = (maxAgeHours: number) => policyDraftSchema.safeParse({ name: 'often', maxAgeHours }).success
  expect([0.001, 1, 366 * 24].map(parsed)).toEqual([true, true, true])
  expect([0.0009, 0, -1, 366 * 24 + 1].map(parsed)).toEqual([false, false, false, false])
})
