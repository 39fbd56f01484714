/** The demo's live view: both ends' status, refreshed each second over traffic that keeps flowing, until Ctrl-C. */
import { renderStatus } from '../status-view.ts'
import { startProbe } from './sites.ts'
import { pause, type RunningSites, statusOf } from './trials.ts'

const REFRESH_MS = 1000
/** A day of pings at five per second; Ctrl-C comes sooner. */
const PINGS = 432_000

export async function showLive(running: RunningSites, signal: AbortSignal): Promise<void> {
  const { hq, branch } = running.sites
  const traffic = startProbe(running.world, hq, 'ping', branch.hostAddress, PINGS, 200)
  const screen = process.stdout
  if (screen.isTTY) screen.write('\x1b[?1049h\x1b[?25l')
  try {
    while (!signal.aborted) {
      const ends = await Promise.all([statusOf(hq), statusOf(branch)])
      const width = screen.columns ?? 100
      const views = ends.map((status) => renderStatus(status, width, screen.isTTY === true))
      const text = `${views.join('\n\n')}\n\nPings flow from 10.1.0.10 to 10.2.0.10. Ctrl-C ends the demo.\n`
      screen.write(screen.isTTY ? `\x1b[H\x1b[2J${text}` : `${text}\n`)
      await pause(screen.isTTY ? REFRESH_MS : 5 * REFRESH_MS, signal).catch(() => undefined)
    }
  } finally {
    if (screen.isTTY) screen.write('\x1b[?25h\x1b[?1049l')
    await traffic.stop()
  }
}
