import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { skipWithoutNamespaces } from '../system/netns.ts'
import { until } from '../system/until.ts'
import { INSIDE, startGateway } from './bgp-lab.ts'
import { type Bird, startBird } from './bird.ts'
import { type Isthmus, startIsthmus } from './isthmus.ts'
import { createLab, type Lab, OUTER4, SECRET } from './pair.ts'
import { skipWithoutPeers } from './peers.ts'
import type { StrongSwan } from './strongswan.ts'

const WHAT = 'BFD of static routes with BIRD behind strongSwan'
const missing = skipWithoutNamespaces(WHAT) || skipWithoutPeers(WHAT, 'strongswan', 'bird')

/** RFC 5882 section 5. */
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

  it('a session without BGP comes up, finds a path that is cut, comes back, and ends with a word', async () => {
    bird = await startBird(lab.world, 'them', lab.directory, sessionOf(INSIDE.us))
    us = await startConnector()
    await us.up()
    await when('up', (state) => state === 'up')
    expect(await bird.birdc('show', 'bfd', 'sessions')).toMatch(/169\.254\.10\.2\s+\S+\s+Up/)
    await lab.world.exec('them', 'ip link set ipsec0 down')
    await when('lost', (state, flaps) => state !== 'up' && flaps === 1, 5_000)
    expect(us.log()).toContain('BFD lost it: control detection time expired')
    await lab.world.exec('them', 'ip link set ipsec0 up')
    await when('back', (state) => state === 'up')
    await us.stop()
    // A detection time later it would be down for another reason.
    await until('BIRD to hear the end', async () => bird.log().includes('[AdminDown]'), 5_000)
  })

  function startConnector(): Promise<Isthmus> {
    return startIsthmus(lab.world, 'us', lab.directory, {
      address: OUTER4.us,
      networks: ['10.8.1.0/24', `${INSIDE.us}/32`],
      peer: {
        address: OUTER4.them,
        networks: ['10.8.2.0/24', `${INSIDE.them}/32`],
        secret: SECRET,
        keys: [
          'ike: { proposals: [aes128gcm16-prfsha256-x25519] }',
          'esp: { proposals: [aes128gcm16] }',
          `inside: [${INSIDE.us}/30]`,
          'bfd: { interval: 200ms, multiplier: 4 }',
        ],
      },
      keys: ['metrics: { enabled: false }'],
    })
  }

  async function when(what: string, holds: (state: string | undefined, flaps: number) => boolean, limitMs = 15_000) {
    await until(
      `BFD to be ${what}`,
      async () => {
        const { bfd } = await us.tunnel()
        return holds(bfd?.state, bfd?.flaps ?? 0)
      },
      limitMs,
    ).catch(async (error: Error) => {
      const seen = JSON.stringify((await us.tunnel()).bfd)
      throw new Error(`${error.message}; it is ${seen}\n${us.log().slice(-3000)}\n${bird.log()}`)
    })
  }
})

function sessionOf(neighbour: string): string {
  return `log stderr all;
router id ${INSIDE.them};
debug protocols all;
protocol device { scan time 1; }
protocol bfd {
  interface "*" { min rx interval 200 ms; min tx interval 200 ms; multiplier 4; };
  neighbor ${neighbour} dev "ipsec0" local ${INSIDE.them};
}
`
}
