/** Two connectors with IKE between them, in two namespaces. */
import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { skipWithoutNamespaces } from './netns.ts'
import { createPair, type Pair, type Shape, statusOf, statusWhen } from './pair.ts'
import { ping } from './ping.ts'

const SHAPE: Shape = { suite: 'ike', encapsulation: 'udp', engine: 'wasm', outer: '4' }

describe.skipIf(skipWithoutNamespaces('the tunnel'))('a tunnel between two connectors', () => {
  let pair: Pair
  beforeEach(async () => {
    pair = await createPair()
  })
  afterEach(() => pair.close())

  it.each([SHAPE, { ...SHAPE, encapsulation: 'esp', outer: '6' } satisfies Shape])(
    'comes up and carries both IP versions: $encapsulation over IPv$outer',
    async (shape) => {
      const ends = await pair.start(shape)
      const options = { count: 20, intervalMs: 20 }
      expect(await ping(pair.world, 'a', '10.8.2.1', options)).toMatchObject({ sent: 20, received: 20 })
      expect(await ping(pair.world, 'b', 'fd00:8:1::1', options)).toMatchObject({ sent: 20, received: 20 })
      await pair.transfer(8)
      const status = await statusOf(ends[0])
      expect(status.tunnels[0]).toMatchObject({
        state: 'up',
        role: 'initiator',
        encapsulation: shape.encapsulation,
        suite: 'aes128gcm16-prfsha256-x25519',
        children: [{ name: 'net', active: true, remote: ['10.8.2.0/24', 'fd00:8:2::/64'] }],
      })
      const keys = readFileSync(`${pair.directory}/a.keys`, 'utf8').trim().split('\n')
      expect(keys.map((line) => (JSON.parse(line) as { kind: string }).kind).sort()).toEqual(['esp', 'esp', 'ike'])
      // The peer hears of the end at once, and not by silence.
      await ends[0].stop()
      await ends[1].waitFor(/"type":"ike-closed","reason":"[^"]*deleted/, 3000)
      await ends[1].stop()
      expect([await ends[0].exited, await ends[1].exited]).toEqual([0, 0])
    },
  )

  it('loses no packet of a thousand a second, both ways, through rekeys of children and of IKE', async () => {
    const ends = await pair.start({ ...SHAPE, rekeyMs: 1000 })
    const options = { count: 8000, intervalMs: 1 }
    const [forth, back] = await Promise.all([
      ping(pair.world, 'a', '10.8.2.1', options),
      ping(pair.world, 'b', 'fd00:8:1::1', options),
    ])
    expect(forth).toMatchObject({ sent: 8000, received: 8000 })
    expect(back).toMatchObject({ sent: 8000, received: 8000 })
    const status = await statusWhen(ends[0], ({ tunnels }) => tunnels[0]!.traffic.inPackets >= 16_000)
    expect(status.drops).toEqual({})
    expect(status.tunnels[0]!.ikeRekeys).toBeGreaterThanOrEqual(2)
    expect(status.tunnels[0]!.children[0]!.rekeys).toBeGreaterThanOrEqual(5)
  })

  it('comes back by itself when one end was killed and started again', async () => {
    const [a, b] = await pair.start(SHAPE)
    a.child.kill('SIGKILL')
    await a.exited
    const again = pair.world.spawn('a', pair.vector(0, SHAPE))
    await again.waitFor(/^ready$/m)
    expect(again.output()).toContain('routes-cleaned')
    const answered = await ping(pair.world, 'a', '10.8.2.1', { count: 20, intervalMs: 20 })
    expect(answered).toMatchObject({ sent: 20, received: 20 })
    // INITIAL_CONTACT: the other end keeps nothing of the SA before (RFC 7296 section 2.4).
    expect((await statusOf(b)).tunnels[0]!.children).toHaveLength(1)
  })
})
