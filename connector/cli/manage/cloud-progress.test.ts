import { expect, test } from 'vitest'
import type { CloudRun } from '../../../protocol/control/generated/api-client.ts'
import { type RecordedIo, recordedIo } from '../testing.ts'
import type { Place } from './access.ts'
import { followClouds, type StartedRun } from './cloud-progress.ts'

const NAMES = Array.from({ length: 12 }, (_, at) => `aws-${at}`)

function runOf(name: string, changes: Partial<CloudRun> = {}): CloudRun {
  const rest = { createdAt: 0, steps: [], progress: 0.5, waitingFor: 'AWS', ...changes }
  return { id: `run of ${name}`, cloud: `cloud of ${name}`, kind: 'apply', state: 'running', startedBy: 'me', ...rest }
}

/** A control plane at which one run ends with each look at all of them. */
class Ending {
  left = [...NAMES]
  readonly asked: string[] = []

  get place(): Place {
    const api = {
      all: async () => {
        this.left.shift()
        return this.left.map((name) => ({ name, run: `run of ${name}` }))
      },
      value: async (_: string, { params }: { params: { cloudRun: string } }) => {
        this.asked.push(params.cloudRun)
        const name = params.cloudRun.slice('run of '.length)
        if (this.left.length <= 8) this.left.shift()
        return runOf(name, this.left.includes(name) ? {} : { state: 'done', finishedAt: 1, progress: 1 })
      },
    }
    return { api: api as unknown as Place['api'], network: {} as Place['network'], params: { network: 'net' } }
  }
}

function terminal(isTty: boolean): RecordedIo {
  return { ...recordedIo(), isTty, now: () => 1_000, pause: async () => {} }
}

const started: readonly StartedRun[] = NAMES.map((name) => ({ name, run: runOf(name) }))

test('of many runs only some are asked for; all that have ended are', async () => {
  const control = new Ending()
  const ended = await followClouds(control.place, started, true, terminal(false))
  expect(ended?.map(({ name, run }) => [name, run.state])).toEqual(NAMES.map((name) => [name, 'done']))
  // First the one that the list has no more, and eight of the others.
  expect(control.asked.slice(0, 9)).toEqual(NAMES.slice(0, 9).map((name) => `run of ${name}`))
})

test('many are drawn in a few lines, with how many have ended', async () => {
  const io = terminal(true)
  await followClouds(new Ending().place, started, false, io)
  expect(io.err()).toContain('1 of 12 have ended\n  aws-1: 0 steps done, 50 %, 1s, waits for AWS\n')
  expect(io.err()).toContain('  and 3 more\n')
  expect(io.err().endsWith('\u001b[J')).toBe(true)
})

test('steps that come between two looks are all told, once, in their order', async () => {
  const step = (detail: string, state: 'begun' | 'done' | 'failed', ms: number) => {
    return {
      action: 'act',
      resource: 'it',
      detail,
      state,
      begunAt: 0,
      attempts: 1,
      ...(state === 'begun' ? {} : { endedAt: ms }),
    }
  }
  const looks: Partial<CloudRun>[] = [
    { steps: [step('one', 'begun', 0)] },
    { steps: [step('one', 'done', 3_000), step('two', 'begun', 0)] },
    { steps: [step('one', 'done', 3_000), step('two', 'done', 10), { ...step('three', 'failed', 20), attempts: 2 }] },
    {
      state: 'failed',
      finishedAt: 9,
      steps: [step('one', 'done', 3_000), step('two', 'done', 10), step('three', 'failed', 20)],
    },
  ]
  const value = async () => runOf('aws', looks.shift())
  const place = {
    api: { value } as unknown as Place['api'],
    network: {} as Place['network'],
    params: { network: 'net' },
  }
  const io = terminal(false)
  await followClouds(place, [{ name: 'aws', run: runOf('aws') }], false, io)
  expect(io.err().split('\n')).toEqual([
    'aws: waits for AWS',
    'aws: one, 3s',
    'aws: two',
    'aws: failed: three, attempt 2',
    '',
  ])
})
