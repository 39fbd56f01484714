import { expect, test } from 'vitest'
import { establishedAfter } from './trials.ts'
import { failoverOf } from './trials-routing.ts'

const line = (event: string, milliseconds: number) =>
  JSON.stringify({ level: 'info', time: new Date(1_900_000_000_000 + milliseconds).toISOString(), event })

test('the time to establish is that of the first call and the first Child SA', () => {
  const log = [
    'a line for people',
    '{"cut off',
    line('started', 0),
    line('initiating', 5),
    line('child-established', 17),
    line('initiating', 400),
    line('child-established', 900),
  ]
  expect(establishedAfter(log.join('\n'))).toBe(12)
})

test('milliseconds with fractions are cut to tenths', () => {
  const log = '{"event":"initiating","time":1000.125}\n{"event":"child-established","time":1007.3}\n'
  expect(establishedAfter(log)).toBe(7.2)
})

test.each([
  ['no line at all', ''],
  ['no end', line('initiating', 5)],
  ['no beginning', line('child-established', 5)],
  ['no time', '{"event":"initiating"}\n{"event":"child-established"}'],
  ['the wrong order', `${line('initiating', 9)}\n${line('child-established', 5)}`],
])('%s is an error with its cause', (_, log) => {
  expect(() => establishedAfter(log)).toThrow('the log of hq does not tell')
})

test('a failover lasts as long as the longest run of pings without an answer', () => {
  const summary = { sent: 300, received: 295, duplicates: 0, lossRatio: 5 / 300 }
  expect(failoverOf({ ...summary, missing: [10, 60, 61, 62, 200] })).toEqual({ ms: 30, lostPackets: 5 })
  expect(failoverOf({ ...summary, received: 300, missing: [] })).toEqual({ ms: 0, lostPackets: 0 })
})
