/**
 * Changing one tunnel at AWS, which takes it down for minutes, while the other one carries everything: drain, be sure
 * that it is idle, change, be sure that it works, and let traffic come back. Never both at once.
 *
 *     whole ── drained ── idle ── changed at AWS ── up again ── whole
 *        └───────┴─────────┴─────────────┴── back: as it was, or as it works
 */
import type { AwsOptions } from '../../../protocol/control/cloud.ts'
import { undrain } from './leftovers.ts'
import type { CloudAction } from './provider.ts'
import { vpnConnectionOf } from './resources.ts'
import { change, fail, heldBack, PROVIDER_MS, perform, type Situation, wait, waitingSince } from './situation.ts'
import { isPassing, isUpAtAws, TELEMETRY_MS } from './tunnels.ts'
import type { Decision } from './types.ts'

/** Idle for so long, both ways: whatever was under way has arrived. */
export const IDLE_MS = 3_000
const WHOLE_MS = 2 * 60_000
const DRAIN_MS = 60_000
const UP_MS = 2 * 60_000
const LOOK_MS = 500

/** What is changed. Each part says what is to be done next, or undefined when it has nothing to do. */
export interface Job {
  /** The tunnel may be down for what the job puts right: then there is nothing to drain, and nothing to lose. */
  readonly repairs: boolean
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

/** What runs that change tunnels remember. */
export interface CarefulNotes {
  /** Why it goes back. */
  readonly back?: Trouble
}

export type Step = { readonly decision: Decision } | { readonly trouble: Trouble } | { readonly finished: true }

/** The next thing for the tunnel. */
export function changeCarefully(situation: Situation, tunnel: number, job: Job): Step {
  if (job.isThere()) return backUp(situation, tunnel, job)
  const name = nameOf(situation, tunnel)
  if (!record(situation, tunnel).drained) {
    const whole = wholeFirst(situation, tunnel, job.repairs)
    if (whole !== undefined) return whole
    return { decision: change({ type: 'drain', tunnel, on: true }, name, `traffic leaves ${name}`) }
  }
  const refusal = refusedBy(situation)
  if (refusal !== undefined) return { trouble: refusal }
  const unready = settled(situation, tunnel) ?? aloneFirst(situation, tunnel, job) ?? idleFirst(situation, tunnel, job)
  if (unready !== undefined) return unready
  const before = job.before()
  if (before !== undefined) return { decision: before }
  return accepted(situation, tunnel, job) ?? asked(situation, job, name)
}

function asked(situation: Situation, job: Job, name: string): Step {
  const decision = heldBack(situation, perform(job.action, name, job.detail))
  return decision.type === 'fail' ? { trouble: decision } : { decision }
}

/** The connector has what it needs for after the change. */
function accepted(situation: Situation, tunnel: number, { repairs }: Job): Step | undefined {
  if (!situation.sight.current) {
    if (repairs && situation.run.acceptLoss) return undefined
    return await_(situation, 'the connector to take what it is told', DRAIN_MS, silent(situation))
  }
  const said = saidOf(situation, tunnel)
  if (said?.state !== 'refused') return undefined
  const { cause = 'it does not say why', remedy = 'Look at isthmus status at the site.' } = said.problem ?? {}
  const words = `The connector refuses ${nameOf(situation, tunnel)}: ${cause}`
  return { trouble: { code: 'connector-refused', cause: words, remedy } }
}

function backUp(situation: Situation, tunnel: number, job: Job): Step {
  const busy = settled(situation, tunnel)
  if (busy !== undefined) return busy
  const use = job.use()
  if (use !== undefined) return { decision: use }
  const name = nameOf(situation, tunnel)
  const { drained } = record(situation, tunnel)
  const works = drained ? worksFirst(situation, tunnel, job.key) : undefined
  if (works !== undefined) return works
  const after = job.after()
  if (after !== undefined) return { decision: after }
  if (drained) return { decision: undrain(situation, tunnel) }
  if (!situation.sight.current || saidOf(situation, tunnel)?.drained !== false) {
    return await_(situation, `the connector to use ${name} again`, DRAIN_MS, silent(situation))
  }
  return { finished: true }
}

function worksFirst(situation: Situation, tunnel: number, key: string | undefined): Step | undefined {
  const name = nameOf(situation, tunnel)
  if (!situation.sight.current || !isPassing(situation, tunnel, key)) {
    const cause = `${name} did not carry packets again within ${UP_MS / 60_000} minutes.`
    const remedy = 'Look at isthmus status at the site for what the tunnel says.'
    return await_(situation, `${name} to carry packets again`, UP_MS, { code: 'tunnel-down', cause, remedy })
  }
  if (isUpAtAws(situation, tunnel)) return undefined
  const what = `AWS to say that ${name} is up`
  const since = waitingSince(situation, what)
  if (situation.now >= since + TELEMETRY_MS) return undefined
  return { decision: wait(what, since, TELEMETRY_MS, situation.now, LOOK_MS) }
}

/** Both tunnels carry packets, or it does not begin. */
function wholeFirst(situation: Situation, tunnel: number, repairs: boolean): Step | undefined {
  const { record: all, run, sight } = situation
  const other = all.tunnels.findIndex(({ drained }, index) => drained && index !== tunnel)
  if (other >= 0) return { decision: undrain(situation, other) }
  if (run.acceptLoss) return undefined
  const isDown = repairs && sight.current && !isPassing(situation, tunnel)
  if (all.routing === 'static' && !isDown) {
    const cause = 'With static routing nothing can steer AWS away from a tunnel: packets would be lost.'
    return { trouble: { code: 'static-routing', cause, remedy: 'Use BGP, or accept the loss: --accept-loss.' } }
  }
  if (isDown) return undefined
  const down = all.tunnels.find((_, index) => !isPassing(situation, index))
  if (down === undefined && sight.current) return undefined
  const cause = sight.current ? `${down!.name} does not carry packets.` : 'The connector has not reported of late.'
  const remedy = 'Repair it first: with one tunnel alone the change would cut the connection. Or --accept-loss.'
  const what = `both tunnels of ${all.name} to carry packets`
  return await_(situation, what, WHOLE_MS, { code: 'not-whole', cause, remedy })
}

/** The other tunnel carries everything now. */
function aloneFirst(situation: Situation, tunnel: number, { repairs }: Job): Step | undefined {
  const other = situation.record.tunnels.findIndex((_, index) => index !== tunnel && !isPassing(situation, index))
  if (other < 0 || situation.run.acceptLoss) return undefined
  if (repairs && situation.sight.current && !isPassing(situation, tunnel)) return undefined
  if (!situation.sight.current) return await_(situation, 'the connector to be up to date', DRAIN_MS, silent(situation))
  const cause = `${nameOf(situation, other)} went down, and was to carry everything.`
  return { trouble: { code: 'other-down', cause, remedy: 'Try it again when both are up.' } }
}

function idleFirst(situation: Situation, tunnel: number, { repairs }: Job): Step | undefined {
  const { sight, run } = situation
  const name = nameOf(situation, tunnel)
  if (repairs && sight.current && !isPassing(situation, tunnel)) return undefined
  const said = saidOf(situation, tunnel)
  if (sight.current && said?.drained === true && (said.idleMs ?? 0) >= IDLE_MS) return undefined
  const what = `${name} to be idle`
  if (run.acceptLoss && situation.now >= waitingSince(situation, what) + DRAIN_MS) return undefined
  if (!sight.current || said?.drained !== true) return await_(situation, what, DRAIN_MS, silent(situation))
  const cause = `Packets still come through ${name}, ${DRAIN_MS / 1000} s after both ends were told to use the other one.`
  const remedy = 'Look at the routes of AWS: something prefers this tunnel. Nothing was changed there.'
  return await_(situation, what, DRAIN_MS, { code: 'not-idle', cause, remedy })
}

/** AWS changes one thing at a time. */
function settled(situation: Situation, tunnel: number): Step | undefined {
  const connection = vpnConnectionOf(situation.record, situation.seen)
  if (connection?.state === 'available') return undefined
  if (connection === undefined) {
    const cause = 'The VPN connection is not there any more.'
    const trouble = { code: 'gone', cause, remedy: 'Look at its drift, and apply again.' }
    return await_(situation, 'AWS to show the VPN connection', DRAIN_MS, trouble)
  }
  const name = nameOf(situation, tunnel)
  const cause = `AWS has not finished with ${name} in ${PROVIDER_MS / 60_000} minutes.`
  const remedy = 'Look at it at AWS, and start again.'
  return await_(situation, finishing(name), PROVIDER_MS, { code: 'provider-stuck', cause, remedy }, 2_000)
}

/**
 * After a change was given up: traffic comes back to what is drained as soon as it works, or after a while also where
 * it does not. Undefined when nothing is drained.
 */
export function comeBack(situation: Situation): Decision | undefined {
  const tunnel = situation.record.tunnels.findIndex(({ drained }) => drained)
  if (tunnel < 0) return undefined
  const name = nameOf(situation, tunnel)
  const connection = vpnConnectionOf(situation.record, situation.seen)
  const isBusy = connection !== undefined && connection.state !== 'available'
  if (!isBusy && isPassing(situation, tunnel)) return undrain(situation, tunnel)
  const [what, patienceMs] = isBusy ? [finishing(name), PROVIDER_MS] : [`${name} to carry packets again`, UP_MS]
  const since = waitingSince(situation, what)
  if (situation.now >= since + patienceMs) return undrain(situation, tunnel)
  return wait(what, since, patienceMs, situation.now, LOOK_MS)
}

/** What ModifyVpnTunnelOptions would set back to its defaults, which are not those of a new tunnel. */
export function alwaysSaid({ dpdS, dpdAction, startup }: AwsOptions): Partial<AwsOptions> {
  return { dpdS, dpdAction, startup }
}

export function refusedBy({ last }: Situation): Trouble | undefined {
  if (last === undefined || last.ok || last.kind === 'later' || last.kind === 'unknown') return undefined
  return { code: `cloud-${last.kind}`, cause: last.cause, remedy: last.remedy }
}

export function troubled({ code, cause, remedy }: Trouble): Decision {
  return fail(code, cause, remedy)
}

export function finishing(name: string): string {
  return `AWS to finish with ${name}`
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

function saidOf({ record: all, sight }: Situation, tunnel: number) {
  const { external } = all.tunnels[tunnel]!
  return sight.externals.find((each) => each.external === external)
}

function record({ record: all }: Situation, tunnel: number) {
  return all.tunnels[tunnel]!
}

function nameOf(situation: Situation, tunnel: number): string {
  return record(situation, tunnel).name
}
