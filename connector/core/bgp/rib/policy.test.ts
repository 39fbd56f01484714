import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Prefix, parsePrefix, prefixContains, prefixRange } from '../../../../protocol/net.ts'
import { blockOf } from '../wire/prefixes.ts'
import type { AsPath, PathAttributes } from '../wire/types.ts'
import { type AsPathPattern, matchesAsPath, parseAsPathPattern } from './as-path-pattern.ts'
import { communityText, parseCommunityPattern } from './communities.ts'
import { type CompiledPolicy, compilePolicies, evaluate, isPolicies } from './policy.ts'
import { applyActions, setsNextHopSelf } from './policy-actions.ts'
import type { PolicyConditions, PolicyDocument, PolicyRule, PrefixRule } from './policy-types.ts'
import { compilePrefixList, inPrefixList, prefixRuleFault } from './prefix-list.ts'

const PLAIN: PathAttributes = { origin: 0, asPath: [{ type: 'sequence', asns: [65001, 65002] }] }

describe('prefix lists', () => {
  test.each([
    [{ prefix: '10.0.0.0/8' }, ['10.0.0.0/8'], ['10.0.0.0/9', '10.1.0.0/16', '11.0.0.0/8']],
    [{ prefix: '10.0.0.0/8', ge: 16 }, ['10.1.0.0/16', '10.1.1.1/32'], ['10.0.0.0/8', '10.0.0.0/15', '11.0.0.0/16']],
    [{ prefix: '10.0.0.0/8', le: 24 }, ['10.0.0.0/8', '10.1.1.0/24'], ['10.1.1.0/25', '0.0.0.0/0']],
    [{ prefix: '10.0.0.0/8', ge: 16, le: 24 }, ['10.9.0.0/16', '10.9.9.0/24'], ['10.0.0.0/8', '10.9.9.0/25']],
    [{ prefix: '0.0.0.0/0', le: 32 }, ['0.0.0.0/0', '203.0.113.7/32'], ['::/0']],
    [{ prefix: '::/0', ge: 48, le: 48 }, ['2001:db8:1::/48'], ['2001:db8::/32', '10.0.0.0/8']],
    [{ prefix: '2001:db8::/33', le: 64 }, ['2001:db8:7fff::/48'], ['2001:db8:8000::/48', '2001:db8::/32']],
  ] as const)('%o', (rule: PrefixRule, inside: readonly string[], outside: readonly string[]) => {
    const list = compilePrefixList([rule])
    const isIn = (text: string) => inPrefixList(list, blockOf(text.includes(':') ? 6 : 4, [parsePrefix(text)!]), 0)
    expect(inside.filter((text) => !isIn(text))).toEqual([])
    expect(outside.filter(isIn)).toEqual([])
  })

  test('agree with the definition, over random lists and prefixes', () => {
    const rule = fc.tuple(somePrefix(), fc.option(fc.nat(32)), fc.option(fc.nat(32))).map(([prefix, ge, le]) => ({
      prefix,
      ...(ge === null ? {} : { ge }),
      ...(le === null ? {} : { le }),
    }))
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), fc.array(somePrefix(), { maxLength: 20 }), (rules, prefixes) => {
        const good = rules.filter((candidate) => prefixRuleFault(candidate) === undefined)
        const list = compilePrefixList(good)
        for (const prefix of prefixes) {
          expect(inPrefixList(list, blockOf(4, [prefix]), 0)).toBe(good.some((entry) => covers(entry, prefix)))
        }
      }),
    )
  })

  test('a rule that cannot be is told so', () => {
    expect(prefixRuleFault({ prefix: '10.0.0.1/8' })).toContain('10.0.0.0/8')
    expect(prefixRuleFault({ prefix: 'ten' })).toContain('not an IPv4')
    expect(prefixRuleFault({ prefix: '10.0.0.0/8', ge: 7 })).toContain('from 8 to 32')
    expect(prefixRuleFault({ prefix: '10.0.0.0/8', ge: 24, le: 16 })).toContain('in order')
    expect(prefixRuleFault({ prefix: '10.0.0.0/8', le: 33 })).toContain('in order')
    expect(prefixRuleFault({ prefix: '2001:db8::/32', le: 128 })).toBeUndefined()
  })
})

describe('AS path patterns', () => {
  test.each([
    ['', [[]], [[1]]],
    ['*', [[], [1], [1, 2, 3]], []],
    ['65001', [[65001]], [[], [65001, 1], [1]]],
    ['65001 *', [[65001], [65001, 1, 2]], [[1, 65001]]],
    ['* 65001', [[65001], [1, 2, 65001], [65001, 65001]], [[65001, 1]]],
    ['* 65001 *', [[1, 65001, 2]], [[1, 2]]],
    [
      '1 ? 3',
      [[1, 2, 3]],
      [
        [1, 3],
        [1, 2, 2, 3],
      ],
    ],
    [
      '* 1 2 * 1 3',
      [
        [1, 2, 1, 3],
        [1, 1, 2, 1, 2, 1, 3],
      ],
      [
        [1, 2, 3],
        [2, 1, 3],
      ],
    ],
    ['64512-65534 *', [[64512], [65534, 1]], [[64511], [65535]]],
  ] as const)('"%s"', (text, yes: readonly (readonly number[])[], no: readonly (readonly number[])[]) => {
    const pattern = parseAsPathPattern(text) as AsPathPattern
    const matches = (asns: readonly number[]) =>
      matchesAsPath(pattern, asns.length === 0 ? [] : [{ type: 'sequence', asns }])
    expect(yes.filter((asns) => !matches(asns))).toEqual([])
    expect(no.filter(matches)).toEqual([])
  })

  test('a set is one AS, any of its members', () => {
    const path: AsPath = [
      { type: 'sequence', asns: [1] },
      { type: 'set', asns: [2, 3] },
    ]
    expect(matchesAsPath(parseAsPathPattern('1 3') as AsPathPattern, path)).toBe(true)
    expect(matchesAsPath(parseAsPathPattern('1 2 3') as AsPathPattern, path)).toBe(false)
  })

  test('agree with a recursive matcher', () => {
    const word = fc.oneof(fc.nat(3).map(String), fc.constant('?'), fc.constant('*'))
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), fc.array(fc.nat(3), { maxLength: 8 }), (words, asns) => {
        const pattern = parseAsPathPattern(words.join(' ')) as AsPathPattern
        expect(matchesAsPath(pattern, [{ type: 'sequence', asns }])).toBe(slow(words, asns))
      }),
      { numRuns: 2_000 },
    )
  })

  test('what is none is told so', () => {
    for (const text of ['x', '1-', '2-1', '4294967296', '65001*', '^65001$']) {
      expect(parseAsPathPattern(text)).toContain('is not an AS number')
    }
    expect(parseAsPathPattern('* '.repeat(65))).toContain('at most 64')
  })
})

describe('conditions', () => {
  const tagged: PathAttributes = {
    ...PLAIN,
    communities: [0xfde90064, 0xffffff01],
    largeCommunities: [[65001, 1, 2]],
    med: 50,
  }

  test.each([
    [{ family: 4 }, true],
    [{ family: 6 }, false],
    [{ from: ['a', 'b'] }, true],
    [{ from: ['local'] }, false],
    [{ prefixes: 'ours' }, true],
    [{ prefixes: [{ prefix: '10.0.0.0/8' }] }, false],
    [{ asPath: '65001 *' }, true],
    [{ asPathLength: { max: 1 } }, false],
    [{ asPathLength: { min: 2, max: 2 } }, true],
    [{ anyCommunity: ['65001:100', '1:1'] }, true],
    [{ allCommunities: ['65001:100', '1:1'] }, false],
    [{ allCommunities: ['65001:*', 'no-export', '65001:*:2'] }, true],
    [{ anyCommunity: ['65001:*:3'] }, false],
    [{ origin: 'igp' }, true],
    [{ origin: 'egp' }, false],
    [{ med: { min: 50 } }, true],
    [{ med: { max: 49 } }, false],
    [{ localPref: { min: 100, max: 100 } }, true],
    [{ family: 4, origin: 'egp' }, false],
  ] as const)('%o: %s', (conditions, holds) => {
    const policy = compiled([{ if: conditions as PolicyConditions, do: 'accept' }])
    expect(evaluate(policy, subject(tagged)).outcome).toBe(holds ? 'accept' : 'reject')
  })

  test('a route without communities or MED', () => {
    const policy = compiled([{ if: { anyCommunity: ['*:*', '*:*:*'] }, do: 'accept' }])
    expect(evaluate(policy, subject(PLAIN)).outcome).toBe('reject')
    expect(evaluate(compiled([{ if: { med: { max: 0 } }, do: 'accept' }]), subject(PLAIN)).outcome).toBe('accept')
  })
})

describe('rules', () => {
  test('the first that decides decides; continue collects what it sets; a rejection sets nothing', () => {
    const policy = compiled([
      { set: { localPref: 200 }, do: 'continue' },
      { if: { asPath: '* 65009' }, set: { med: 1 }, do: 'accept' },
      { name: 'mine', if: { asPath: '* 65002' }, set: { med: 2 }, do: 'accept' },
      { do: 'reject' },
    ])
    const verdict = evaluate(policy, subject(PLAIN))
    expect(verdict).toMatchObject({ outcome: 'accept', rule: 'mine' })
    expect(applyActions(PLAIN, verdict.actions, 1)).toEqual({ ...PLAIN, localPref: 200, med: 2 })
    expect(evaluate(policy, subject({ ...PLAIN, asPath: [] }))).toEqual({ outcome: 'reject', rule: '4', actions: [] })
  })

  test('where none decides: reject, or what the policy says', () => {
    expect(evaluate(compiled([]), subject(PLAIN))).toEqual({ outcome: 'reject', rule: 'otherwise', actions: [] })
    expect(evaluate(compiled([{ set: { med: 1 }, do: 'continue' }], 'accept'), subject(PLAIN))).toMatchObject({
      outcome: 'accept',
      actions: [{ actions: { med: 1 } }],
    })
  })
})

describe('actions', () => {
  const tagged: PathAttributes = {
    ...PLAIN,
    med: 5,
    communities: [0x00010001, 0xfde90064],
    largeCommunities: [[1, 2, 3]],
  }

  test.each([
    [{ med: 'none' }, { med: undefined }],
    [{ med: 0 }, { med: 0 }],
    [{ prepend: { times: 2 } }, { asPath: [{ type: 'sequence', asns: [64999, 64999, 65001, 65002] }] }],
    [{ prepend: { times: 1, asn: 7 } }, { asPath: [{ type: 'sequence', asns: [7, 65001, 65002] }] }],
    [
      { communities: { add: ['65001:100', '0:5', '0:1:2'] } },
      {
        communities: [5, 0x00010001, 0xfde90064],
        largeCommunities: [
          [0, 1, 2],
          [1, 2, 3],
        ],
      },
    ],
    [{ communities: { delete: ['1:*'] } }, { communities: [0xfde90064] }],
    [{ communities: { delete: ['*:*', '1:2:*'] } }, { communities: undefined, largeCommunities: undefined }],
    [{ communities: { set: ['no-export'] } }, { communities: [0xffffff01], largeCommunities: undefined }],
    [{ communities: { delete: ['1:1'], add: ['1:1'] } }, {}],
  ] as const)('%o', (set, changed) => {
    const verdict = evaluate(compiled([{ set, do: 'accept' }]), subject(tagged))
    const result: Record<string, unknown> = { ...tagged, ...changed }
    for (const [key, value] of Object.entries(result)) if (value === undefined) delete result[key]
    expect(applyActions(tagged, verdict.actions, 64999)).toStrictEqual(result)
  })

  test('the last word on the next hop counts', () => {
    const self = (rules: PolicyRule[]) => setsNextHopSelf(evaluate(compiled(rules), subject(PLAIN)).actions)
    expect(self([{ do: 'accept' }])).toBe(false)
    expect(
      self([
        { set: { nextHopSelf: true }, do: 'continue' },
        { set: { med: 1 }, do: 'accept' },
      ]),
    ).toBe(true)
    expect(
      self([
        { set: { nextHopSelf: true }, do: 'continue' },
        { set: { nextHopSelf: false }, do: 'accept' },
      ]),
    ).toBe(false)
  })
})

describe('communities as text', () => {
  test.each(['65001:100', '65001:*', '*:*:7', 'graceful-shutdown', 'no-export', '4294967295:0:1'])(
    '%s is one',
    (text) => {
      expect(parseCommunityPattern(text)).toBeDefined()
    },
  )

  test.each(['', '1', '65536:1', '1:2:3:4', 'a:b', '-1:2', 'toString', '4294967296:0:0', '1: 2'])(
    '"%s" is none',
    (text) => {
      expect(parseCommunityPattern(text)).toBeUndefined()
    },
  )

  test('and back', () => {
    expect(communityText(0xffff0000)).toBe('graceful-shutdown')
    expect(communityText(0xfde90064)).toBe('65001:100')
  })
})

describe('a document with faults', () => {
  test('has all of them told at once, each with its place', () => {
    const document = {
      prefixLists: { a: [{ prefix: '10.0.0.1/8' }, { prefix: 5 }] },
      policies: {
        p: {
          rules: [
            { if: { prefixes: 'b', asPath: 65001, color: 'red', family: 5, med: { min: 2, max: 1 } }, do: 'maybe' },
            { set: { localPref: -1, prepend: { times: 99 }, communities: { add: ['1:*'], delete: ['x'] } } },
            'accept',
          ],
          otherwise: 'perhaps',
        },
        q: { rules: 7 },
      },
      more: 1,
    }
    const faults = compilePolicies(document as unknown as PolicyDocument)
    if (isPolicies(faults)) throw new Error('accepted')
    expect(faults.map(({ path }) => path).sort()).toEqual([
      'more',
      'policies.p.otherwise',
      'policies.p.rules[0].do',
      'policies.p.rules[0].if.asPath',
      'policies.p.rules[0].if.color',
      'policies.p.rules[0].if.family',
      'policies.p.rules[0].if.med',
      'policies.p.rules[0].if.prefixes',
      'policies.p.rules[1].do',
      'policies.p.rules[1].set.communities.add[0]',
      'policies.p.rules[1].set.communities.delete[0]',
      'policies.p.rules[1].set.localPref',
      'policies.p.rules[1].set.prepend.times',
      'policies.p.rules[2]',
      'policies.q.rules',
      'prefixLists.a[0]',
      'prefixLists.a[1].prefix',
    ])
  })

  test('of any shape gives faults and no exception', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (rules, rest) => {
        for (const document of [
          rest,
          { policies: rest },
          { policies: { p: { rules } } },
          { policies: { p: { rules: [rules] } } },
        ]) {
          compilePolicies(document as PolicyDocument)
        }
      }),
    )
  })
})

function compiled(rules: readonly PolicyRule[], otherwise?: 'accept' | 'reject'): CompiledPolicy {
  const prefixLists = { ours: [{ prefix: '10.0.0.0/8', le: 24 }] }
  const policies = compilePolicies({
    prefixLists,
    policies: { p: { rules, ...(otherwise === undefined ? {} : { otherwise }) } },
  })
  if (!isPolicies(policies)) throw new Error(JSON.stringify(policies))
  return policies.get('p')!
}

function subject(attributes: PathAttributes) {
  return { block: blockOf(4, [parsePrefix('10.1.2.0/24')!]), index: 0, attributes, from: 'a' }
}

function somePrefix(): fc.Arbitrary<Prefix> {
  const word = fc.constantFrom(0x0a000000, 0x0a010000, 0x0a0101ff, 0xc0a80000, 0)
  return fc.tuple(word, fc.nat(32)).map(([value, bits]) => {
    const quad = [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.')
    return parsePrefix(`${quad}/${bits}`)!
  })
}

function covers({ prefix, ge, le }: PrefixRule, tested: Prefix): boolean {
  const outer = prefixRange(parsePrefix(prefix)!)
  const inner = prefixRange(tested)
  const from = ge ?? outer.bits
  const to = le ?? (ge === undefined ? outer.bits : 32)
  if (inner.bits < from || inner.bits > to) return false
  return prefixContains(parsePrefix(prefix)!, inner.first)
}

function slow(words: readonly string[], asns: readonly number[]): boolean {
  const [word, ...others] = words
  if (word === undefined) return asns.length === 0
  if (word === '*') return asns.length > 0 ? slow(words, asns.slice(1)) || slow(others, asns) : slow(others, asns)
  if (asns.length === 0 || (word !== '?' && Number(word) !== asns[0])) return false
  return slow(others, asns.slice(1))
}
