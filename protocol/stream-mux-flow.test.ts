import { describe, expect, test } from 'vitest'
import { drain, type Frame, frame, framesOf, joined, type LIMITS, newMux, Pair } from '../test/fuzz/stream-mux-pair.ts'
import type { Mux } from './stream-mux.ts'
import { FLAG, FRAME, INITIAL_WINDOW } from './stream-mux-frame.ts'

const { SYN, ACK, RST } = FLAG
const KIB = 1024
const MIB = 1024 * KIB

describe('turns', () => {
  test('a thousand streams get equal shares, at every moment', () => {
    const mux = withStreams(1000)
    for (let stream = 1; stream < 2000; stream += 2) {
      mux.handle({ type: 'write', stream, bytes: new Uint8Array(100 * KIB) }, 0)
    }
    const sent = new Map<number, number>()
    const turns = 6000
    for (let turn = 1; turn <= turns; turn++) {
      const effect = mux.poll()!
      if (effect.type !== 'send') continue
      const [{ stream, length }] = framesOf([effect]) as [Frame]
      expect(length).toBeLessThanOrEqual(16 * KIB)
      sent.set(stream, (sent.get(stream) ?? 0) + length)
      if (turn % 500 !== 0) continue
      const shares = Array.from({ length: 1000 }, (_, index) => sent.get(2 * index + 1) ?? 0)
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(16 * KIB)
    }
    expect(sent.size).toBe(1000)
  })

  test('one that has little to say does not wait for one that has much', () => {
    const mux = withStreams(2)
    mux.handle({ type: 'write', stream: 1, bytes: new Uint8Array(200 * KIB) }, 0)
    expect(dataFrame(mux).stream).toBe(1)
    mux.handle({ type: 'write', stream: 3, bytes: new Uint8Array(100) }, 0)
    expect([dataFrame(mux).stream, dataFrame(mux)]).toEqual([1, { type: FRAME.data, flags: 0, stream: 3, length: 100 }])
  })

  test('small writes go together in one frame, large ones are cut where another stream waits', () => {
    const mux = withStreams(2)
    const parts = [10, 20, 40_000, 5].map((length) => crypto.getRandomValues(new Uint8Array(length)))
    for (const stream of [1, 3]) {
      for (const bytes of parts) mux.handle({ type: 'write', stream, bytes }, 0)
    }
    const sends = drain(mux).filter((effect) => effect.type === 'send')
    const frames = framesOf(sends).map(({ stream, length }) => [stream, length])
    const last = 40_035 - 32 * KIB
    expect(frames).toEqual([
      [1, 16 * KIB],
      [3, 16 * KIB],
      [1, 16 * KIB],
      [3, 16 * KIB],
      [1, last],
      // Nobody waits any more.
      [3, last],
    ])
    const ofFirst = sends.filter((_, index) => frames[index]![0] === 1)
    expect(joined(ofFirst.flatMap((send) => send.parts.slice(1)))).toEqual(joined(parts))
  })

  test('a stream for which no other waits has turns of 64,000 bytes', () => {
    const mux = withStreams(2)
    mux.handle({ type: 'write', stream: 1, bytes: new Uint8Array(200_000) }, 0)
    expect(dataFrame(mux).length).toBe(64_000)
    mux.handle({ type: 'write', stream: 3, bytes: new Uint8Array(20_000) }, 0)
    const rest = framesOf(drain(mux)).map(({ stream, length }) => [stream, length])
    expect(rest).toEqual([
      [1, 16 * KIB],
      [3, 16 * KIB],
      [1, 16 * KIB],
      [3, 20_000 - 16 * KIB],
      [1, 64_000],
      [1, 200_000 - 2 * 64_000 - 32 * KIB],
    ])
  })

  test('control frames go before data', () => {
    const pair = new Pair()
    const [stream, other] = [pair.open(pair.initiator), pair.open(pair.initiator)]
    pair.run()
    const { mux } = pair.responder
    mux.handle({ type: 'transport', ready: false }, 0)
    mux.handle({ type: 'write', stream, bytes: new Uint8Array(100) }, 0)
    mux.handle({ type: 'received', bytes: frame(FRAME.ping, SYN, 0, 7) }, 0)
    mux.handle({ type: 'received', bytes: frame(FRAME.windowUpdate, SYN, 5, 0) }, 0)
    mux.handle({ type: 'reset', stream: other }, 0)
    mux.handle({ type: 'transport', ready: true }, 0)
    expect(framesOf(drain(mux))).toEqual([
      { type: FRAME.ping, flags: ACK, stream: 0, length: 7 },
      { type: FRAME.windowUpdate, flags: RST, stream: other, length: 0 },
      { type: FRAME.windowUpdate, flags: ACK, stream: 5, length: 0 },
      { type: FRAME.data, flags: 0, stream, length: 100 },
    ])
  })
})

describe('back-pressure', () => {
  test('nothing comes out while the transport is full', () => {
    const mux = withStreams(1)
    mux.handle({ type: 'transport', ready: false }, 0)
    mux.handle({ type: 'write', stream: 1, bytes: new Uint8Array(100) }, 0)
    mux.handle({ type: 'ping' }, 0)
    expect([drain(mux), mux.backlog]).toEqual([[], 100])
    mux.handle({ type: 'transport', ready: true }, 0)
    expect(framesOf(drain(mux)).map(({ type }) => type)).toEqual([FRAME.ping, FRAME.data])
    expect(mux.backlog).toBe(0)
  })

  test('a stream stops being writable at the send buffer, and tells when half of it is free', () => {
    const mux = withStreams(1, { sendBuffer: 64 * KIB })
    mux.handle({ type: 'write', stream: 1, bytes: new Uint8Array(64 * KIB - 1) }, 0)
    expect(mux.writable(1)).toBe(true)
    mux.handle({ type: 'write', stream: 1, bytes: new Uint8Array(1) }, 0)
    expect(mux.writable(1)).toBe(false)
    expect(drain(mux).map(({ type }) => type)).toEqual(['send', 'writable', 'send'])
    expect(mux.writable(1)).toBe(true)
  })

  test('many streams together wait with little more than 64 send buffers', () => {
    const sendBuffer = 64 * KIB
    const mux = withStreams(1000, { sendBuffer })
    mux.handle({ type: 'transport', ready: false }, 0)
    const streams = Array.from({ length: 1000 }, (_, index) => 2 * index + 1)
    for (const stream of streams) {
      while (mux.writable(stream)) mux.handle({ type: 'write', stream, bytes: new Uint8Array(4 * KIB) }, 0)
    }
    expect(mux.backlog).toBe(64 * sendBuffer + (1000 - 64) * 16 * KIB)
    mux.handle({ type: 'transport', ready: true }, 0)
    const told = drain(mux).flatMap((effect) => (effect.type === 'writable' ? [effect.stream] : []))
    expect([told.sort((a, b) => a - b), mux.backlog]).toEqual([streams, 0])
  })

  test('a stream without a window does not become writable by being asked', () => {
    const mux = withStreams(1)
    mux.handle({ type: 'write', stream: 1, bytes: new Uint8Array(2 * INITIAL_WINDOW) }, 0)
    expect(drain(mux).every(({ type }) => type === 'send')).toBe(true)
    expect([mux.backlog, mux.writable(1)]).toEqual([INITIAL_WINDOW, false])
    mux.handle({ type: 'received', bytes: frame(FRAME.windowUpdate, 0, 1, INITIAL_WINDOW) }, 0)
    expect(drain(mux).some(({ type }) => type === 'writable')).toBe(true)
    expect([mux.backlog, mux.writable(1)]).toEqual([0, true])
  })
})

describe('receive windows', () => {
  test('open again when half was consumed, and not before', () => {
    const mux = newMux('responder')
    mux.handle({ type: 'received', bytes: full(INITIAL_WINDOW) }, 0)
    drain(mux)
    mux.handle({ type: 'consumed', stream: 1, length: INITIAL_WINDOW / 2 - 1 }, 0)
    expect(framesOf(drain(mux))).toEqual([])
    mux.handle({ type: 'consumed', stream: 1, length: 1 }, 0)
    expect(framesOf(drain(mux))).toEqual([
      { type: FRAME.windowUpdate, flags: 0, stream: 1, length: INITIAL_WINDOW / 2 },
    ])
  })

  test('consuming more than came opens the window by what came', () => {
    const mux = newMux('responder')
    mux.handle({ type: 'received', bytes: full(INITIAL_WINDOW / 2) }, 0)
    drain(mux)
    mux.handle({ type: 'consumed', stream: 1, length: 100 * MIB }, 0)
    expect(framesOf(drain(mux)).map(({ length }) => length)).toEqual([INITIAL_WINDOW / 2])
  })

  test('stay shut behind a FIN', () => {
    const mux = newMux('responder')
    mux.handle({ type: 'received', bytes: full(INITIAL_WINDOW) }, 0)
    mux.handle({ type: 'received', bytes: frame(FRAME.windowUpdate, FLAG.FIN, 1, 0) }, 0)
    drain(mux)
    mux.handle({ type: 'consumed', stream: 1, length: INITIAL_WINDOW }, 0)
    expect(framesOf(drain(mux))).toEqual([])
  })

  test('grow until one stream fills a path with a large bandwidth-delay product', () => {
    const path = new Path({ kibPerMs: 50, rttMs: 80 }, { maxWindow: 256 * MIB, maxWindowTotal: 256 * MIB })
    const late = path.run(4000, Number.POSITIVE_INFINITY)
    expect(late / (50 * KIB * 1000)).toBeGreaterThan(0.95)
    // Four times the product, 4,000 KiB, and no more.
    expect(path.largestFlight).toBeLessThanOrEqual(16 * MIB)
  })

  test('grow on a short path where half of one goes within the turns of busy processes', () => {
    for (const [consumedAt, grownBy] of [
      [5, INITIAL_WINDOW],
      [6, 0],
    ] as const) {
      const mux = newMux('responder')
      mux.handle({ type: 'ping' }, 0)
      const [ping] = framesOf(drain(mux)) as [Frame]
      mux.handle({ type: 'received', bytes: frame(FRAME.ping, ACK, 0, ping.length) }, 0.3)
      mux.handle({ type: 'received', bytes: full(INITIAL_WINDOW) }, 0)
      drain(mux)
      mux.handle({ type: 'consumed', stream: 1, length: INITIAL_WINDOW / 2 }, consumedAt)
      const [update] = framesOf(drain(mux)) as [Frame]
      expect(update.length).toBe(INITIAL_WINDOW / 2 + grownBy)
    }
  })

  test('without room to grow, the window bounds the rate: the path above is a test of something', () => {
    const path = new Path({ kibPerMs: 50, rttMs: 80 }, { maxWindow: INITIAL_WINDOW })
    expect(path.run(4000, Number.POSITIVE_INFINITY) / (50 * KIB * 1000)).toBeLessThan(0.1)
    expect(path.largestFlight).toBeLessThanOrEqual(INITIAL_WINDOW)
  })

  test('do not grow for a reader that is slower than the path', () => {
    const path = new Path({ kibPerMs: 50, rttMs: 80 })
    path.run(4000, KIB / 2)
    expect(path.largestFlight).toBeLessThanOrEqual(INITIAL_WINDOW)
  })

  test('all together grow by no more than they may', () => {
    const path = new Path({ kibPerMs: 500, rttMs: 80, streams: 8 }, { maxWindowTotal: MIB })
    path.run(2000, Number.POSITIVE_INFINITY)
    expect(path.largestFlight).toBeLessThanOrEqual(8 * INITIAL_WINDOW + MIB)
    expect(path.largestFlight).toBeGreaterThan(8 * INITIAL_WINDOW)
  })
})

describe('floods', () => {
  test('of pings: only the last few are answered', () => {
    const mux = newMux('responder')
    const pings = Array.from({ length: 5000 }, (_, value) => frame(FRAME.ping, SYN, 0, value))
    mux.handle({ type: 'received', bytes: joined(pings) }, 0)
    const pongs = framesOf(drain(mux))
    expect([pongs.length, pongs[0]!.length, pongs.at(-1)!.length]).toEqual([32, 4968, 4999])
  })

  test('of streams: beyond the limit they are reset, and in the end the session is', () => {
    const mux = newMux('responder', { maxPeerStreams: 10 })
    mux.handle({ type: 'transport', ready: false }, 0)
    mux.handle({ type: 'received', bytes: syns(1, 10 + 1034) }, 0)
    const effects = drain(mux)
    expect(effects).toEqual(Array.from({ length: 10 }, (_, index) => ({ type: 'opened', stream: 2 * index + 1 })))
    mux.handle({ type: 'received', bytes: syns(2 * 1044 + 1, 1) }, 0)
    expect(drain(mux).at(-1)).toMatchObject({ type: 'failed' })
  })

  test('of streams that are reset at once: the limit counts open ones, nothing piles up', () => {
    const mux = newMux('responder', { maxPeerStreams: 10 })
    mux.handle({ type: 'transport', ready: false }, 0)
    for (let stream = 1; stream < 20_000; stream += 2) {
      const reset = frame(FRAME.windowUpdate, RST, stream, 0)
      mux.handle({ type: 'received', bytes: joined([syns(stream, 1), reset]) }, 0)
      expect(drain(mux).map(({ type }) => type)).toEqual(['opened', 'reset'])
    }
    mux.handle({ type: 'transport', ready: true }, 0)
    expect([drain(mux), mux.streams]).toEqual([[], 0])
  })

  test('streams that were refused, closed or reset make room for others', () => {
    const pair = new Pair({ maxPeerStreams: 2 })
    const streams = [1, 2, 3].map(() => pair.open(pair.initiator))
    pair.run()
    expect(pair.initiator.eventsOf(streams[2]!)).toEqual(['reset'])
    pair.handle(pair.initiator, { type: 'reset', stream: streams[0]! })
    pair.handle(pair.responder, { type: 'reset', stream: streams[1]! })
    const next = [1, 2].map(() => pair.open(pair.initiator))
    pair.run()
    expect(next.map((stream) => pair.responder.eventsOf(stream))).toEqual([['opened'], ['opened']])
  })
})

describe('round trips', () => {
  test('are measured by pings', () => {
    const mux = newMux('initiator')
    mux.handle({ type: 'ping' }, 100)
    const [ping] = framesOf(drain(mux)) as [Frame]
    expect([ping.type, ping.flags, mux.rttMs]).toEqual([FRAME.ping, SYN, undefined])
    mux.handle({ type: 'received', bytes: frame(FRAME.ping, ACK, 0, ping.length) }, 142.5)
    expect([drain(mux), mux.rttMs]).toEqual([[{ type: 'pong', rttMs: 42.5 }], 42.5])
  })

  test('answers that nobody asked for, or asked for long ago, are ignored', () => {
    const mux = newMux('initiator')
    for (let ping = 0; ping < 17; ping++) mux.handle({ type: 'ping' }, 0)
    const values = framesOf(drain(mux)).map(({ length }) => length)
    for (const value of [values[0]!, 12_345]) {
      mux.handle({ type: 'received', bytes: frame(FRAME.ping, ACK, 0, value) }, 5)
    }
    expect(drain(mux)).toEqual([])
    for (const value of [values[1]!, values[1]!]) {
      mux.handle({ type: 'received', bytes: frame(FRAME.ping, ACK, 0, value) }, 5)
    }
    expect(drain(mux)).toEqual([{ type: 'pong', rttMs: 5 }])
  })
})

function withStreams(count: number, limits = {}): Mux {
  const mux = newMux('initiator', limits)
  for (let index = 0; index < count; index++) mux.handle({ type: 'open', stream: mux.nextStream }, 0)
  drain(mux)
  return mux
}

function dataFrame(mux: Mux): Frame {
  const effect = mux.poll()
  return framesOf(effect === undefined ? [] : [effect])[0]!
}

function full(length: number): Uint8Array {
  return frame(FRAME.data, SYN, 1, length, new Uint8Array(length))
}

function syns(first: number, count: number): Uint8Array {
  return joined(Array.from({ length: count }, (_, index) => frame(FRAME.windowUpdate, SYN, first + 2 * index, 0)))
}

/** A path of a fixed rate and delay, on a clock of whole milliseconds. */
class Path {
  readonly #pair: Pair
  readonly #kibPerMs: number
  readonly #delayMs: number
  readonly #streams: readonly number[]
  /** Frames on their way, by the millisecond in which they arrive. */
  readonly #flying = { up: new Map<number, Uint8Array[]>(), down: new Map<number, Uint8Array[]>() }
  #consumed = 0
  #waiting: { stream: number; length: number }[] = []
  largestFlight = 0

  constructor(path: { kibPerMs: number; rttMs: number; streams?: number }, limits: Partial<typeof LIMITS> = {}) {
    this.#pair = new Pair({ ...limits, sendBuffer: 64 * MIB })
    this.#kibPerMs = path.kibPerMs
    this.#delayMs = path.rttMs / 2
    this.#streams = Array.from({ length: path.streams ?? 1 }, () => this.#pair.open(this.#pair.initiator))
    this.#pair.onEvent = (end, event) => {
      if (end !== this.#pair.responder || event.type !== 'data') return
      this.#waiting.push({ stream: event.stream, length: event.bytes.length })
    }
  }

  /** Sends all the time; the reader takes `consumePerMs`. Returns the bytes that were consumed in the last second. */
  run(ms: number, consumePerMs: number): number {
    const { initiator, responder } = this.#pair
    const block = new Uint8Array(4 * MIB)
    let before = 0
    for (let now = 0; now < ms; now++) {
      this.#pair.now = now
      if (now === ms - 1000) before = this.#consumed
      for (const bytes of this.#flying.up.get(now) ?? []) this.#pair.handle(responder, { type: 'received', bytes })
      for (const bytes of this.#flying.down.get(now) ?? []) this.#pair.handle(initiator, { type: 'received', bytes })
      this.#consume(consumePerMs)
      for (const stream of this.#streams) {
        if (initiator.mux.writable(stream)) this.#pair.handle(initiator, { type: 'write', stream, bytes: block })
      }
      const up = initiator.out.take(this.#kibPerMs * KIB)
      this.#flying.up.set(now + this.#delayMs, [up])
      this.#flying.down.set(now + this.#delayMs, [responder.out.take(Number.MAX_SAFE_INTEGER)])
      this.largestFlight = Math.max(this.largestFlight, initiator.out.data - this.#consumed)
    }
    return this.#consumed - before
  }

  #consume(most: number): void {
    let left = most
    while (left > 0 && this.#waiting.length > 0) {
      const first = this.#waiting[0]!
      const length = Math.min(first.length, left)
      left -= length
      first.length -= length
      this.#consumed += length
      this.#pair.handle(this.#pair.responder, { type: 'consumed', stream: first.stream, length })
      if (first.length === 0) this.#waiting.shift()
    }
  }
}
