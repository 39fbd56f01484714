import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson, sameJson } from '../../protocol/control/canonical.ts'
import { type AuditEvent, auditEventSchema } from '../../protocol/control/resources.ts'
import { type AuditDraft, auditGenesis, chainEvents, hashEvent, verifyEvents } from './audit.ts'

const NETWORK = 'net_0123456789abcdefghjk'
const NONE = { seq: 0, hash: '' }

const draft = (n: number): AuditDraft => ({
  at: 1000 + n,
  actor: 'token:tok_0123456789abcdefghjk',
  action: 'sites.create',
  target: `site_${n}`,
  after: { name: `s${n}`, prefixes: ['10.0.0.0/8'] },
})

const chainOf = (length: number) =>
  chainEvents(
    NETWORK,
    NONE,
    Array.from({ length }, (_, n) => draft(n)),
  )

describe('the chain', () => {
  test('verifies, whole and in pieces, and after a round trip through JSON', () => {
    const events = chainOf(20)
    expect(events.every((event) => auditEventSchema.safeParse(event).success)).toBe(true)
    const head = { seq: 20, hash: events[19]!.hash }
    expect(verifyEvents(NETWORK, events)).toEqual({ ok: true, head })
    const stored = JSON.parse(JSON.stringify(events)) as AuditEvent[]
    const first = verifyEvents(NETWORK, stored.slice(0, 7))
    expect(first.ok && verifyEvents(NETWORK, stored.slice(7), first.head)).toEqual({ ok: true, head })
  })

  test('appending to a head is the same as making all at once', () => {
    const all = chainOf(5)
    const more = chainEvents(NETWORK, { seq: 3, hash: all[2]!.hash }, [draft(3), draft(4)])
    expect(more).toEqual(all.slice(3))
  })

  test('an empty log is good', () => {
    expect(verifyEvents(NETWORK, [])).toEqual({ ok: true, head: { seq: 0, hash: auditGenesis(NETWORK) } })
  })

  test('of another network breaks at the first event', () => {
    expect(verifyEvents('net_kjhgfedcba9876543210', chainOf(3))).toMatchObject({ ok: false, brokenAt: 1 })
  })

  test('says where somebody changed, removed, inserted or swapped', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 9 }),
        fc.constantFrom('change', 'rehash', 'remove', 'insert', 'swap'),
        (at, how) => {
          const events = chainOf(10)
          const victim = events[at]!
          if (how === 'change') events[at] = { ...victim, after: { name: 'forged' } }
          if (how === 'rehash') {
            const forged = { ...victim, actor: 'system' }
            events[at] = { ...forged, hash: hashEvent(forged) }
          }
          if (how === 'remove') events.splice(at, 1)
          if (how === 'insert') events.splice(at, 0, { ...victim, target: 'more' })
          if (how === 'swap') events.splice(at, 2, ...events.slice(at, at + 2).reverse())
          const verdict = verifyEvents(NETWORK, events)
          const cutsEnd = how === 'remove' && at === 9
          const hashGood = how === 'rehash' && at === 9
          const swapOfNothing = how === 'swap' && at === 9
          if (cutsEnd || hashGood || swapOfNothing) {
            expect(verdict.ok).toBe(true)
            return
          }
          // A rehashed event is good in itself; the one behind it does not follow.
          expect(verdict).toMatchObject({ ok: false, brokenAt: how === 'rehash' ? at + 2 : at + 1 })
        },
      ),
    )
  })

  test('every field counts', () => {
    const [event] = chainOf(1)
    const changes: Partial<AuditEvent>[] = [{ at: 1 }, { actor: 'x' }, { action: 'x' }, { target: 'x' }, { before: 1 }]
    for (const change of changes) expect(hashEvent({ ...event!, ...change })).not.toBe(event!.hash)
    expect(hashEvent({ ...event!, requestId: 'r' })).not.toBe(event!.hash)
  })
})

describe('canonical JSON', () => {
  test('does not depend on the order of keys, and survives JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value)
        expect(canonicalJson(JSON.parse(JSON.stringify(value)))).toBe(text)
        expect(canonicalJson(JSON.parse(text))).toBe(text)
      }),
    )
    expect(canonicalJson({ b: 1, a: [{ d: undefined, c: null }, undefined] })).toBe('{"a":[{"c":null},null],"b":1}')
  })

  test('the same text is the same value, and another is not', () => {
    const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.record({ a: fc.constantFrom(undefined, null, 0, 1) }))
    fc.assert(
      fc.property(value, value, (left, right) => {
        expect(sameJson(left, right)).toBe(canonicalJson(left) === canonicalJson(right))
        expect(sameJson(left, structuredClone(left))).toBe(true)
      }),
      { numRuns: 1000 },
    )
    expect(sameJson({ a: undefined, b: 1 }, { b: 1, c: undefined })).toBe(true)
    expect(sameJson({ a: 1, b: undefined }, { b: 1, a: undefined })).toBe(false)
    expect(sameJson([], {})).toBe(false)
  })

  test('tells different values apart', () => {
    expect(canonicalJson({ a: '1' })).not.toBe(canonicalJson({ a: 1 }))
    expect(canonicalJson(['a', 'b'])).not.toBe(canonicalJson(['ab']))
    expect(canonicalJson({ 'a":1,"b': 2 })).not.toBe(canonicalJson({ a: 1, b: 2 }))
  })
})
