/** `isthmus control` and two `isthmus join`, as processes in namespaces: what people rely on at night. */
import { describe, expect, it } from 'vitest'
import type { Connector } from '../../protocol/control/resources.ts'
import type { Evidence, Rotation } from '../../protocol/control/rotation.ts'
import { inOrder, type RunningFlow, startFlow } from './flows.ts'
import { createManaged, type Managed, SITE_NAMES, type SiteName } from './managed.ts'
import { skipWithoutNamespaces } from './netns.ts'
import { ping } from './ping.ts'
import { until } from './until.ts'

const RATE = 1000
const HQ_HOST = '10.1.0.10'
const BRANCH_HOST = '10.2.0.10'
const FORTH = {
  from: 'host-hq',
  fromAddress: HQ_HOST,
  to: 'host-branch',
  toAddress: BRANCH_HOST,
  port: 9000,
  rate: RATE,
}
const BACK = {
  from: 'host-branch',
  fromAddress: BRANCH_HOST,
  to: 'host-hq',
  toAddress: HQ_HOST,
  port: 9500,
  rate: RATE,
}
/** From nothing to the first packet; a person needs longer to type than the programs to run. */
const FROM_ZERO_MS = 60_000

/** Those that wait a lot do so at the same time. */
describe.skipIf(skipWithoutNamespaces('the control plane'))('two sites that a control plane joins', () => {
  it(
    'lose link and tunnel at once when one is revoked',
    inManaged(async (managed) => {
      const { items } = await managed.ask<{ items: Connector[] }>('GET', '/connectors')
      const branch = items.find(({ name }) => name === 'branch')!
      await managed.ask('POST', `/connectors/${branch.id}/revoke`)
      const { status, world } = managed
      const revoked = async () => (await status.call(managed, 'branch'))?.control?.state === 'revoked'
      await until('the end of the link', revoked, 5000)
      const gone = async () => (await status.call(managed, 'hq'))?.tunnels.length === 0
      await until('the end of the tunnel', gone, 5000)
      expect(await ping(world, 'host-hq', BRANCH_HOST, { count: 10, intervalMs: 10, timeoutMs: 500 })).toMatchObject({
        received: 0,
      })
    }),
  )

  it.concurrent(
    'exchange packets in good time, and rotate their key twenty times under traffic with nothing lost',
    inManaged(async (managed, begun) => {
      await expectPings(managed)
      expect(performance.now() - begun).toBeLessThan(FROM_ZERO_MS)
      const flows = await bothWays(managed)
      const fingerprints = new Set<string | undefined>()
      for (let i = 0; i < 20; i++) {
        const { rotations } = await managed.control.run<{ rotations: { rotation: Rotation }[] }>(
          'rotate',
          '--all',
          '--wait',
        )
        expect(rotations).toMatchObject([{ genuine: true, rotation: { trigger: 'manual', state: 'done' } }])
        const evidence = await expectNothingLost(managed, rotations[0]!.rotation)
        expect(evidence.newKey).toEqual({ epoch: i + 2, fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) })
        fingerprints.add(evidence.oldKey?.fingerprint).add(evidence.newKey.fingerprint)
      }
      expect(fingerprints.size).toBe(21)
      await expectWhole(flows)
    }),
  )

  it.concurrent(
    'rotate their key by themselves when a policy says that it is old, with nothing lost',
    inManaged(async (managed) => {
      const flows = await bothWays(managed)
      await managed.ask('POST', '/policies', { name: 'often', maxAgeHours: 0.01 })
      const byPolicy = ({ trigger, state }: Rotation) => trigger === 'policy' && state === 'done'
      let rotation: Rotation | undefined
      const rotated = async () => {
        const { items } = await managed.ask<{ items: Rotation[] }>('GET', '/rotations')
        rotation = items.find(byPolicy)
        return rotation !== undefined
      }
      await until('a rotation by policy', rotated, 90_000, 200)
      await expectNothingLost(managed, rotation!)
      await expectWhole(flows)
    }),
  )

  it.concurrent(
    'go on without it, also when both connectors start anew',
    inManaged(async (managed) => {
      await managed.control.stop()
      await expectPings(managed)
      for (const name of SITE_NAMES) await managed.connectors.get(name)!.stop()
      for (const name of SITE_NAMES) await managed.startConnector(name)
      await managed.untilUp()
      await expectPings(managed)
      await managed.control.start()
      await managed.untilLinked()
      const rotation = await managed.rotationWhen(await managed.rotate(), ended)
      expect(rotation.state).toBe('done')
      await expectPings(managed)
    }),
  )

  it.concurrent.each([
    ['every odd one', 1],
    ['every even one', 2],
  ] as const)(
    'keep their tunnel, and end the rotation, whoever is killed before one of its messages: %s',
    (_, first) =>
      inManaged(async (managed) => {
        let step = first
        for (let reached = true; reached && step < 100; step += 2) {
          reached = false
          for (const victim of ['control', ...SITE_NAMES] as const) {
            const came = await crashAt(managed, step, victim)
            reached ||= came
          }
        }
        // Each end hears of four phases, and answers to each.
        expect(step).toBeGreaterThan(16)
        expect(step).toBeLessThan(100)
      })(),
    300_000,
  )
})

/** `begun`: when the making of the two sites began. */
function inManaged(body: (managed: Managed, begun: number) => Promise<void>): () => Promise<void> {
  return async () => {
    const begun = performance.now()
    const managed = await createManaged()
    try {
      await body(managed, begun)
    } finally {
      await managed.close()
    }
  }
}

function bothWays({ world }: Managed): Promise<[RunningFlow, RunningFlow]> {
  return Promise.all([startFlow(world, FORTH), startFlow(world, BACK)])
}

async function expectWhole(flows: readonly RunningFlow[]): Promise<void> {
  for (const flow of flows) {
    const { sent, arrivals } = await flow.stop()
    expect(sent).toBeGreaterThan(RATE)
    expect(arrivals).toEqual(inOrder(sent))
  }
}

async function expectNothingLost(managed: Managed, rotation: Rotation): Promise<Evidence> {
  const evidence = await managed.evidenceOf(rotation)
  const whole = { rotation: rotation.id, outcome: 'done', complete: true, packetsLost: 0, measured: 'sequence-numbers' }
  expect(evidence).toMatchObject(whole)
  expect(evidence.packetsSent).toBeGreaterThan(0)
  return evidence
}

function ended({ state }: Rotation): boolean {
  return state === 'done' || state === 'aborted'
}

/** Kills `victim` before the message `step` of a rotation arrives. Whether the rotation had as many. */
async function crashAt(managed: Managed, step: number, victim: 'control' | SiteName): Promise<boolean> {
  await managed.hold(step)
  const run = await managed.rotate()
  const stands = async () => (await managed.gate()).held || ended((await managed.rotationOf(run))!)
  await until('the message', stands, 20_000, 5)
  const { held } = await managed.gate()
  if (held) {
    if (victim === 'control') await managed.control.kill()
    else await managed.killConnector(victim)
  }
  await managed.release()
  if (!held) return false
  if (victim === 'control') {
    await expectPings(managed)
    await managed.control.start()
  } else await managed.startConnector(victim)
  await managed.rotationWhen(run, ended)
  await managed.untilUp()
  await expectPings(managed)
  return true
}

async function expectPings({ world }: Managed): Promise<void> {
  expect(await ping(world, 'host-hq', BRANCH_HOST, { count: 10, intervalMs: 10 })).toMatchObject({ received: 10 })
}
