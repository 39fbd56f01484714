import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { parseJson, readBody } from './body.ts'
import { etagOf, matches, parseIfMatch, parseIfNoneMatch } from './etag.ts'
import { faultsOf } from './faults.ts'
import { RateLimiter } from './rate-limit.ts'

describe('entity tags', () => {
  test.each([
    ['"3"', [3]],
    [' "3" , "5" ', [3, 5]],
    ['"x", "3"', [3]],
    ['W/"3"', []],
    ['*', 'any'],
    ['3', undefined],
    ['"3" "4"', undefined],
    ['', undefined],
    ['"03"', []],
  ])('If-Match %s', (header, expected) => {
    expect(parseIfMatch(header)).toEqual(expected)
  })

  test('If-None-Match compares weakly', () => {
    expect(parseIfNoneMatch('W/"3", "4"')).toEqual([3, 4])
  })

  test('what was given matches, nothing else does', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (given, other) => {
        const match = parseIfMatch(etagOf(given))!
        expect(matches(match, given)).toBe(true)
        expect(matches(match, other)).toBe(given === other)
      }),
    )
  })
})

describe('a token bucket', () => {
  test('never grants more than its burst and its rate, whatever the order of times', () => {
    const times = fc.array(fc.nat({ max: 60_000 }), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(
        times,
        fc.integer({ min: 1, max: 20 }),
        fc.double({ min: 0.1, max: 20, noNaN: true }),
        (all, burst, perSecond) => {
          const limiter = new RateLimiter({ perSecond, burst })
          const sorted = [...all].sort((left, right) => left - right)
          const granted = sorted.filter((at) => limiter.take('a', at).granted).length
          expect(granted).toBeLessThanOrEqual(burst + ((sorted.at(-1)! - sorted[0]!) * perSecond) / 1000 + 1e-6)
        },
      ),
    )
  })

  test('keeps its word: after Retry-After the next request is granted', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.double({ min: 0.05, max: 5, noNaN: true }), (burst, perSecond) => {
        const limiter = new RateLimiter({ perSecond, burst })
        let last = limiter.take('a', 0)
        while (last.granted) last = limiter.take('a', 0)
        expect(limiter.take('b', 0).granted).toBe(true)
        expect(limiter.take('a', last.seconds * 1000 + 1).granted).toBe(true)
      }),
    )
  })

  test('forgets those that are full before those that are in use', () => {
    const limiter = new RateLimiter({ perSecond: 1, burst: 2 })
    limiter.take('busy', 0)
    limiter.take('busy', 0)
    for (let i = 0; i < 60_000; i++) limiter.take(`one-${i}`, 0)
    expect(limiter.take('one-59999', 0).remaining).toBe(0)
  })
})

describe('bodies', () => {
  const request = (body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
    new Request('http://localhost/', { method: 'POST', body, headers })

  test('are read whole up to the limit', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), fc.nat({ max: 64 }), async (bytes, limit) => {
        const read = await readBody(request(new Uint8Array(bytes)), limit)
        expect(read).toEqual(bytes.length > limit ? { fault: 'too-large' } : { bytes: new Uint8Array(bytes) })
      }),
    )
  })

  test('any bytes are JSON or a fault in words', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => new TextEncoder().encode(text)),
        ),
        (bytes) => {
          const parsed = parseJson(bytes)
          if ('fault' in parsed) expect(parsed.fault).toMatch(/^the body /)
          else expect(parsed.value).toEqual(JSON.parse(new TextDecoder().decode(bytes)))
        },
      ),
    )
  })

  test('brackets within strings do not nest', () => {
    expect(parseJson(new TextEncoder().encode(JSON.stringify({ a: '['.repeat(100), b: '\\"{' })))).toHaveProperty(
      'value',
    )
    expect(parseJson(new TextEncoder().encode(`${'['.repeat(33)}${']'.repeat(33)}`))).toHaveProperty('fault')
    expect(parseJson(new TextEncoder().encode(`${'['.repeat(32)}${']'.repeat(32)}`))).toHaveProperty('value')
  })
})

test('faults point at their fields (RFC 6901), unknown ones by name', () => {
  const schema = z.strictObject({ 'a/b': z.strictObject({ 'c~d': z.int() }), list: z.array(z.string()) })
  const { error } = schema.safeParse({ 'a/b': { 'c~d': 'x', more: 1 }, list: ['x', 1], 'e/f': 1 })
  expect(
    faultsOf(error!)
      .map(({ pointer }) => pointer)
      .sort(),
  ).toEqual(['/a~1b/c~0d', '/a~1b/more', '/e~1f', '/list/1'])
})
