/** The demo's trial with a function: it fetches an order from an ERP that only the tunnel leads to. */
import { FUNCTION_URL, startFunction } from './function.ts'
import type { DemoResult } from './result.ts'
import { ERP_PORT, FUNCTION, probeVector, startProbe } from './sites.ts'
import { pause, type RunningSites, statusOf } from './trials.ts'

const ORDER = 42
const RECORD_DEADLINE_MS = 5000

/** Every hop that is named was seen: by the connector's record of the stream, and by whom the ERP says that it was asked. */
export async function measureFunction(
  running: RunningSites,
  directory: string,
): Promise<NonNullable<DemoResult['function']>> {
  const { world, sites, control } = running
  const erp = startProbe(world, sites.branch, 'erp', sites.branch.hostAddress, ERP_PORT)
  await erp.waitFor(/"ready":true/)
  const { token } = await control.run<{ token: string }>('function', 'add', 'orders', '--allow', 'hq/erp')
  const worker = await startFunction(world, directory, token)
  try {
    const answer = await ask(running, `${FUNCTION_URL}/orders/${ORDER}`)
    if (answer.status !== 200) throw new Error(`The function answered ${answer.status}: ${answer.text.trim()}`)
    const { order, from, asker } = JSON.parse(answer.text) as { order?: number; from?: string; asker?: string }
    const hops = ['function', await viaOf(running), 'hq']
    // The network of hq and the ERP have no other way to each other.
    if (asker === sites.hq.gatewayAddress) hops.push('tunnel')
    if (order === ORDER && from === sites.branch.hostAddress) hops.push('branch')
    return { status: answer.status, ms: Number(answer.ms.toFixed(1)), path: hops.join(' > ') }
  } finally {
    await worker.stop()
    await erp.stop()
  }
}

async function ask({ world }: RunningSites, url: string): Promise<{ status: number; text: string; ms: number }> {
  const { stdout } = await world.exec(FUNCTION, probeVector('get', url))
  return JSON.parse(stdout) as { status: number; text: string; ms: number }
}

/** How the session came in that the last stream was on. The record is made when the stream is over at both ends. */
async function viaOf({ sites, signal }: RunningSites): Promise<string> {
  const deadline = performance.now() + RECORD_DEADLINE_MS
  for (;;) {
    const last = (await statusOf(sites.hq)).functions?.lastStream
    if (last !== undefined) return last.via
    if (performance.now() > deadline) return 'unknown'
    await pause(20, signal)
  }
}
