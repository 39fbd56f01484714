/**
 * Changing one tunnel at AWS, which takes it down for minutes, while the other one carries everything: drain, be sure
 * that it is idle, change, be sure that it works, and let traffic come back. Never both at once.
 *
 *     whole ── drained ── idle ── changed at AWS ── up again ── whole
 *        └───────┴─────────┴─────────────┴── back: as it was, or as it works
 */
import { isPassing } from './apply.ts'
import type { CloudAction } from './provider.ts'
import { vpnConnectionOf } from './resources.ts'
import { change, fail, PROVIDER_MS, perform, type Situation, wait, waitingSince } from './situation.ts'
import type { Decision } from './types.ts'

/** Idle for so long, both ways: whatever was under way has arrived. */
export const IDLE_MS = 3_000
const WHOLE_MS = 2 * 60_000
const DRAIN_MS = 60_000
const UP_MS = 3 * 60_000
const LOOK_MS = 500

/** What is changed. Each part says what is to be done next, or undefined when it has nothing to do. */
export interface Job {
  /** On our side, before AWS is asked. */
  before(): Decision | undefined
  /** Whether AWS has it. */
  isThere(): boolean
  readonly action: CloudAction
  readonly detail: string
  /** On our side, as soon as AWS has it. */
  use(): Decision | undefined
  /** The key that the tunnel has to be up with then. */
  readonly key?: string
  /** When it works. */
  after(): Decision | undefined
}

/** Why a change cannot go on; what happens then, the kind of run decides. */
export interface Trouble {
  readonly code: string
  readonly cause: string
  readonly remedy: string
}

export type Step = { readonly decision: Decision } | { readonly trouble: Trouble } | { readonly finished: true }

/** The next thing for the tunnel. */
export function changeCarefully(situation: Situation, tunnel: number, job: Job): Step {
  const { record, run } = situation
  const began = record.tunnels[tunnel]!.drained || job.isThere()
  if (!began) {
    const whole = wholeFirst(situation)
    if (whole !== undefined) return whole
    const words = `traffic leaves ${nameOf(situation, tunnel)}`
    return { decision: change({ type: 'drain', tunnel, on: true }, nameOf(situation, tunnel), words) }
  }
  if (!job.isThere()) {
    const refusal = refusedBy(situation)
    if (refusal !== undefined) return { trouble: refusal }
    const busy = settled(situation, tunnel)
    if (busy !== undefined) return busy
    if (!isOtherPassing(situation, tunnel) && !run.acceptLoss) return { trouble: otherDown(situation, tunnel) }
    const idle = idleFirst(situation, tunnel)
    if (idle !== undefined) return idle
    const before = job.before()
    if (before !== undefined) return { decision: before }
    if (!situation.sight.current)
      return await_(situation, 'the connector to take the new key too', DRAIN_MS, silent(situation))
    return { decision: perform(job.action, nameOf(situation, tunnel), job.detail) }
  }
  return backUp(situation, tunnel, job)
}

function backUp(situation: Situation, tunnel: number, job: Job): Step {
  const busy = settled(situation, tunnel)
  if (busy !== undefined) return busy
  const use = job.use()
  if (use !== undefined) return { decision: use }
  const name = nameOf(situation, tunnel)
  const there = situation.sight.current && isPassing(situation, tunnel, job.key) && isUpAtAws(situation, tunnel)
  if (record(situation, tunnel).drained && !there) {
    const cause = `${name} did not carry packets again within ${UP_MS / 60_000} minutes.`
    const remedy = 'Look at isthmus status at the site for what the tunnel says.'
    return await_(situation, `${name} to carry packets again`, UP_MS, { code: 'tunnel-down', cause, remedy })
  }
  const after = job.after()
  if (after !== undefined) return { decision: after }
  if (record(situation, tunnel).drained) {
    return { decision: change({ type: 'drain', tunnel, on: false }, name, `traffic may use ${name} again`) }
  }
  const said = situation.sight.externals.find(({ external }) => external === record(situation, tunnel).external)
  if (!situation.sight.current || said?.drained !== false) {
    return await_(situation, `the connector to use ${name} again`, DRAIN_MS, silent(situation))
  }
  return { finished: true }
}

/** Traffic comes back and the keys are those that work; for when a change is given up. */
export function undrain(situation: Situation, tunnel: number): Decision | undefined {
  if (!record(situation, tunnel).drained) return undefined
  const name = nameOf(situation, tunnel)
  return change({ type: 'drain', tunnel, on: false }, name, `traffic may use ${name} again`)
}

/** Both tunnels carry packets, or it does not begin. */
function wholeFirst(situation: Situation): Step | undefined {
  const { record, run, sight } = situation
  if (record.routing === 'static' && !run.acceptLoss) {
    const cause = 'With static routing nothing can steer AWS away from a tunnel: packets would be lost.'
    return { trouble: { code: 'static-routing', cause, remedy: 'Use BGP, or accept the loss: --accept-loss.' } }
  }
  const down = record.tunnels.find((_, index) => !isPassing(situation, index))
  if ((down === undefined && sight.current) || run.acceptLoss) return undefined
  const what = down === undefined ? 'the connector to be up to date' : `${down.name} to carry packets`
  const cause = down === undefined ? 'The connector has not reported.' : `${down.name} does not carry packets.`
  const remedy = 'Repair it first: with one tunnel alone the change would cut the connection. Or --accept-loss.'
  return await_(situation, what, WHOLE_MS, { code: 'not-whole', cause, remedy })
}

function idleFirst(situation: Situation, tunnel: number): Step | undefined {
  const { sight, record: all, run } = situation
  const { external, name } = all.tunnels[tunnel]!
  const said = sight.externals.find((each) => each.external === external)
  if (sight.current && said?.drained === true && (said.idleMs ?? 0) >= IDLE_MS) return undefined
  const since = waitingSince(situation, idleWords(name))
  if (run.acceptLoss && situation.now >= since + DRAIN_MS) return undefined
  const cause = `Packets still come through ${name}, ${DRAIN_MS / 1000} s after both ends were told to use the other one.`
  const remedy = 'Look at the routes of AWS: something prefers this tunnel. Nothing was changed there.'
  return await_(situation, idleWords(name), DRAIN_MS, { code: 'not-idle', cause, remedy })
}

function idleWords(name: string): string {
  return `${name} to be idle`
}

/** AWS changes one thing at a time. */
function settled(situation: Situation, tunnel: number): Step | undefined {
  const connection = vpnConnectionOf(situation.record, situation.seen)
  if (connection?.state === 'available') return undefined
  const name = nameOf(situation, tunnel)
  if (connection === undefined) {
    const cause = 'The VPN connection is not there any more.'
    return { trouble: { code: 'gone', cause, remedy: 'Look at its drift, and apply again.' } }
  }
  const cause = `AWS has not finished with ${name} in ${PROVIDER_MS / 60_000} minutes.`
  const remedy = 'Look at it at AWS, and rotate again.'
  return await_(situation, `AWS to finish with ${name}`, PROVIDER_MS, { code: 'provider-stuck', cause, remedy }, 2_000)
}

function refusedBy({ last }: Situation): Trouble | undefined {
  if (last === undefined || last.ok || last.kind === 'later' || last.kind === 'unknown') return undefined
  return { code: `cloud-${last.kind}`, cause: last.cause, remedy: last.remedy }
}

function isOtherPassing(situation: Situation, tunnel: number): boolean {
  return situation.record.tunnels.every((_, index) => index === tunnel || isPassing(situation, index))
}

function isUpAtAws({ record: all, seen }: Situation, tunnel: number): boolean {
  const { insideCidr } = all.tunnels[tunnel]!
  const there = vpnConnectionOf(all, seen)?.tunnels.find((each) => each.insideCidr === insideCidr)
  return there?.status === undefined || there.status === 'UP'
}

function otherDown(situation: Situation, tunnel: number): Trouble {
  const other = situation.record.tunnels.find((_, index) => index !== tunnel)
  const cause = `${other?.name ?? 'The other tunnel'} went down, and carries everything now.`
  return { code: 'other-down', cause, remedy: 'Rotate again when both are up.' }
}

function silent(situation: Situation): Trouble {
  const cause = `The connector ${situation.sight.connector ?? 'of the site'} does not take what it is told.`
  return { code: 'connector-silent', cause, remedy: 'See whether it runs and is linked: isthmus connector list.' }
}

function await_(situation: Situation, what: string, patienceMs: number, trouble: Trouble, againMs = LOOK_MS): Step {
  const since = waitingSince(situation, what)
  if (situation.now >= since + patienceMs) return { trouble }
  return { decision: wait(what, since, patienceMs, situation.now, againMs) }
}

function record({ record: all }: Situation, tunnel: number) {
  return all.tunnels[tunnel]!
}

function nameOf(situation: Situation, tunnel: number): string {
  return record(situation, tunnel).name
}

export function troubled({ code, cause, remedy }: Trouble): Decision {
  return fail(code, cause, remedy)
}
