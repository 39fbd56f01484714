import { expect, it } from 'vitest'
import type { PathStatus } from '../../core/paths/types.ts'
import type { PathReport } from '../../core/probe/report.ts'
import { pathsStatus } from './status.ts'

const FIGURES = { rttMs: 12.3456, jitterMs: 0.8, lossOut: 0.125, lossIn: 0 }
const SHOWN = { ...FIGURES, rttMs: 12.346 }

function row(state: PathStatus['state'], report: PathReport | undefined, bfd?: boolean) {
  const path: PathStatus = {
    connection: 'a',
    state,
    since: 0,
    isPassing: state === 'up',
    report,
    bfd,
    failovers: { sa: 0, probe: 0, bfd: 0 },
    lastFailover: undefined,
    asymmetric: 0,
  }
  return pathsStatus({ paths: [path], classes: [] }, [], 5_000, 1_000_000).paths[0]!
}

it('tells what probes measure while they are answered, whatever else says that the tunnel is down', () => {
  for (const state of ['up', 'returning', 'drained', 'down'] as const) {
    expect(row(state, { state: 'up', ...FIGURES }, state !== 'down')).toMatchObject(SHOWN)
  }
})

it.each([
  ['down', 'down'],
  ['no-sa', 'unknown'],
  ['no-sa', 'up'],
  ['up', 'unknown'],
] as const)('of a tunnel that is %s while probes say %s it tells no figures of the past', (state, probe) => {
  const mtu = { pathMtu: 1438, searching: false, why: '' }
  const shown = row(state, { state: probe, ...FIGURES, mtu })
  for (const key of Object.keys(FIGURES)) expect(shown).not.toHaveProperty(key)
  expect(shown).toMatchObject({ peer: 'a', state, probe, pathMtu: 1438 })
})
