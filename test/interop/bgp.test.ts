import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { skipWithoutNamespaces } from '../system/netns.ts'
import { until } from '../system/until.ts'
import {
  AS,
  INSIDE,
  kernelRoutes,
  neighbourConfiguration,
  neighbourWhen,
  routesWhen,
  startConnector,
  startGateway,
  startNeighbour,
} from './bgp-lab.ts'
import type { Bird } from './bird.ts'
import type { Isthmus } from './isthmus.ts'
import { createLab, type Lab } from './pair.ts'
import { skipWithoutPeers } from './peers.ts'
import type { StrongSwan } from './strongswan.ts'

const WHAT = 'BGP with BIRD behind strongSwan'
const missing = skipWithoutNamespaces(WHAT) || skipWithoutPeers(WHAT, 'strongswan', 'bird')

describe.skipIf(missing)(WHAT, () => {
  let lab: Lab
  let gateway: StrongSwan
  let us: Isthmus
  let bird: Bird

  beforeEach(async () => {
    lab = await createLab()
    gateway = await startGateway(lab)
  })

  afterEach(async () => {
    await us?.stop()
    await bird?.stop()
    await gateway?.stop()
    await lab.close()
  })

  it('prefixes go both ways, packets follow them, and a withdrawal takes them back', async () => {
    bird = await startNeighbour(lab)
    us = await startConnector(lab)
    await us.up()
    await neighbourWhen(us, 'established', ({ state, ipv4 }) => state === 'established' && ipv4.received === 2)
    await routesWhen(lab, ['10.8.2.0/24', '10.9.0.0/16', '169.254.10.0/30'])
    await until('BIRD to have our network', async () => (await bird.birdc('show', 'route')).includes('10.8.1.0/24'))
    expect(await bird.birdc('show', 'route', 'all', '10.8.1.0/24')).toContain(`BGP.as_path: ${AS.us}`)
    // BIRD's own prefixes are blackholes; the address of `them` lies in one of them.
    await lab.world.exec('us', 'ping -c 2 -i 0.2 -W 2 -I 10.8.1.1 10.8.2.1')
    await bird.configure(neighbourConfiguration({ prefixes4: ['10.9.0.0/16'] }))
    await routesWhen(lab, ['10.9.0.0/16', '169.254.10.0/30'])
    await us.stop()
    expect(await kernelRoutes(lab)).toEqual([])
    await until('BIRD to hear why', async () => bird.log().includes('Administrative shutdown'))
    expect(bird.log()).toContain('the connector is stopping')
  })
})
