import { describe, expect, it } from 'vitest'
import { FLAG, FRAME, INITIAL_WINDOW } from '../../protocol/stream-mux-frame.ts'
import { mutate, random } from './ike-mutate.ts'
import { drain, frame, joined, newMux } from './stream-mux-pair.ts'

const SEED = 20_240_517
const { SYN, ACK, FIN, RST } = FLAG

const BLOCK = new Uint8Array(INITIAL_WINDOW + 1)

/** Sessions as they may be. */
const SESSIONS = [
  joined([
    frame(FRAME.windowUpdate, SYN, 1, 0),
    frame(FRAME.data, 0, 1, 40, new Uint8Array(40)),
    frame(FRAME.windowUpdate, SYN, 3, 1000),
    frame(FRAME.data, FIN, 3, 5, new Uint8Array(5)),
    frame(FRAME.windowUpdate, FIN, 1, 0),
    frame(FRAME.ping, SYN, 0, 7),
  ]),
  joined([
    frame(FRAME.windowUpdate, ACK, 2, 0),
    frame(FRAME.data, SYN | FIN, 1, 3, new Uint8Array(3)),
    frame(FRAME.windowUpdate, 0, 2, INITIAL_WINDOW),
    frame(FRAME.data, SYN, 5, 9, new Uint8Array(9)),
    frame(FRAME.windowUpdate, RST, 5, 0),
    frame(FRAME.goAway, 0, 0, 0),
  ]),
].map((bytes) => Buffer.from(bytes))

describe('the mux', () => {
  it('takes random bytes: never throws, ends the session at most once, and says nothing behind it', () => {
    const next = random(SEED)
    const seen = { alive: 0, failed: 0 }
    for (let index = 0; index < 10_000; index++) {
      seen[
        feed(
          Uint8Array.from({ length: next(80) }, () => (next(3) === 0 ? next(256) : next(4))),
          next,
        )
      ]++
    }
    expect(Math.min(seen.alive, seen.failed)).toBeGreaterThan(500)
  })

  it('takes mutated sessions', () => {
    const next = random(SEED + 1)
    const seen = { alive: 0, failed: 0 }
    for (let index = 0; index < 10_000; index++) seen[feed(mutate(SESSIONS, next), next)]++
    expect(Math.min(seen.alive, seen.failed)).toBeGreaterThan(500)
  })
})

/** Bytes in two pieces to a responder that uses the streams that it has. */
function feed(bytes: Uint8Array, next: (below: number) => number): 'alive' | 'failed' {
  const mux = newMux('responder', { maxPeerStreams: 3 })
  mux.handle({ type: 'open', stream: 2 }, 0)
  mux.handle({ type: 'write', stream: 2, bytes: BLOCK }, 0)
  drain(mux)
  const cut = next(bytes.length + 1)
  let received = 0
  let failed = 0
  for (const part of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
    mux.handle({ type: 'received', bytes: part }, next(100))
    for (const effect of drain(mux)) {
      if (failed > 0) throw new Error(`${effect.type} behind the end`)
      if (effect.type === 'failed') failed++
      if (effect.type !== 'data') continue
      received += effect.bytes.length
      mux.handle({ type: 'consumed', stream: effect.stream, length: effect.bytes.length }, 0)
    }
    for (const stream of [1, 2, 3, 5]) mux.handle({ type: next(8) === 0 ? 'reset' : 'finish', stream }, 0)
  }
  if (received > bytes.length) throw new Error('more data than there were bytes')
  if (failed > 0) expect([drain(mux), mux.streams, mux.backlog]).toEqual([[], 0, 0])
  return failed > 0 ? 'failed' : 'alive'
}
