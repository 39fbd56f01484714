/**
 * `isthmus demo`: two sites in network namespaces, joined, tried and shown. Everything it makes lives in
 * namespaces held by child processes and in one temporary folder, so that nothing is left when it ends.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../handle.ts'
import { createWorld, namespacesMissing, type World } from '../../io/namespaces.ts'
import { showLive } from './live.ts'
import { type DemoResult, emptyResult, faultsOf } from './result.ts'
import { layOutSites, type Site, type Sites, startGateway } from './sites.ts'
import { measureDownload, measureEstablishment, measurePing, measureRekeys, type RunningSites } from './trials.ts'

export interface DemoArguments {
  /** Try everything once and exit, instead of showing the live view. */
  readonly once: boolean
  readonly json: boolean
}

/** Returns the exit code: 0 only if every trial held. */
export async function runDemo(args: DemoArguments): Promise<number> {
  const missing = namespacesMissing()
  if (missing !== undefined) return refuse(args, missing)
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-demo-'))
  const interrupt = new AbortController()
  const onSignal = (): void => interrupt.abort()
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  let world: World | undefined
  try {
    world = await createWorld()
    return await playIn(world, directory, args, interrupt.signal)
  } catch (error) {
    if (interrupt.signal.aborted) return 130
    return finish(args, {
      ...emptyResult(),
      error: { cause: error instanceof Error ? error.message : String(error), remedy: 'Run `npx isthmus doctor`.' },
    })
  } finally {
    await world?.close()
    rmSync(directory, { recursive: true, force: true })
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

async function playIn(world: World, directory: string, args: DemoArguments, signal: AbortSignal): Promise<number> {
  say('Two sites, each a gateway and a host, in network namespaces of their own:')
  say('  host-hq 10.1.0.10 -- gateway-hq 192.0.2.1 ==== 192.0.2.2 gateway-branch -- host-branch 10.2.0.10\n')
  const sites = await layOutSites(world, directory)
  const running: RunningSites = {
    world,
    sites,
    // The responder first, so that the initiator's first datagram finds it.
    gateways: { branch: await startReady(world, sites.branch), hq: await startReady(world, sites.hq) },
    signal,
  }
  const result = await tryEverything(running)
  const code = args.once || args.json ? finish(args, result) : await showAndWait(running, result)
  for (const gateway of Object.values(running.gateways)) gateway.child.kill('SIGTERM')
  await Promise.all(Object.values(running.gateways).map((gateway) => gateway.exited))
  return code
}

async function startReady(world: World, site: Site) {
  const gateway = startGateway(world, site)
  await gateway.waitFor(/"event":"started"/)
  return gateway
}

async function tryEverything(running: RunningSites): Promise<DemoResult> {
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
  say(`  rekeys          ${result.rekey.count} under traffic, ${result.rekey.lostPackets} packets lost\n`)
  const faults = faultsOf(result)
  result.ok = faults.length === 0
  if (!result.ok) result.error = { cause: `${faults.join('; ')}.`, remedy: 'Run `npx isthmus doctor`, then try again.' }
  return result
}

async function showAndWait(running: RunningSites, result: DemoResult): Promise<number> {
  if (!result.ok) return finish({ once: true, json: false }, result)
  await showLive(running, running.signal)
  say('\nDone: both connectors stopped, namespaces and files gone.')
  return EXIT.ok
}

function finish(args: DemoArguments, result: DemoResult): number {
  if (args.json) process.stdout.write(`${JSON.stringify(result)}\n`)
  else if (result.ok) say(`All held. Next: write your own isthmus.yaml (docs/config.md) and run \`npx isthmus up\`.`)
  if (result.error !== undefined) say(`${result.error.cause}\n${result.error.remedy}`)
  return result.ok ? EXIT.ok : EXIT.failed
}

function refuse(args: DemoArguments, reason: string): number {
  return finish(args, {
    ...emptyResult(),
    error: {
      cause: `The demo cannot make network namespaces: ${reason}.`,
      remedy:
        'Run it as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1; on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0), with /dev/net/tun present.',
    },
  })
}

/** People read stderr; stdout carries only what programs read. */
function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

export type { Sites }
