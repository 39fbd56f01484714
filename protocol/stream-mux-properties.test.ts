/** Two muxes under scripts by chance: whatever happens, bytes arrive as they were written, and nothing is left over. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type End, Pair } from '../test/fuzz/stream-mux-pair.ts'

/** Small, so that windows close and buffers fill within a script. */
const LIMITS = { maxPeerStreams: 6, maxWindow: 1024 * 1024, maxWindowTotal: 1024 * 1024, sendBuffer: 100_000 }

const side = fc.constantFrom('initiator' as const, 'responder' as const)
const which = fc.nat({ max: 40 })

const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('open' as const), side }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('write' as const), side, which, length: fc.nat({ max: 200_000 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('finish' as const), side, which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const), side, which }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('consume' as const), side, which, length: fc.nat({ max: 300_000 }) }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('deliver' as const), side, length: fc.nat({ max: 200_000 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('deliver' as const), side, length: fc.nat({ max: 30 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('transport' as const), side, ready: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ping' as const), side }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat({ max: 200 }) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

interface Half {
  written: number
  finished: boolean
  reset: boolean
  received: number
  consumed: number
}

/** What both programs did with their streams, and whether it was seen at the other end. */
class World {
  readonly pair = new Pair(LIMITS)
  readonly #halves = new Map<string, Half>()
  readonly #streams = { initiator: [] as number[], responder: [] as number[] }

  constructor() {
    this.pair.onEvent = (end, event) => {
      if (event.type === 'opened') this.#streams[end.name].push(event.stream)
      if (event.type === 'reset' || event.type === 'closed')
        this.half(end, event.stream).reset ||= event.type === 'reset'
      if (event.type !== 'data') return
      const half = this.half(end, event.stream)
      for (let index = 0; index < event.bytes.length; index += 997) {
        if (event.bytes[index] === octet(event.stream, half.received + index)) continue
        throw new Error(`stream ${event.stream} differs at ${half.received + index}`)
      }
      half.received += event.bytes.length
    }
  }

  half(end: End, stream: number): Half {
    const key = `${end.name} ${stream}`
    const half = this.#halves.get(key) ?? { written: 0, finished: false, reset: false, received: 0, consumed: 0 }
    this.#halves.set(key, half)
    return half
  }

  streams(end: End): readonly number[] {
    return this.#streams[end.name]
  }

  do(step: Step): void {
    if (step.do === 'wait') {
      this.pair.now += step.ms
      return
    }
    const end = this.pair[step.side]
    const streams = this.streams(end)
    const stream = 'which' in step ? streams[step.which % Math.max(1, streams.length)] : undefined
    if (step.do === 'open') this.#streams[end.name].push(this.pair.open(end))
    if (step.do === 'deliver') this.pair.deliver(end, step.length)
    if (step.do === 'transport') this.pair.handle(end, { type: 'transport', ready: step.ready })
    if (step.do === 'ping') this.pair.handle(end, { type: 'ping' })
    if (stream === undefined) return
    if (step.do === 'write') this.write(end, stream, step.length)
    if (step.do === 'finish') this.finish(end, stream)
    if (step.do === 'consume') this.consume(end, stream, step.length)
    if (step.do !== 'reset') return
    this.half(end, stream).reset = true
    this.pair.handle(end, { type: 'reset', stream })
  }

  write(end: End, stream: number, length: number): void {
    const half = this.half(end, stream)
    if (half.finished || half.reset || !end.mux.writable(stream)) return
    const bytes = Uint8Array.from({ length }, (_, index) => octet(stream, half.written + index))
    half.written += length
    this.pair.handle(end, { type: 'write', stream, bytes })
  }

  finish(end: End, stream: number): void {
    this.half(end, stream).finished = true
    this.pair.handle(end, { type: 'finish', stream })
  }

  consume(end: End, stream: number, most: number): void {
    const half = this.half(end, stream)
    const length = Math.min(most, half.received - half.consumed)
    half.consumed += length
    this.pair.handle(end, { type: 'consumed', stream, length })
  }

  /** Everybody reads and finishes. */
  end(): void {
    const ends = [this.pair.initiator, this.pair.responder]
    for (const end of ends) this.pair.handle(end, { type: 'transport', ready: true })
    for (let round = 0; round < 3 || ends.some((end) => end.mux.streams > 0); round++) {
      if (round > 1000) throw new Error('some stream does not end')
      for (const end of ends) {
        for (const stream of this.streams(end)) {
          this.finish(end, stream)
          this.consume(end, stream, Number.MAX_SAFE_INTEGER)
        }
      }
      this.pair.run()
    }
  }

  check(): void {
    for (const end of [this.pair.initiator, this.pair.responder]) {
      const other = this.pair.other(end)
      expect([end.failure, end.mux.streams, end.mux.backlog]).toEqual([undefined, 0, 0])
      for (const stream of this.streams(end)) {
        const [mine, theirs] = [this.half(end, stream), this.half(other, stream)]
        const over = end.eventsOf(stream).filter((type) => type === 'closed' || type === 'reset')
        expect(over.length).toBeLessThanOrEqual(1)
        if (over.length > 0) expect(end.eventsOf(stream).at(-1)).toBe(over[0])
        if (mine.reset || theirs.reset) {
          expect(theirs.received).toBeLessThanOrEqual(mine.written)
        } else {
          expect([theirs.received, theirs.consumed, over]).toEqual([mine.written, mine.written, ['closed']])
        }
      }
    }
  }
}

describe('any script', () => {
  test('bytes arrive as they were written, windows hold, everything is forgotten', () => {
    const seen = { data: 0, resets: 0, closed: 0, blocked: 0 }
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
        const world = new World()
        for (const one of steps) world.do(one)
        seen.blocked += world.pair.initiator.mux.backlog > 0 ? 1 : 0
        world.end()
        world.check()
        const { events } = world.pair.responder
        seen.data += events.filter(({ type }) => type === 'data').length
        seen.resets += events.filter(({ type }) => type === 'reset').length
        seen.closed += events.filter(({ type }) => type === 'closed').length
      }),
      { numRuns: 300, seed: 20_240_517 },
    )
    // The scripts do what they are for.
    expect(Math.min(seen.data, seen.resets, seen.closed, seen.blocked)).toBeGreaterThan(20)
  })
})

function octet(stream: number, offset: number): number {
  return (stream * 31 + offset * 7 + (offset >>> 8) * 13) & 0xff
}
