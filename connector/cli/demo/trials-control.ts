/** The demo's trials with the control plane: a key is rotated under traffic, and traffic goes on without it. */
import type { DemoResult } from './result.ts'
import { pause, ping, type RunningSites, rekey, rekeyCount, statusOf } from './trials.ts'

const LINK_DEADLINE_MS = 30_000

/** What `isthmus rotate --wait --json` prints, as far as it matters here. */
interface Rotated {
  readonly rotations: readonly {
    readonly rotation: { readonly state: string }
    readonly genuine?: boolean
    readonly evidence?: { readonly packetsLost: number }
  }[]
}

/** Rotates the tunnel's key by the control plane while pings run, from before it to after it. */
export async function measureRotation(running: RunningSites): Promise<NonNullable<DemoResult['rotation']>> {
  let rotated = false
  const rotation = running.control.run<Rotated>('rotate', '--all', '--wait').finally(() => {
    rotated = true
  })
  // Should the pings fail, that is the reason to tell.
  rotation.catch(() => undefined)
  let lostPackets = 0
  for (let more = true; more; ) {
    more = !rotated
    const { sent, received } = await ping(running, 100, 10)
    lostPackets += sent - received
  }
  const { rotations } = await rotation
  const told = rotations.flatMap(({ evidence }) => evidence?.packetsLost ?? [])
  return {
    count: rotations.filter(({ rotation: { state } }) => state === 'done').length,
    lostPackets: Math.max(lostPackets, ...told),
    evidence: rotations.every(({ genuine }) => genuine === true) ? 'verified' : 'refused',
  }
}

/** Stops the control plane, pings and rekeys without it, and starts it again. */
export async function measureAway(running: RunningSites): Promise<NonNullable<DemoResult['withoutControl']>> {
  const { control, sites, signal } = running
  await control.stop()
  const before = await rekeyCount(sites.hq)
  const pings = ping(running, 100, 10)
  pings.catch(() => undefined)
  await pause(300, signal)
  await rekey(sites.hq, 'child')
  const { sent, received } = await pings
  const rekeys = (await rekeyCount(sites.hq)) - before
  await control.start()
  await untilLinked(running)
  return { sent, received, rekeys }
}

async function untilLinked({ sites, signal }: RunningSites): Promise<void> {
  const deadline = performance.now() + LINK_DEADLINE_MS
  for (;;) {
    const ends = await Promise.all([statusOf(sites.hq), statusOf(sites.branch)])
    if (ends.every((status) => status.control?.state === 'open')) return
    if (performance.now() > deadline) {
      throw new Error(
        `The connectors did not link again within ${LINK_DEADLINE_MS / 1000} s: ${ends[0].control?.detail}`,
      )
    }
    await pause(50, signal)
  }
}
