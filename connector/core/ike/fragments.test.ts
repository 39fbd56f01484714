import { describe, expect, test } from 'vitest'
import { FRAGMENT_LIMITS, type Fragment, FragmentReassembler } from './fragments.ts'

/** Fragment `number` of `total`, whose content is its number three times over. */
function fragment(number: number, total: number, more: Partial<Fragment> = {}): Fragment {
  const content = new Uint8Array(3).fill(number)
  return { messageId: 1, response: false, number, total, firstPayload: number === 1 ? 35 : 0, content, ...more }
}
const whole = (...numbers: number[]) => Uint8Array.from(numbers.flatMap((number) => [number, number, number]))

describe('collecting', () => {
  test.each([[[1, 2, 3]], [[3, 2, 1]], [[2, 1, 3]], [[2, 3, 1]]])('in the order %j', (order) => {
    const reassembler = new FragmentReassembler()
    const outcomes = order.map((number) => reassembler.add(fragment(number, 3)))
    expect(outcomes.slice(0, 2)).toEqual([{ type: 'kept' }, { type: 'kept' }])
    expect(outcomes[2]).toEqual({ type: 'complete', firstPayload: 35, content: whole(1, 2, 3) })
  })

  test('a message in one fragment is complete at once', () => {
    const outcome = new FragmentReassembler().add(fragment(1, 1))
    expect(outcome).toEqual({ type: 'complete', firstPayload: 35, content: whole(1) })
  })

  test('duplicates are ignored, with whatever contents', () => {
    const reassembler = new FragmentReassembler()
    reassembler.add(fragment(1, 2))
    const twin = fragment(1, 2, { content: new Uint8Array(3).fill(9), firstPayload: 41 })
    expect(reassembler.add(twin)).toEqual({ type: 'ignored' })
    expect(reassembler.add(fragment(2, 2))).toEqual({ type: 'complete', firstPayload: 35, content: whole(1, 2) })
  })

  test('requests and responses do not mix', () => {
    const reassembler = new FragmentReassembler()
    reassembler.add(fragment(1, 2))
    expect(reassembler.add(fragment(2, 2, { response: true }))).toEqual({ type: 'kept' })
    expect(reassembler.add(fragment(1, 2, { response: true }))).toMatchObject({ type: 'complete' })
    expect(reassembler.add(fragment(2, 2))).toMatchObject({ type: 'complete' })
  })
})

describe('a second attempt at the same message', () => {
  test('with more fragments begins anew', () => {
    const reassembler = new FragmentReassembler()
    reassembler.add(fragment(1, 2))
    expect(reassembler.add(fragment(3, 3))).toEqual({ type: 'kept' })
    expect(reassembler.add(fragment(2, 2))).toEqual({ type: 'ignored' })
    reassembler.add(fragment(1, 3))
    expect(reassembler.add(fragment(2, 3))).toMatchObject({ type: 'complete', content: whole(1, 2, 3) })
  })

  test('with fewer fragments is ignored', () => {
    const reassembler = new FragmentReassembler()
    reassembler.add(fragment(1, 3))
    expect(reassembler.add(fragment(2, 2))).toEqual({ type: 'ignored' })
    expect(reassembler.add(fragment(1, 1))).toEqual({ type: 'ignored' })
  })

  test('after completion is ignored', () => {
    const reassembler = new FragmentReassembler()
    reassembler.add(fragment(1, 1))
    expect(reassembler.add(fragment(1, 1))).toEqual({ type: 'ignored' })
    expect(reassembler.add(fragment(1, 4))).toEqual({ type: 'ignored' })
    expect(reassembler.add(fragment(1, 1, { messageId: 0 }))).toEqual({ type: 'ignored' })
    expect(reassembler.add(fragment(1, 1, { messageId: 2 }))).toMatchObject({ type: 'complete' })
  })
})

describe('several messages', () => {
  test('a later one displaces an earlier one, not the other way round', () => {
    const reassembler = new FragmentReassembler()
    const early = fragment(1, 2, { messageId: 4 })
    reassembler.add(early)
    reassembler.add(fragment(1, 2, { messageId: 5 }))
    expect(early.content).toEqual(new Uint8Array(3))
    expect(reassembler.add(fragment(2, 2, { messageId: 4 }))).toEqual({ type: 'ignored' })
    expect(reassembler.add(fragment(2, 2, { messageId: 5 }))).toMatchObject({ type: 'complete' })
  })
})

describe('limits', () => {
  test('numbers that cannot be', () => {
    const reassembler = new FragmentReassembler()
    for (const bad of [
      fragment(0, 2),
      fragment(3, 2),
      fragment(1, 0),
      fragment(2, 2, { firstPayload: 35 }),
      fragment(1.5, 2),
    ])
      expect(reassembler.add(bad)).toEqual({ type: 'refused' })
  })

  test('too many fragments', () => {
    const reassembler = new FragmentReassembler()
    const { maxFragments } = FRAGMENT_LIMITS
    expect(reassembler.add(fragment(1, maxFragments + 1))).toEqual({ type: 'refused' })
    expect(reassembler.add(fragment(1, 65_535))).toEqual({ type: 'refused' })
    expect(reassembler.add(fragment(1, maxFragments))).toEqual({ type: 'kept' })
  })

  test('a refused attempt with more fragments leaves the one under way alone', () => {
    const reassembler = new FragmentReassembler()
    reassembler.add(fragment(1, 2))
    expect(reassembler.add(fragment(1, 1000))).toEqual({ type: 'refused' })
    expect(reassembler.add(fragment(2, 2))).toMatchObject({ type: 'complete' })
  })

  test('too many bytes drop the message', () => {
    const reassembler = new FragmentReassembler({ maxFragments: 4, maxBytes: 8 })
    const first = fragment(1, 3)
    reassembler.add(first)
    reassembler.add(fragment(2, 3))
    expect(reassembler.add(fragment(3, 3))).toEqual({ type: 'refused' })
    expect(first.content).toEqual(new Uint8Array(3))
    expect(reassembler.add(fragment(1, 2))).toEqual({ type: 'kept' })
  })
})

test('contents are wiped on completion, on refusal and on request', () => {
  const zeros = new Uint8Array(3)
  const reassembler = new FragmentReassembler()
  const [first, second, twin, kept] = [fragment(1, 2), fragment(2, 2), fragment(1, 2), fragment(1, 2, { messageId: 2 })]
  reassembler.add(first)
  reassembler.add(twin)
  expect(twin.content).toEqual(zeros)
  reassembler.add(second)
  expect([first.content, second.content]).toEqual([zeros, zeros])
  reassembler.add(kept)
  reassembler.wipe()
  expect(kept.content).toEqual(zeros)
  expect(reassembler.add(fragment(2, 2, { messageId: 2 }))).toEqual({ type: 'kept' })
})
