/** Routing in the intent of two sites that are up: BGP takes over, changes, and goes, and nothing is lost. */
import { describe, expect, it } from 'vitest'
import { controlRequest } from '../../connector/ops/client.ts'
import type { Intent } from '../../protocol/control/intent.ts'
import type { RoutesAnswer } from '../../protocol/routes.ts'
import type { ConnectorStatus } from '../../protocol/status.ts'
import { inOrder, startFlow } from './flows.ts'
import { createManaged, type Managed, SITE_NAMES, type SiteName } from './managed.ts'
import { skipWithoutNamespaces } from './netns.ts'
import { until } from './until.ts'

const RATE = 500
const FORTH = { from: 'host-hq', fromAddress: '10.1.0.10', to: 'host-branch', toAddress: '10.2.0.10', port: 9000 }
const BACK = { from: 'host-branch', fromAddress: '10.2.0.10', to: 'host-hq', toAddress: '10.1.0.10', port: 9500 }

describe.skipIf(skipWithoutNamespaces('routing of the control plane'))('two managed sites', () => {
  it('go over to BGP, change what they tell, and go back, with nothing lost', async () => {
    const managed = await createManaged()
    try {
      const flows = await Promise.all([FORTH, BACK].map((flow) => startFlow(managed.world, { ...flow, rate: RATE })))
      await route(managed, { bfd: { intervalMs: 300, multiplier: 4 } })
      await untilRoutes(managed, 'hq', { '10.2.0.0/24': 'bgp' })
      await untilRoutes(managed, 'branch', { '10.1.0.0/24': 'bgp' })
      const [before] = await neighbours(managed, 'hq')
      expect(before).toMatchObject({ state: 'established', flaps: 0, ipv4: { accepted: 1, advertised: 1 } })

      await route(managed, {
        sites: [{ site: 'branch', advertises: [{ prefixes: ['10.2.0.0/25', '10.2.0.128/25'] }] }],
      })
      await untilRoutes(managed, 'hq', { '10.2.0.0/25': 'bgp', '10.2.0.128/25': 'bgp', '10.2.0.0/24': 'refused' })
      const [after] = await neighbours(managed, 'hq')
      expect(after).toMatchObject({ state: 'established', flaps: 0 })
      expect(Math.abs(Date.parse(after!.since) - Date.parse(before!.since))).toBeLessThan(1_000)
      // What the site's own people did not say that it owns, it does not advertise, and says so.
      await route(managed, { sites: [{ site: 'branch', owns: ['10.66.0.0/16'] }] })
      await managed.connectors.get('branch')!.waitFor(/10\.66\.0\.0\/16 is not advertised: this site does not own it/)
      await untilRoutes(managed, 'hq', { '10.2.0.0/24': 'bgp' })

      await route(managed, undefined)
      for (const name of SITE_NAMES) {
        const gone = async () => (await managed.status(name))?.bgp === undefined
        await until(`the end of BGP at ${name}`, gone, 20_000)
      }
      await untilRoutes(managed, 'hq', { '10.2.0.0/24': 'configured' })
      for (const flow of flows) {
        const { sent, arrivals } = await flow.stop()
        expect(arrivals).toEqual(inOrder(sent))
      }
      const hasLeft = async () => {
        const { stdout } = await managed.world.exec('gateway-hq', 'ip -o addr show dev isthmus0')
        return !stdout.includes('169.254.')
      }
      await until('the end of inner addresses', hasLeft)
    } finally {
      await managed.close()
    }
  })
})

async function route(managed: Managed, routing: object | undefined): Promise<void> {
  const { routing: _, version: __, ...intent } = await managed.ask<Intent>('GET', '/intent')
  await managed.ask('PUT', '/intent', routing === undefined ? intent : { ...intent, routing })
}

async function neighbours(
  managed: Managed,
  name: SiteName,
): Promise<NonNullable<ConnectorStatus['bgp']>['neighbours']> {
  return (await managed.status(name))?.bgp?.neighbours ?? []
}

/** These and no others, our own and the inner networks of tunnels aside. */
async function untilRoutes(managed: Managed, name: SiteName, wanted: Record<string, string>): Promise<void> {
  let found: Record<string, string> = {}
  const holds = async () => {
    const answer = (await controlRequest(managed.sites[name].controlSocket, 'POST', '/routes', {})) as RoutesAnswer
    const rows = answer.routes.filter(({ prefix, from }) => from !== 'local' && !prefix.startsWith('169.254.'))
    found = Object.fromEntries(rows.map(({ prefix, from }) => [prefix, from]))
    return JSON.stringify(Object.entries(found).sort()) === JSON.stringify(Object.entries(wanted).sort())
  }
  await until(`routes of ${name}`, holds, 30_000).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(found)}\n${managed.logs()}`)
  })
}
