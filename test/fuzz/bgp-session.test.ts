import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readPcap } from '../../connector/cli/decode/pcap.ts'
import { SESSION_STATES } from '../../connector/core/bgp/session-types.ts'
import { Driven, openWith, PEER_OPEN } from '../../connector/core/bgp/testing/driven.ts'
import { encodeKeepalive, encodeOpen, encodeRefresh } from '../../connector/core/bgp/wire/codec.ts'
import { framesOf } from './ike-captures.ts'
import { mutate, random } from './ike-mutate.ts'

const SEED = 4_271

/** Behind the headers of Ethernet, IP and TCP with timestamps. */
const recorded = ['bird', 'exabgp', 'gobgp']
  .flatMap((name) => framesOf(readPcap(readFileSync(new URL(`../vectors/bgp/${name}.pcap`, import.meta.url)))))
  .map(({ bytes }) => Uint8Array.from(bytes))
  .filter((bytes) => bytes[23] === 6 && bytes.length > 66)
  .map((bytes) => bytes.subarray(66))

const pool = [
  ...recorded,
  // Many of them, for only the right AS goes on.
  ...new Array<Uint8Array>(20).fill(encodeOpen(PEER_OPEN)),
  ...new Array<Uint8Array>(10).fill(encodeKeepalive()),
  openWith({ holdTime: 3 }, { type: 'role', role: 3 }),
  encodeRefresh({ afi: 2, safi: 1, subtype: 0 }),
]

describe('a session with a neighbour that says anything', () => {
  it('20,000 times: no exception, no way out of the six states, and never stuck', () => {
    const next = random(SEED)
    const ended = new Map<string, number>()
    for (let index = 0; index < 20_000; index++) {
      const state = SESSION_STATES[next(SESSION_STATES.length)]!
      const driven = new Driven({
        role: 'provider',
        gracefulRestart: { restartTimeS: 9, notification: true, forwarding: false },
      })
      driven.reach(state)
      for (let count = 1 + next(3); count > 0; count--) {
        const bytes = next(4) === 0 ? pool[next(pool.length)]! : mutate(pool, next).subarray(0, 66_000)
        driven.bytes(bytes)
        if (next(3) === 0) driven.give({ type: 'incoming', connection: `in-${count}` })
        if (next(4) === 0) driven.due()
      }
      const { session } = driven
      expect(SESSION_STATES).toContain(session.state)
      if (state !== 'idle') expect(session.deadline()).toBeDefined()
      const key = `${state} ${session.state}`
      ended.set(key, (ended.get(key) ?? 0) + 1)
    }
    for (const way of [
      'established established',
      'established idle',
      'open-sent open-confirm',
      'open-confirm established',
    ]) {
      expect(ended.get(way) ?? 0).toBeGreaterThan(50)
    }
  })
})
