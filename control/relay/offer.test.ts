import { describe, expect, test } from 'vitest'
import { toBase64url } from '../../protocol/control/base64url.ts'
import { readOffer } from './offer.ts'

const flight = (length: number) => Uint8Array.from({ length }, (_, n) => n)
const f = (length: number) => `f.${toBase64url(flight(length))}`

describe('the subprotocols of a function', () => {
  test.each([
    ['token only', 'isthmus.stream.1, t.a.b.c', { token: 'a.b.c' }],
    ['any order, any spaces', `t.x,${f(3)}  ,isthmus.stream.1`, { token: 'x', first: flight(3) }],
    ['others besides', 'chat, isthmus.stream.1, t.x', { token: 'x' }],
    ['the longest flight', `isthmus.stream.1, t.x, ${f(6000)}`, { token: 'x', first: flight(6000) }],
    ['the longest token', `isthmus.stream.1, t.${'x'.repeat(8192)}`, { token: 'x'.repeat(8192) }],
  ])('%s', (_, header, offer) => {
    expect(readOffer(header)).toEqual(offer)
  })

  test.each([
    ['none', undefined],
    ['empty', ''],
    ['no token', `isthmus.stream.1, ${f(3)}`],
    ['an empty token', 'isthmus.stream.1, t.'],
    ['two tokens', 'isthmus.stream.1, t.x, t.y'],
    ['two flights', `isthmus.stream.1, t.x, ${f(3)}, ${f(4)}`],
    ['not ours', 't.x'],
    ['of a later version', 'isthmus.stream.2, t.x'],
    ['an empty flight', 'isthmus.stream.1, t.x, f.'],
    ['a flight that is no base64url', 'isthmus.stream.1, t.x, f.A'],
    ['a flight with bits to spare', 'isthmus.stream.1, t.x, f.AB'],
    ['a flight that is too long', `isthmus.stream.1, t.x, ${f(6001)}`],
    ['a token that is too long', `isthmus.stream.1, t.${'x'.repeat(8193)}`],
  ])('not those: %s', (_, header) => {
    expect(readOffer(header)).toBeUndefined()
  })
})
