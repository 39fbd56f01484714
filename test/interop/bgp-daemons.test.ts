import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { skipWithoutNamespaces } from '../system/netns.ts'
import { until } from '../system/until.ts'
import { type Daemon, startExaBgp, startFrr, startGoBgp } from './bgp-daemons.ts'
import { AS, INSIDE, neighbourWhen, routesWhen, startConnector, startGateway } from './bgp-lab.ts'
import type { Isthmus } from './isthmus.ts'
import { createLab, type Lab } from './pair.ts'
import { skipWithoutPeers } from './peers.ts'
import type { StrongSwan } from './strongswan.ts'

const DAEMONS = [
  ['FRR', 'frr', startFrr],
  ['GoBGP', 'gobgp', startGoBgp],
  ['ExaBGP', 'exabgp', startExaBgp],
] as const
const KEY = 'of-both-ends'

for (const [name, peer, start] of DAEMONS) {
  const what = `BGP with ${name} behind strongSwan`
  const missing = skipWithoutNamespaces(what) || skipWithoutPeers(what, 'strongswan', peer)

  describe.skipIf(missing)(what, () => {
    let lab: Lab
    let gateway: StrongSwan
    let us: Isthmus
    let them: Daemon

    beforeEach(async () => {
      lab = await createLab()
      gateway = await startGateway(lab)
      them = await start(lab.world, 'them', lab.directory, {
        localAs: AS.them,
        local: INSIDE.them,
        neighbour: INSIDE.us,
        neighbourAs: AS.us,
        prefixes: ['10.8.2.0/24', '10.9.0.0/16'],
        password: KEY,
      })
      const file = join(lab.directory, 'md5')
      writeFileSync(file, `${KEY}\n`, { mode: 0o600 })
      us = await startConnector(lab, { neighbour: [`password: { file: '${file}' }`] })
    })

    afterEach(async () => {
      await us?.stop()
      await them?.stop()
      await gateway?.stop()
      await lab.close()
    })

    it('a signed session, prefixes both ways, a withdrawal, and a goodbye', async () => {
      await us.up()
      await neighbourWhen(us, 'established', ({ state, ipv4 }) => state === 'established' && ipv4.accepted === 2)
      await routesWhen(lab, ['10.8.2.0/24', '10.9.0.0/16', '169.254.10.0/30'])
      await until(`${name} to have our network`, async () => (await them.knows('10.8.1.0/24')) !== '').catch(
        (error) => {
          throw new Error(`${(error as Error).message}\n${them.log().slice(-4000)}`)
        },
      )
      await them.withdraw('10.9.0.0/16')
      await routesWhen(lab, ['10.8.2.0/24', '169.254.10.0/30'])
      expect((await us.status()).bgp!.neighbours[0]).toMatchObject({ flaps: 0, ipv4: { accepted: 1, advertised: 1 } })
      await them.stop()
      await neighbourWhen(us, 'told of its end', ({ state, flaps }) => state !== 'established' && flaps === 1)
    })

    if (peer !== 'exabgp') return

    it('malformed attributes: one withdraws its route, one is left out (RFC 7606)', async () => {
      await us.up()
      await neighbourWhen(us, 'established', ({ state, ipv4 }) => state === 'established' && ipv4.accepted === 2)
      // LARGE_COMMUNITY of 8 octets: the route that was there is taken back.
      them.tell!('announce route 10.9.0.0/16 next-hop self attribute [ 0x20 0xc0 0x0000fde900000001 ]')
      await routesWhen(lab, ['10.8.2.0/24', '169.254.10.0/30'])
      const { lastError } = (await us.status()).bgp!.neighbours[0]!
      expect(lastError).toMatch(/^large-communities-length \(treat-as-withdraw\)/)
      // AGGREGATOR of 5 octets: the route is taken without it.
      them.tell!('announce route 10.10.0.0/16 next-hop self attribute [ 0x07 0xc0 0x0000fde9c0 ]')
      await routesWhen(lab, ['10.10.0.0/16', '10.8.2.0/24', '169.254.10.0/30'])
      const after = (await us.status()).bgp!.neighbours[0]!
      expect(after).toMatchObject({ state: 'established', flaps: 0, ipv4: { accepted: 2 } })
      expect(after.lastError).toMatch(/^aggregator-length \(attribute-discard\)/)
    })
  })
}
