import { describe, expect, it } from 'vitest'
import { CE, decapsulatedEcn, ECT0, ECT1, NOT_ECT, outerTos, reassembledEcn } from './ecn.ts'

const DROP = undefined

/** RFC 6040 figure 4: rows are inner, columns outer Not-ECT, ECT(0), ECT(1), CE. */
const FIGURE_4 = [
  [NOT_ECT, [NOT_ECT, NOT_ECT, NOT_ECT, DROP]],
  [ECT0, [ECT0, ECT0, ECT1, CE]],
  [ECT1, [ECT1, ECT1, ECT1, CE]],
  [CE, [CE, CE, CE, CE]],
] as const

describe('decapsulation', () => {
  for (const [inner, row] of FIGURE_4) {
    for (const [column, outer] of [NOT_ECT, ECT0, ECT1, CE].entries()) {
      it(`inner ${inner}, outer ${outer} gives ${row[column] ?? 'a drop'}`, () => {
        expect(decapsulatedEcn(inner, outer)).toBe(row[column])
      })
    }
  }
})

describe('encapsulation', () => {
  it('copies every ECN codepoint (RFC 6040 figure 3, normal mode)', () => {
    for (const ecn of [NOT_ECT, ECT0, ECT1, CE]) expect(outerTos(0xb8 | ecn, false)).toBe(ecn)
  })

  it('copies the DSCP where asked for', () => {
    expect(outerTos(0xb8 | ECT0, true)).toBe(0xb8 | ECT0)
  })
})

describe('reassembly (RFC 3168 section 5.3)', () => {
  it.each([
    [[ECT0, ECT0], ECT0],
    [[ECT0, CE], CE],
    [[CE, ECT1], CE],
    [[NOT_ECT, NOT_ECT], NOT_ECT],
    [[NOT_ECT, CE], DROP],
    [[CE, NOT_ECT, CE], DROP],
  ])('%j gives %s', (pieces, expected) => {
    expect(reassembledEcn(pieces[0]!, pieces)).toBe(expected)
  })
})
