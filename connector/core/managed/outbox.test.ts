import { expect, test } from 'vitest'
import type { ConnectorReport, FromConnector } from '../../../protocol/control/link.ts'
import { OUTBOX_PACE, Outbox } from './outbox.ts'

const report = (version: number): ConnectorReport => {
  return { version, startedAt: 1, at: 2, software: '1.0.0', addresses: [], tunnels: [] }
}
const event = (at: number) => ({ at, code: 'code', message: 'message' })

function drain(outbox: Outbox, now: number): FromConnector[] {
  const messages: FromConnector[] = []
  for (let next = outbox.next(now); next !== undefined; next = outbox.next(now)) messages.push(next)
  return messages
}

test('nothing to say needs no time', () => {
  const outbox = new Outbox()
  outbox.restart(0)
  expect(outbox.readyAt).toBeUndefined()
  expect(drain(outbox, 0)).toEqual([])
})

test('the newest report goes before events, in whose place none is lost', () => {
  const outbox = new Outbox()
  outbox.restart(0)
  outbox.addEvent(event(1))
  outbox.addReport(report(1))
  outbox.addReport(report(2))
  outbox.addEvent(event(2))
  expect(drain(outbox, 0)).toEqual([
    { type: 'report', report: report(2) },
    { type: 'event', event: event(1) },
    { type: 'event', event: event(2) },
  ])
  expect(outbox.report).toEqual(report(2))
})

test('a burst goes at once, the rest at the pace, and never more than the control plane takes', () => {
  const outbox = new Outbox()
  outbox.restart(0)
  for (let i = 0; i < 60; i++) outbox.addEvent(event(i))
  expect(drain(outbox, 0)).toHaveLength(OUTBOX_PACE.burst - 1)
  const times: number[] = []
  while (outbox.readyAt !== undefined) {
    const now = outbox.readyAt
    expect(outbox.next(now - 1)).toBeUndefined()
    expect(drain(outbox, now)).toHaveLength(1)
    times.push(now)
  }
  expect(times).toHaveLength(60 - (OUTBOX_PACE.burst - 1))
  expect(times.at(-1)).toBeCloseTo((times.length * 1000) / OUTBOX_PACE.perSecond)
})

test('while nothing can be said, the oldest events give way; a new link hears the report again', () => {
  const outbox = new Outbox()
  outbox.addReport(report(1))
  for (let i = 0; i < 130; i++) outbox.addEvent(event(i))
  expect(outbox.takeEvents().map(({ at }) => at)).toEqual(Array.from({ length: 100 }, (_, i) => i + 30))
  outbox.restart(5)
  expect(drain(outbox, 5)).toEqual([{ type: 'report', report: report(1) }])
  outbox.restart(6)
  expect(drain(outbox, 6)).toEqual([{ type: 'report', report: report(1) }])
})
