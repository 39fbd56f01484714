import { expect, test } from 'vitest'
import { DOMAIN_REFUSALS, MAX_FAULTS, pointer, refusalOf, refuse } from './refusal.ts'

test('a refusal carries the status, title and remedy of its code, and what this case adds', () => {
  const refusal = refuse('stale', { detail: 'the site has revision 4' })
  expect(refusal).toBeInstanceOf(Error)
  expect(refusal).toMatchObject({ code: 'stale', ...DOMAIN_REFUSALS.stale, detail: 'the site has revision 4' })
  expect(refusal.message).toBe('stale: the site has revision 4')
  expect(refuse('stale', { remedy: 'wait' }).remedy).toBe('wait')
  expect(refuse('not-found').message).toBe(`not-found: ${DOMAIN_REFUSALS['not-found'].title}`)
})

test('all faults go into one refusal, bounded, and none is no refusal', () => {
  expect(refusalOf([])).toBeUndefined()
  expect(refusalOf([{ pointer: '/name', detail: 'taken' }])?.detail).toBe('taken')
  const many = Array.from({ length: MAX_FAULTS + 5 }, (_, i) => ({ pointer: `/sites/${i}`, detail: `fault ${i}` }))
  const refusal = refusalOf(many)
  expect(refusal?.errors).toHaveLength(MAX_FAULTS)
  expect(refusal?.detail).toBe(`fault 0 (and ${MAX_FAULTS + 4} more faults)`)
})

test('faults of one code give their refusal that code; mixed ones do not', () => {
  const taken = { pointer: '/name', detail: 'taken', code: 'duplicate-name' } as const
  expect(refusalOf([taken, taken])).toMatchObject({ code: 'duplicate-name', status: 409 })
  expect(refusalOf([taken, taken])?.errors?.[0]).toEqual({ pointer: '/name', detail: 'taken' })
  expect(refusalOf([taken, { pointer: '/sites/0', detail: 'unknown' }])?.code).toBe('invalid-request')
})

test('pointers escape as RFC 6901 says', () => {
  expect(pointer()).toBe('')
  expect(pointer('sites', 3, 'a/b~c')).toBe('/sites/3/a~1b~0c')
})
