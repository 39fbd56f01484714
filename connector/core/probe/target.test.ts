import { describe, expect, it } from 'vitest'
import type { PathReport } from './report.ts'
import { TargetMachine } from './target.ts'
import { randomFrom } from './testing.ts'

/** Asks `machine` for so many milliseconds; `answer` says after how long each is answered, or not at all. */
function run(
  machine: TargetMachine,
  from: number,
  ms: number,
  answer: (number: number) => number | undefined,
): { reports: PathReport[]; asked: number; open: number } {
  const reports: PathReport[] = []
  const open = new Set<number>()
  const answers: { at: number; number: number; rttMs: number }[] = []
  let asked = 0
  for (let now = from; now < from + ms; now++) {
    const due = answers.filter(({ at }) => at <= now)
    for (const { number, rttMs } of due) {
      answers.splice(
        answers.findIndex((each) => each.number === number),
        1,
      )
      open.delete(number)
      machine.handle({ type: 'answered', number, rttMs }, now)
    }
    if (machine.deadline()! <= now) machine.handle({ type: 'time' }, now)
    for (let effect = machine.poll(); effect !== undefined; effect = machine.poll()) {
      if (effect.type === 'report') reports.push(effect.report)
      else if (effect.type === 'give-up') open.delete(effect.number)
      else {
        asked++
        open.add(effect.number)
        const rttMs = answer(effect.number)
        if (rttMs !== undefined) answers.push({ at: now + rttMs, number: effect.number, rttMs })
      }
    }
  }
  return { reports, asked, open: open.size }
}

describe('a target behind the peer', () => {
  const SETTINGS = { intervalMs: 100, multiplier: 3 }

  it('is up with its first answer, down after silence, and up after answers in a row', () => {
    const machine = new TargetMachine(SETTINGS)
    const up = run(machine, 0, 2000, () => 12)
    expect(up.reports.at(-1)).toMatchObject({ state: 'up', rttMs: 12 })
    const down = run(machine, 2000, 600, () => undefined)
    expect(down.reports.at(-1)).toMatchObject({ state: 'down' })
    const again = run(machine, 2600, 2000, () => 12)
    expect(again.reports.map(({ state }) => state)).toEqual(expect.arrayContaining(['down', 'up']))
    expect(again.reports.at(-1)!.state).toBe('up')
  })

  it('says nothing while it has never answered, and piles nothing up', () => {
    const machine = new TargetMachine(SETTINGS)
    const { reports, asked, open } = run(machine, 0, 60_000, () => undefined)
    expect(new Set(reports.map(({ state }) => state))).toEqual(new Set(['unknown']))
    expect(asked).toBe(600)
    expect(open).toBeLessThanOrEqual(8)
  })

  it('tells the share that was lost, of both ways together', () => {
    const machine = new TargetMachine(SETTINGS)
    const random = randomFrom(1)
    const { reports } = run(machine, 0, 60_000, () => (random() < 0.2 ? undefined : 10))
    const { out } = reports.at(-1)!.counts!
    expect(out.lost / out.sent).toBeGreaterThan(0.15)
    expect(out.lost / out.sent).toBeLessThan(0.25)
    expect(reports.at(-1)!.lossOut).toBeGreaterThan(0.08)
    expect(reports.at(-1)).not.toHaveProperty('lossIn')
  })
})
