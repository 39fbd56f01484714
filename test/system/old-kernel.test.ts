/** Kernels that lack an offload, or all of them: the packet path falls back in steps, says so, and carries everything. */
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { skipWithoutNamespaces } from './netns.ts'
import { createPair, type Pair, type Shape, statusOf } from './pair.ts'
import { stream } from './stream.ts'

const PRELOAD = join(import.meta.dirname, 'old-kernel.ts')
const SHAPE: Shape = { suite: 'aes-128-gcm', encapsulation: 'udp', engine: 'wasm', outer: '4' }
const MEGABYTES = 16

describe.skipIf(skipWithoutNamespaces('older kernels'))('a kernel that lacks', () => {
  let pair: Pair
  afterEach(() => pair.close())

  it.each([
    ['uso', { tun: 'tso', udpSend: 'gso', udpReceive: 'gro', why: 'TUN: UDP runs need Linux 6.2' }],
    [
      'offload',
      {
        tun: 'none',
        udpSend: 'gso',
        udpReceive: 'gro',
        why: 'TUN: this kernel has no virtio_net_hdr for TUN devices',
      },
    ],
    ['gso', { tun: 'tso+uso', udpSend: 'single', udpReceive: 'gro', why: 'UDP_SEGMENT: not in this kernel' }],
    ['gro', { tun: 'tso+uso', udpSend: 'gso', udpReceive: 'single', why: 'UDP_GRO: not in this kernel' }],
    ['offload,gso,gro', { tun: 'none', udpSend: 'single', udpReceive: 'single' }],
  ])(
    '%s carries TCP both ways byte for byte beside one that has everything',
    async (lacks, offloads) => {
      pair = await createPair()
      const [program, ...words] = pair.vector(0, SHAPE)
      const old = pair.world.spawn('a', [program!, '--import', PRELOAD, ...words], {
        env: { ISTHMUS_TEST_LACKS: lacks },
      })
      const current = pair.world.spawn('b', pair.vector(1, SHAPE))
      await Promise.all([old, current].map((end) => end.waitFor(/^ready$/m)))
      await stream(pair.world, 'a', 'b', '10.8.2.1', MEGABYTES)
      await stream(pair.world, 'b', 'a', 'fd00:8:1::1', MEGABYTES)
      expect((await statusOf(old)).offloads).toMatchObject(offloads)
    },
    60_000,
  )
})
