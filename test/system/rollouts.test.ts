/** `isthmus plan` and `isthmus apply` with real connectors: what is good gets everywhere, what harms goes back. */
import { describe, expect, it as plain } from 'vitest'
import { neighbourName } from '../../connector/core/managed/routing.ts'
import type { Rollout } from '../../protocol/control/rollout.ts'
import { inOrder, type RunningFlow, runFlows, startFlow } from './flows.ts'
import { type ExecResult, skipWithoutNamespaces } from './netns.ts'
import { createStar, hostOf, type Star, type StarSite } from './star.ts'
import { until } from './until.ts'

/** Datagrams a second, each way. */
const RATE = 500
const COUNT = 500
const WAYS = [way('a', 'b', 9000), way('b', 'a', 9500)]
const BFD = { intervalMs: 300, multiplier: 4 }
const HUB = { site: 'hub', hub: true }
const ROUTED = { bfd: BFD, sites: [HUB] }
const MORE = { bfd: BFD, sites: [HUB, { site: 'b', advertises: [{ prefixes: ['10.3.0.0/24', '10.3.0.128/25'] }] }] }
const HOW = ['--canary', 'a', '--batch', '100', '--watch', '2s', '--watch-batch', '2s', '--yes']

/** Each in a star of its own, to which routing has been applied; all at the same time, for they wait a lot. */
const it = plain.extend<{ readonly star: Star }>({
  star: async ({ task: _ }, use) => {
    const star = await createStar()
    try {
      await route(star)
      await use(star)
    } finally {
      await star.close()
    }
  },
})

describe.skipIf(skipWithoutNamespaces('rollouts')).concurrent('a hub and two spokes', () => {
  it('reach each other through the engine of the hub; a good change gets to one, then to all, and nothing is lost', async ({
    star,
  }) => {
    const { stdout } = await star.at('a', 'routes', 'explain', '10.3.0.0/24')
    expect(stdout).toMatch(/^10\.3\.0\.0\/24 leads to hub-a \(bgp\)/)
    await everythingArrives(star)
    const flows = await startFlows(star)
    await applied(star, HOW, await star.file(MORE))
    const [rollout] = await rollouts(star)
    await star.untilRoutes('a', { '10.1.0.0/24': 'bgp', '10.3.0.0/24': 'bgp', '10.3.0.128/25': 'bgp' })
    await arrivedWhole(flows)
    const { items } = await star.control.run<{ items: Event[] }>('audit', 'list')
    const steps = items.filter(({ target }) => target === rollout!.id)
    const names = ['create', 'canary', 'watching', 'batch', 'watching', 'done']
    expect(steps.map(({ action }) => action.replace('rollouts.', ''))).toEqual(names)
    expect(steps.find(({ action }) => action === 'rollouts.canary')?.after).toMatchObject({ sites: ['a'] })
  })

  it('a change by which the canary loses its session goes back by itself, and says why', async ({ star }) => {
    await expectRefused(star)
    const before = await star.intent()
    const flaps = await flapsTowards(star, 'hub-b')
    const path = await star.file({ ...ROUTED, maxPrefixes: 1 })
    expect((await star.control.verb(['apply', path, ...HOW])).code).toBe(14)
    const applying = star.control.begin(['apply', path, ...HOW, '--force'])
    const code = await applying.exited
    expect(applying.output()).toContain('a: tunnel hub-a has no BGP session any more.')
    expect(code).toBe(13)
    const [rollout] = await rollouts(star)
    expect(rollout).toMatchObject({
      state: 'rolled-back',
      counts: { sites: 3, in: 1 },
      fault: { site: 'a', measure: 'bgp' },
    })
    const { version: _, ...restored } = await star.intent()
    const { version: __, ...was } = before
    expect(restored).toEqual(was)
    await star.untilRoutes('a', { '10.1.0.0/24': 'bgp', '10.3.0.0/24': 'bgp' })
    // Those who had not had their turn noticed nothing but that the canary went and came.
    expect([flaps, await flapsTowards(star, 'hub-b')]).toEqual([0, 0])
    await everythingArrives(star)
  })

  it('a change goes on when the control plane was killed in the middle', async ({ star }) => {
    const flows = await startFlows(star)
    const last = (await rollouts(star))[0]!.id
    const applying = star.control.begin(['apply', await star.file(MORE), ...HOW])
    const watching = async () => {
      const [newest] = await rollouts(star)
      return newest!.id !== last && newest!.state === 'watching'
    }
    await until('the canary', watching, 60_000)
    await star.control.kill()
    await star.control.start()
    const code = await applying.exited
    expect(code).toBe(0)
    await star.untilRoutes('a', { '10.1.0.0/24': 'bgp', '10.3.0.0/24': 'bgp', '10.3.0.128/25': 'bgp' })
    await arrivedWhole(flows)
  })
})

async function route(star: Star): Promise<void> {
  const path = await star.file(ROUTED)
  const planned = await star.control.verb(['plan', path])
  expect(shown(planned)).toMatchObject({ code: 0 })
  expect(planned.stdout).toContain('10.3.0.0/24')
  await applied(star, ['--watch', '0s', '--watch-batch', '0s', '--batch', '100', '--yes'], path)
  await star.untilRoutes('a', { '10.1.0.0/24': 'bgp', '10.3.0.0/24': 'bgp' })
  await star.untilRoutes('b', { '10.1.0.0/24': 'bgp', '10.2.0.0/24': 'bgp' })
}

/** What the plan finds harmful is refused, with the reason, and changes nothing. */
async function expectRefused(star: Star): Promise<void> {
  const before = await star.intent()
  const tunnels = before.tunnels.filter(({ name }) => name !== 'hub-b')
  const apart = await star.file(ROUTED, { tunnels })
  const planned = await star.control.verb(['plan', apart])
  expect(shown(planned)).toMatchObject({ code: 14, said: expect.stringMatching(/^error +b .*/m) })
  const refused = await star.control.verb(['apply', apart, ...HOW])
  expect(shown(refused)).toMatchObject({ code: 14, said: expect.stringMatching(/nothing was changed: /) })
  expect(await star.intent()).toEqual(before)
}

async function startFlows(star: Star): Promise<RunningFlow[]> {
  return Promise.all(WAYS.map((way) => startFlow(star.world, { ...way, rate: RATE })))
}

async function everythingArrives(star: Star): Promise<void> {
  for (const way of WAYS) {
    expect(await runFlows(star.world, { ...way, rate: RATE, counts: [COUNT] })).toEqual([inOrder(COUNT)])
  }
}

async function applied(star: Star, how: readonly string[], path: string): Promise<void> {
  const applying = star.control.begin(['apply', path, ...how])
  const code = await applying.exited
  if (code !== 0) throw new Error(`${code}\n${applying.output()}\n${star.logs()}`)
}

/** Of the session at the hub that goes through this tunnel. */
async function flapsTowards(star: Star, tunnel: string): Promise<number | undefined> {
  return (await star.status('hub'))?.bgp?.neighbours.find(({ name }) => name === neighbourName(tunnel))?.flaps
}

async function rollouts(star: Star): Promise<Rollout[]> {
  return (await star.control.run<{ items: Rollout[] }>('rollout', 'list')).items
}

interface Event {
  readonly action: string
  readonly target: string
  readonly after?: object
}

function way(from: StarSite, to: StarSite, port: number) {
  return { from: `host-${from}`, fromAddress: hostOf(from), to: `host-${to}`, toAddress: hostOf(to), port }
}

function shown({ code, stdout, stderr }: ExecResult) {
  return { code, said: stdout + stderr }
}

async function arrivedWhole(flows: readonly RunningFlow[]): Promise<void> {
  for (const flow of flows) {
    const { sent, arrivals } = await flow.stop()
    expect(sent).toBeGreaterThan(0)
    expect(arrivals).toEqual(inOrder(sent))
  }
}
