/** Brings the host's optimising compiler to the packet path, before traffic has to wait for it. */
import {
  carrySuperPacket,
  fillSynthetic,
  installSynthetic,
  openSynthetic,
  sealSynthetic,
  setUpSynthetic,
} from './engine-synthetic.ts'
import type { AeadSuite, PacketEngine } from './packet-engine.ts'

/** V8 optimises the packet path after about a thousand packets; the rest lets its background threads finish. */
const ROUNDS = 40
const SIZES = [64, 576, 1400]
const SUITES: readonly AeadSuite[] = ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305']

/** Seals and opens packets of several sizes with every suite. `engine` must be new. @throws when they do not pass */
export function runWarmUp(engine: PacketEngine): void {
  setUpSynthetic(engine)
  for (const [i, suite] of SUITES.entries()) {
    installSynthetic(engine, suite, 256 + i)
    for (let round = 0; round < ROUNDS; round++) {
      fillSynthetic(engine, SIZES[round % SIZES.length]!)
      sealSynthetic(engine, round)
      openSynthetic(engine, round)
      carrySuperPacket(engine, round)
    }
  }
}
