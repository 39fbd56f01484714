/** When a network's scheduled job has something to do next: for platforms that can be woken at a point in time. */
import type { Policy } from '../../protocol/control/rotation.ts'
import { policyFor } from '../domain/cloud/policy.ts'
import { isBuilt } from '../domain/cloud/records.ts'
import { mayBeDue, nextOfRun } from '../domain/planner.ts'
import { nextTime, opensAt } from '../domain/schedule.ts'
import { everyOf } from './candidates.ts'
import { turnOf } from './cloud-runner.ts'
import { WATCH_MS as WATCH_CLOUDS_MS } from './cloud-watch.ts'
import type { CloudAccess, Context } from './types.ts'

/** How often ages of keys are looked at, in milliseconds. */
const AGE_CHECK_MS = 600_000
/** How often the sites of a rollout are looked at, in milliseconds: one that is silent says nothing. */
const WATCH_MS = 5000

/** Milliseconds since 1970; undefined when nothing is due unless somebody does something. */
export async function nextWork(
  context: Pick<Context, 'repo' | 'clock' | 'clouds'>,
  network: string,
): Promise<number | undefined> {
  const now = context.clock()
  const times: (number | undefined)[] = []
  for await (const { deadline } of everyOf(context, network, 'rotation', 'active')) times.push(deadline)
  const policies = new Map<string, Policy>()
  for await (const policy of everyOf(context, network, 'policy')) policies.set(policy.id, policy)
  const running = new Set<string>()
  for await (const run of everyOf(context, network, 'run', 'running')) {
    const windows = policies.get(run.policy ?? '')?.windows ?? []
    const decision = nextOfRun(run, windows, now)
    // One that could begin but did not waits for a tunnel that is busy.
    times.push(decision.type === 'wait' ? decision.until : now + AGE_CHECK_MS)
    if (run.policy !== undefined) running.add(run.policy)
  }
  for await (const { deadline } of everyOf(context, network, 'rollout', 'active')) {
    times.push(Math.min(Math.max(deadline ?? 0, now), now + WATCH_MS))
  }
  for (const policy of policies.values()) if (!running.has(policy.id)) times.push(nextOfPolicy(policy, now))
  if (context.clouds !== undefined) times.push(...(await cloudTimes(context, network, context.clouds, policies)))
  return times.reduce((first, time) => (time === undefined ? first : Math.min(time, first ?? time)), undefined)
}

/** Of runs at clouds, looks at them, and rotations of their keys. */
async function cloudTimes(
  context: Pick<Context, 'repo' | 'clock'>,
  network: string,
  access: CloudAccess,
  policies: ReadonlyMap<string, Policy>,
): Promise<number[]> {
  const own = await context.repo.get(network, 'network', network)
  if (own === undefined || !access.allows(own.value)) return []
  const now = context.clock()
  const times: number[] = []
  for await (const run of everyOf(context, network, 'cloudRun', 'active')) times.push(turnOf(run))
  const asked = new Map<string, number>()
  for await (const { id, askedAt } of everyOf(context, network, 'cloudView')) asked.set(id, askedAt ?? 0)
  for await (const record of everyOf(context, network, 'cloud')) {
    if (!isBuilt(record) || record.run !== undefined) continue
    times.push(Math.max(now, (asked.get(record.id) ?? 0) + (access.watchMs ?? WATCH_CLOUDS_MS)))
    const policy = policies.get(record.policy ?? '')
    const at = policy && nextOfPolicy(policyFor(policy, record), now)
    if (at !== undefined) times.push(at)
  }
  return times
}

function nextOfPolicy(policy: Policy, now: number): number | undefined {
  if (!policy.enabled) return undefined
  const { cron, windows } = policy
  const checks = [now + AGE_CHECK_MS].filter(() => policy.maxAgeHours !== undefined || mayBeDue(policy, false, now))
  const times = checks.concat(cron === undefined ? [] : (nextTime(cron, now) ?? []))
  const open = times.flatMap((at) => opensAt(windows, at) ?? [])
  // A time that came outside of all windows is made up for when the next one opens.
  const later = opensAt(windows, now)
  if (later !== undefined && later > now) open.push(later)
  return open.length === 0 ? undefined : Math.min(...open)
}
