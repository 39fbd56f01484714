import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { prefix } from '../../../../protocol/net.ts'
import { blockOf } from '../wire/prefixes.ts'
import { compilePolicies, evaluate, isPolicies } from './policy.ts'
import type { PolicyRule } from './policy-types.ts'

const block = blockOf(4, [prefix('10.1.0.0/16'), prefix('10.2.0.0/16')])

function policyOf(rules: readonly PolicyRule[]) {
  const compiled = compilePolicies({ policies: { p: { rules } } })
  if (!isPolicies(compiled)) throw new Error(JSON.stringify(compiled))
  return compiled.get('p')!
}

const asn = fc.integer({ min: 1, max: 4 })
const rule: fc.Arbitrary<PolicyRule> = fc.record({
  if: fc.oneof(
    asn.map((origin) => ({ asPath: `* ${origin}` })),
    asn.map((origin) => ({ asPath: `* ${origin}`, prefixes: [{ prefix: '10.1.0.0/16' }] })),
    asn.map((origin) => ({ asPath: `${origin} *` })),
    fc.constant({ asPath: '' }),
    fc.constant({ prefixes: [{ prefix: '10.0.0.0/8', le: 32 }] }),
  ),
  set: fc.record({ localPref: fc.nat(9) }),
  do: fc.constantFrom('accept', 'reject', 'continue'),
})
const path = fc.oneof(
  fc.constant([]),
  fc.array(asn, { minLength: 1, maxLength: 3 }).map((asns) => [{ type: 'sequence' as const, asns }]),
  fc
    .tuple(fc.array(asn, { minLength: 1, maxLength: 2 }), fc.array(asn, { minLength: 1, maxLength: 2 }))
    .map(([first, set]) => [
      { type: 'sequence' as const, asns: first },
      { type: 'set' as const, asns: set },
    ]),
)

describe('rules that are found by the originating AS', () => {
  it('decide as all rules one after the other do', () => {
    const run = fc.property(fc.array(rule, { maxLength: 12 }), path, fc.nat(1), (rules, asPath, index) => {
      const policy = policyOf(rules)
      const subject = { block, index, attributes: { origin: 0 as const, asPath }, from: 'a' }
      expect(evaluate(policy, subject)).toEqual(evaluate({ ...policy, byOrigin: undefined }, subject))
    })
    fc.assert(run, { numRuns: 2_000 })
  })

  it('are few of many', () => {
    const policy = policyOf(
      Array.from({ length: 5_000 }, (_, i) => ({ if: { asPath: `* ${i + 1}` }, do: 'accept' as const })),
    )
    expect(policy.byOrigin?.of.get(77)).toHaveLength(1)
    expect(policyOf(Array.from({ length: 40 }, () => ({ do: 'continue' as const }))).byOrigin).toBeUndefined()
  })
})
