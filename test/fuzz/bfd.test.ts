import { describe, expect, it } from 'vitest'
import { BfdEndpoint } from '../../connector/core/bfd/endpoint.ts'
import { CONFIG, PEER_UP } from '../../connector/core/bfd/testing.ts'
import { BFD_STATES, decodeBfd, encodeBfd, isBfdFault } from '../../connector/core/bfd/wire.ts'
import { address } from '../../protocol/net.ts'
import { mutate, random } from './ike-mutate.ts'

const SEED = 58_800
const LOCAL = address('169.254.0.1')
const REMOTE = address('169.254.0.2')

const packets = BFD_STATES.flatMap((state) => [
  encodeBfd({ ...PEER_UP, state }),
  encodeBfd({ ...PEER_UP, state, poll: true, authentication: { type: 2, data: new Uint8Array(22) } }),
])

describe('the BFD parser and the machine behind it', () => {
  it('takes 50,000 mutated packets: never throws, and what decodes re-encodes', () => {
    const next = random(SEED)
    const seen = { decoded: 0, refused: 0 }
    for (let index = 0; index < 50_000; index++) {
      const packet = decodeBfd(mutate(packets, next))
      seen[isBfdFault(packet) ? 'refused' : 'decoded']++
      if (!isBfdFault(packet)) expect(decodeBfd(encodeBfd(packet))).toEqual(packet)
    }
    expect(seen.decoded).toBeGreaterThan(5_000)
    expect(seen.refused).toBeGreaterThan(5_000)
  })

  it('an endpoint that is fed them answers each with at most two packets, and always knows when to wake', () => {
    const next = random(SEED + 1)
    const endpoint = new BfdEndpoint((length) => Uint8Array.from({ length }, () => next(256)))
    endpoint.handle({ kind: 'add', id: 'a', path: { local: LOCAL, remote: REMOTE }, config: CONFIG }, 0)
    let taken = 0
    for (let now = 1; now < 50_000; now += next(3)) {
      const bytes = ours(mutate(packets, next), endpoint.status('a')!.localDiscriminator, next)
      endpoint.handle({ kind: 'datagram', bytes, from: { address: REMOTE, port: 50_000 }, to: LOCAL, ttl: 255 }, now)
      let sends = 0
      for (let effect = endpoint.poll(); effect !== undefined; effect = endpoint.poll()) {
        if (effect.kind === 'send') sends++
        if (effect.kind === 'send') expect(isBfdFault(decodeBfd(effect.bytes))).toBe(false)
        else taken++
      }
      expect(sends).toBeLessThanOrEqual(2)
      expect(endpoint.deadline()).toBeGreaterThan(now - 1)
    }
    expect(taken).toBeGreaterThan(100)
  })
})

/** Half of them know the session, so that they come to the machine. */
function ours(bytes: Uint8Array, discriminator: number, next: (below: number) => number): Uint8Array {
  if (bytes.length >= 24 && next(2) === 0) new DataView(bytes.buffer, bytes.byteOffset).setUint32(8, discriminator)
  return bytes
}
