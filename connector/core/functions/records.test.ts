import { expect, it } from 'vitest'
import { type FlowRecord, FlowRecords, MAX_RECORDS } from './records.ts'

const RECORD: FlowRecord = {
  startedAt: 1,
  endedAt: 2,
  session: 's1',
  stream: 1,
  via: 'direct',
  function: 'fn_00000000000000000000',
  functionName: 'orders',
  kind: 'http',
  host: 'erp',
  port: 8000,
  service: 'erp',
  bytesIn: 10,
  bytesOut: 20,
  outcome: 'ok',
}

it('keeps the last ones in order, and counts all', () => {
  const records = new FlowRecords()
  for (let i = 0; i < MAX_RECORDS + 5; i++) records.closed({ ...RECORD, endedAt: i }, false)
  expect(records.records.map(({ endedAt }) => endedAt)).toEqual(Array.from({ length: MAX_RECORDS }, (_, i) => i + 5))
  expect(records.counts.get('erp')!.outcomes).toEqual({ ok: MAX_RECORDS + 5 })
})

it('counts by service what is open, what has passed, and how it ended', () => {
  const records = new FlowRecords()
  records.opened('erp')
  records.opened('erp')
  records.moved('erp', 5, 7)
  records.closed(RECORD, true)
  records.closed({ ...RECORD, outcome: 'reset' }, true)
  records.closed({ ...RECORD, endedAt: 9, outcome: 'overloaded', cause: 'Too much.' }, false)
  const { service: _, ...nowhere } = RECORD
  records.closed({ ...nowhere, outcome: 'unknown-service' }, false)
  expect(records.counts.get('erp')).toEqual({
    open: 0,
    bytesIn: 5,
    bytesOut: 7,
    outcomes: { ok: 1, reset: 1, overloaded: 1 },
    lastProblem: { at: 9, code: 'overloaded', cause: 'Too much.' },
  })
  expect(records.counts.get('-')!.outcomes).toEqual({ 'unknown-service': 1 })
})
