/** Keys that each scheduler's entry rotates by a policy, while the tunnel carries traffic. */
import { describe, expect, it } from 'vitest'
import { keyId } from '../../connector/core/managed/keeper.ts'
import type { Rotation } from '../../protocol/control/rotation.ts'
import { LambdaPlatform, WorkersPlatform } from './control-schedulers-planes.ts'
import { inOrder, type RunningFlow, startFlow } from './flows.ts'
import { type ControlSide, createManaged, createManagedBy, type Managed, type SiteName } from './managed.ts'
import { skipWithoutNamespaces } from './netns.ts'
import { until } from './until.ts'

/** Packets a second, each way. */
const RATE = 1000
const HQ = { namespace: 'host-hq', address: '10.1.0.10' }
const BRANCH = { namespace: 'host-branch', address: '10.2.0.10' }
/** The youngest that a policy may call too old, in hours. */
const SMALLEST_AGE = 0.001
const WANTED = process.env.ISTHMUS_TEST_ROTATIONS
const LIMIT_MS = 1_200_000
/** From one to the next, at the longest. */
const ROTATION_MS = 90_000

function count(usual: number): number {
  return WANTED === undefined ? usual : Number(WANTED)
}

/** All at the same time: each waits most of the time. */
describe.skipIf(skipWithoutNamespaces('the schedulers'))('a policy rotates the key of a tunnel under traffic', () => {
  it.concurrent('by the timer of the Node entry', { timeout: LIMIT_MS }, () =>
    using(createManaged(), (managed) => rotateUnderTraffic(managed, count(20))),
  )

  it.concurrent('by the events of EventBridge, where its connectors ask by plain HTTP', { timeout: LIMIT_MS }, () => {
    const made = createManagedBy((world, directory) => new LambdaPlatform(world, directory))
    return using(made, async (managed) => {
      for (const name of ['hq', 'branch'] as const) {
        expect((await managed.status(name))?.control?.state).toBe('polling')
      }
      await rotateUnderTraffic(managed, count(5))
    })
  })

  it.concurrent('by the cron trigger of the Worker, where its links hibernate', { timeout: LIMIT_MS }, () => {
    const made = createManagedBy((world, directory) => new WorkersPlatform(world, directory))
    return using(made, async (managed) => {
      await managed.untilLinked()
      await rotateUnderTraffic(managed, count(5))
      expect(managed.control.output()).toMatch(/^cron trigger: 200 ok$/m)
      expect(managed.control.output()).toMatch(/awake, links: 2$/m)
    })
  })
})

async function using<M extends Managed<ControlSide>>(
  made: Promise<M>,
  body: (managed: M) => Promise<void>,
): Promise<void> {
  const managed = await made
  try {
    await body(managed)
  } finally {
    await managed.close()
  }
}

async function rotateUnderTraffic(managed: Managed<ControlSide>, wanted: number): Promise<void> {
  const flows = await Promise.all([flow(managed, HQ, BRANCH, 9000), flow(managed, BRANCH, HQ, 9500)])
  await managed.ask('POST', '/policies', { name: 'often', maxAgeHours: SMALLEST_AGE })
  for (let epoch = 2; epoch <= wanted + 1; epoch++) {
    // Of the connectors, not of the control plane: nobody keeps that one awake.
    const uses = async (name: SiteName) => (await managed.status(name))?.tunnels[0]?.keyId === keyId(epoch)
    const both = async () => (await uses('hq')) && (await uses('branch'))
    await until(`epoch ${epoch}`, both, ROTATION_MS, 250).catch((error: Error) => {
      throw new Error(`${error.message}\n${managed.logs()}`)
    })
  }
  let ended: Rotation[] = []
  const enough = async () => {
    ended = await endedOf(managed)
    return ended.length >= wanted
  }
  await until('the end of the last rotation', enough, ROTATION_MS, 250)
  const fingerprints = new Set<string | undefined>()
  for (const [index, rotation] of ended.slice(0, wanted).entries()) {
    expect(rotation).toMatchObject({ state: 'done', startedBy: 'schedule', from: index + 1, to: index + 2 })
    const evidence = await managed.evidenceOf(rotation)
    expect(evidence).toMatchObject({ outcome: 'done', complete: true, packetsLost: 0, measured: 'sequence-numbers' })
    expect(evidence.packetsSent).toBeGreaterThan(0)
    fingerprints.add(evidence.oldKey?.fingerprint).add(evidence.newKey.fingerprint)
  }
  expect(fingerprints.size).toBe(wanted + 1)
  for (const running of flows) {
    const { sent, arrivals } = await running.stop()
    expect(sent).toBeGreaterThan(RATE)
    expect(arrivals).toEqual(inOrder(sent))
  }
}

/** Those of policies, by epoch. */
async function endedOf(managed: Managed<ControlSide>): Promise<Rotation[]> {
  const { items } = await managed.ask<{ items: Rotation[] }>('GET', '/rotations?limit=200')
  return items
    .filter(({ trigger, state }) => trigger === 'policy' && (state === 'done' || state === 'aborted'))
    .sort((left, right) => left.to - right.to)
}

function flow({ world }: Managed<ControlSide>, from: typeof HQ, to: typeof HQ, port: number): Promise<RunningFlow> {
  const ends = { from: from.namespace, fromAddress: from.address, to: to.namespace, toAddress: to.address }
  return startFlow(world, { ...ends, port, rate: RATE })
}
