/**
 * `isthmus demo`: two sites in network namespaces, joined, tried and shown. Everything it makes lives in
 * namespaces held by child processes and in one temporary folder, so that nothing is left when it ends.
 */
import { rmSync } from 'node:fs'
import { EXIT } from '../../handle.ts'
import { createWorld, namespacesMissing, type Spawned, type World } from '../../io/namespaces.ts'
import { DemoControl } from './control-plane.ts'
import { showLive } from './live.ts'
import { type DemoResult, emptyResult, faultsOf } from './result.ts'
import { CONTROL, declareErp, joinAs, layOutSites, type Site, type Sites } from './sites.ts'
import { makeFolder, watchLauncher } from './traces.ts'
import {
  measureDownload,
  measureEstablishment,
  measurePing,
  measureRekeys,
  type RunningSites,
  untilAnswering,
} from './trials.ts'
import { measureAway, measureRotation } from './trials-control.ts'
import { measureFunction } from './trials-function.ts'
import { measureRouting } from './trials-routing.ts'

export interface DemoArguments {
  /** Try everything once and exit, instead of showing the live view. */
  readonly once: boolean
  readonly json: boolean
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const INTERRUPTED = {
  cause: 'The demo was interrupted before it had tried everything.',
  remedy: 'Run it again and let it go on to the view of both ends.',
}

/** Returns the exit code: 0 only if every trial held, and nothing is left. */
export async function runDemo(args: DemoArguments): Promise<number> {
  const missing = namespacesMissing()
  if (missing !== undefined) return finish(args, refusal(missing))
  const directory = makeFolder()
  const removeFolder = (): void => rmSync(directory, { recursive: true, force: true })
  const interrupt = new AbortController()
  const onSignal = (): void => interrupt.abort()
  const unwatch = watchLauncher(onSignal)
  process.once('exit', removeFolder)
  for (const signal of SIGNALS) process.on(signal, onSignal)
  let world: World | undefined
  let result: DemoResult
  try {
    world = await createWorld()
    result = await playIn(world, directory, args, interrupt.signal)
  } catch (error) {
    result = { ...emptyResult(), error: interrupt.signal.aborted ? INTERRUPTED : unforeseen(error) }
  } finally {
    await world?.close()
    removeFolder()
    unwatch()
    process.off('exit', removeFolder)
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
  return finish(args, result)
}

async function playIn(world: World, directory: string, args: DemoArguments, signal: AbortSignal): Promise<DemoResult> {
  say('Two sites, each a gateway and a host, a control plane and a function, in network namespaces of their own:')
  say('  host-hq 10.1.0.10 -- gateway-hq 192.0.2.1 ==== 192.0.2.2 gateway-branch -- host-branch 10.2.0.10')
  say(`  control plane ${CONTROL.address}, which both gateways reach, and a Worker that reaches nothing else\n`)
  const sites = await layOutSites(world, directory)
  declareErp(sites.hq, sites.branch.hostAddress)
  const control = new DemoControl(world, directory)
  await control.start()
  say('  $ isthmus control')
  const hq = await joinReady(world, control, sites.hq, signal)
  const branch = await joinReady(world, control, sites.branch, signal)
  say('')
  const running: RunningSites = { world, sites, gateways: { hq, branch }, control, signal }
  const result = await tryEverything(running, directory)
  if (result.ok && !args.once && !args.json) await showLive(running, signal)
  const gateways = Object.entries(running.gateways)
  for (const [, gateway] of gateways) gateway.child.kill('SIGTERM')
  for (const [name, gateway] of gateways) {
    const code = await gateway.exited
    if (code !== EXIT.ok) throw new Error(`The connector of ${name} did not stop in good order (${code}).`)
  }
  await control.stop()
  return result
}

/** The two commands that a site takes: one where the network is managed, one on its gateway. */
async function joinReady(world: World, control: DemoControl, site: Site, signal: AbortSignal): Promise<Spawned> {
  const added = await control.run<{ joinToken: { token: string } }>('site', 'add', site.name, '--prefix', site.network)
  say(`  $ isthmus site add ${site.name} --prefix ${site.network}`)
  say(`  ${site.gateway} $ isthmus join ${control.url} ist_join_...`)
  const gateway = joinAs(world, site, control.url, added.joinToken.token)
  await gateway.waitFor(/"event":"started"/)
  await untilAnswering(site, signal)
  return gateway
}

async function tryEverything(running: RunningSites, directory: string): Promise<DemoResult> {
  const result = emptyResult()
  const { establishMs, suite } = await measureEstablishment(running)
  Object.assign(result, { establishMs, suite })
  say(`  tunnel up       ${establishMs.toFixed(1)} ms from the first datagram, ${suite}`)
  result.ping = await measurePing(running)
  say(
    `  ping            ${result.ping.received}/${result.ping.sent}, median ${result.ping.rttMs?.p50.toFixed(2) ?? '-'} ms`,
  )
  result.download = await measureDownload(running)
  const { bytes, mbps, sha256Match } = result.download
  say(
    `  download        ${bytes >> 20} MiB at ${mbps.toFixed(0)} Mbit/s, sha256 ${sha256Match ? 'matches' : 'DIFFERS'}`,
  )
  result.rekey = await measureRekeys(running)
  say(`  rekeys          ${result.rekey.count} under traffic, ${result.rekey.lostPackets} packets lost`)
  result.rotation = await measureRotation(running)
  const { count, lostPackets, evidence } = result.rotation
  say(`  key rotation    ${count} under traffic, ${lostPackets} packets lost, evidence ${evidence}`)
  result.withoutControl = await measureAway(running)
  const away = result.withoutControl
  say(
    `  control stopped ${away.received}/${away.sent} pings, ${away.rekeys} rekey meanwhile; back, both ends link again\n`,
  )
  result.function = await measureFunction(running, directory)
  const { status, ms, path } = result.function
  say('  $ isthmus function add orders --allow hq/erp')
  say(`  function        order from the ERP of branch: HTTP ${status} in ${ms.toFixed(0)} ms, a cold start`)
  say(`                  ${path}\n`)
  Object.assign(result, await measureRouting(running.world, directory, running.signal))
  sayRouting(result)
  const faults = faultsOf(result)
  result.ok = faults.length === 0
  if (!result.ok) result.error = { cause: `${faults.join('; ')}.`, remedy: 'Run `npx isthmus doctor`, then try again.' }
  return result
}

function sayRouting({ bgp, failover }: DemoResult): void {
  say('  plant and cloud, two more sites, have two ways between them:')
  say(`  BGP             ${bgp?.established ?? 0} sessions, ${bgp?.prefixes ?? 0} prefixes`)
  say(`  a way is cut    ${failover?.ms ?? '-'} ms without an answer, ${failover?.lostPackets ?? '-'} pings lost\n`)
}

function finish(args: DemoArguments, result: DemoResult): number {
  if (args.json) process.stdout.write(`${JSON.stringify(result)}\n`)
  else if (result.ok && args.once)
    say('All held. Next, for your own sites: `npx isthmus control`, then docs/control.md.')
  else if (result.ok) say('Done: both connectors stopped, namespaces and files gone.')
  if (result.error !== undefined) say(`${result.error.cause}\n${result.error.remedy}`)
  return result.ok ? EXIT.ok : EXIT.failed
}

function refusal(reason: string): DemoResult {
  return {
    ...emptyResult(),
    error: {
      cause: `The demo cannot make network namespaces: ${reason}.`,
      remedy:
        'Run it as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1; on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0), with /dev/net/tun present.',
    },
  }
}

function unforeseen(error: unknown): NonNullable<DemoResult['error']> {
  return { cause: error instanceof Error ? error.message : String(error), remedy: 'Run `npx isthmus doctor`.' }
}

/** People read stderr; stdout carries only what programs read. */
function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

export type { Sites }
