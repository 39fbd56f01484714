import { describe, expect, test } from 'vitest'
import { drain, frame, framesOf, joined, newMux, Pair } from '../test/fuzz/stream-mux-pair.ts'
import type { Mux } from './stream-mux.ts'
import { FLAG, FRAME, INITIAL_WINDOW } from './stream-mux-frame.ts'

const { SYN, ACK, FIN, RST } = FLAG
const HELLO = new TextEncoder().encode('hello')

describe('the wire', () => {
  test('a stream that is opened, written and finished', () => {
    const mux = newMux('initiator')
    expect(mux.nextStream).toBe(1)
    mux.handle({ type: 'open', stream: 1 }, 0)
    mux.handle({ type: 'write', stream: 1, bytes: HELLO }, 0)
    mux.handle({ type: 'finish', stream: 1 }, 0)
    const sent = drain(mux).flatMap((effect) =>
      effect.type === 'send' ? [Buffer.concat(effect.parts).toString('hex')] : [],
    )
    expect(sent).toEqual([
      '00 01 0001 00000001 00000000'.replaceAll(' ', ''),
      '00 00 0000 00000001 00000005 68656c6c6f'.replaceAll(' ', ''),
      '00 01 0004 00000001 00000000'.replaceAll(' ', ''),
    ])
    expect(mux.nextStream).toBe(3)
  })

  test('a responder opens even streams, and acknowledges those of the peer', () => {
    const mux = newMux('responder')
    expect(mux.nextStream).toBe(2)
    mux.handle({ type: 'received', bytes: frame(FRAME.data, SYN, 1, 5, HELLO) }, 0)
    const effects = drain(mux)
    expect(effects.slice(0, 2)).toEqual([
      { type: 'opened', stream: 1 },
      { type: 'data', stream: 1, bytes: HELLO },
    ])
    expect(framesOf(effects)).toEqual([{ type: FRAME.windowUpdate, flags: ACK, stream: 1, length: 0 }])
  })

  test('received bytes are not copied, written ones neither', () => {
    const mux = newMux('responder')
    const bytes = frame(FRAME.data, SYN, 1, 5, HELLO)
    mux.handle({ type: 'received', bytes }, 0)
    const data = drain(mux).find((effect) => effect.type === 'data')!
    expect(data.bytes.buffer).toBe(bytes.buffer)
    mux.handle({ type: 'write', stream: 1, bytes: HELLO }, 0)
    const sent = drain(mux).find((effect) => effect.type === 'send')!
    expect(sent.parts[1]).toBe(HELLO)
  })

  test('a frame is read however it is cut', () => {
    const bytes = joined([
      frame(FRAME.windowUpdate, SYN, 1, 0),
      frame(FRAME.data, FIN, 1, 5, HELLO),
      frame(FRAME.ping, SYN, 0, 0xfeed_beef),
    ])
    for (let cut = 0; cut <= bytes.length; cut++) {
      const mux = newMux('responder')
      mux.handle({ type: 'received', bytes: bytes.subarray(0, cut) }, 0)
      mux.handle({ type: 'received', bytes: bytes.subarray(cut) }, 0)
      const effects = drain(mux)
      const data = effects.flatMap((effect) => (effect.type === 'data' ? [effect.bytes] : []))
      expect(joined(data)).toEqual(HELLO)
      expect(effects.filter(({ type }) => type === 'opened' || type === 'finished')).toHaveLength(2)
      expect(framesOf(effects)).toContainEqual({ type: FRAME.ping, flags: ACK, stream: 0, length: 0xfeed_beef })
    }
  })
})

describe('a peer that breaks the protocol ends the session', () => {
  const cases: Record<string, readonly Uint8Array[]> = {
    'an unknown version': [Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)],
    'an unknown type': [frame(4, 0, 0, 0)],
    'a ping for a stream': [frame(FRAME.ping, SYN, 1, 0)],
    'a go-away for a stream': [frame(FRAME.goAway, 0, 1, 0)],
    'stream 0': [frame(FRAME.windowUpdate, SYN, 0, 0)],
    'data for the session': [frame(FRAME.data, 0, 0, 1, Uint8Array.of(1))],
    'a stream of our parity': [frame(FRAME.windowUpdate, SYN, 2, 0)],
    'a stream twice': [frame(FRAME.windowUpdate, SYN, 1, 0), frame(FRAME.windowUpdate, SYN, 1, 0)],
    'a stream behind a later one': [frame(FRAME.windowUpdate, SYN, 3, 0), frame(FRAME.windowUpdate, SYN, 1, 0)],
    'a frame larger than the window': [frame(FRAME.data, SYN, 1, INITIAL_WINDOW + 1)],
    'frames that fill more than the window': [
      frame(FRAME.data, SYN, 1, INITIAL_WINDOW, new Uint8Array(INITIAL_WINDOW)),
      frame(FRAME.data, 0, 1, 1),
    ],
    'a send window beyond 32 bits': [
      frame(FRAME.windowUpdate, SYN, 1, 0xffff_ffff - INITIAL_WINDOW),
      frame(FRAME.windowUpdate, 0, 1, 1),
    ],
    'a go-away that tells of an error': [frame(FRAME.goAway, 0, 0, 1)],
  }
  for (const [name, frames] of Object.entries(cases)) {
    test(name, () => {
      const mux = newMux('responder')
      for (const bytes of frames.slice(0, -1)) mux.handle({ type: 'received', bytes }, 0)
      expect(drain(mux).some(({ type }) => type === 'failed')).toBe(false)
      mux.handle({ type: 'received', bytes: frames.at(-1)! }, 0)
      const effects = drain(mux)
      expect(effects.at(-1)!.type).toBe('failed')
      expect(framesOf(effects).at(-1)).toEqual({ type: FRAME.goAway, flags: 0, stream: 0, length: 1 })
      expectDead(mux)
    })
  }

  test('the largest send window is no fault', () => {
    const mux = newMux('responder')
    mux.handle({ type: 'received', bytes: frame(FRAME.windowUpdate, SYN, 1, 0xffff_ffff - INITIAL_WINDOW) }, 0)
    expect(drain(mux).map(({ type }) => type)).toEqual(['opened', 'send'])
  })

  function expectDead(mux: Mux): void {
    mux.handle({ type: 'received', bytes: frame(FRAME.ping, SYN, 0, 1) }, 0)
    mux.handle({ type: 'open', stream: mux.nextStream }, 0)
    mux.handle({ type: 'ping' }, 0)
    expect([drain(mux), mux.streams, mux.backlog, mux.writable(1)]).toEqual([[], 0, 0, false])
  }
})

describe('hard orderings', () => {
  test('both finish at once', () => {
    const pair = new Pair()
    const stream = pair.open(pair.initiator)
    pair.run()
    pair.handle(pair.initiator, { type: 'finish', stream })
    pair.handle(pair.responder, { type: 'finish', stream })
    pair.run()
    expect(pair.initiator.eventsOf(stream)).toEqual(['finished', 'closed'])
    expect(pair.responder.eventsOf(stream)).toEqual(['opened', 'finished', 'closed'])
    expect([pair.initiator.mux.streams, pair.responder.mux.streams]).toEqual([0, 0])
  })

  test.each(['initiator', 'responder'] as const)('half-close by the %s first, bytes go on the other way', (first) => {
    const pair = new Pair()
    const stream = pair.open(pair.initiator)
    pair.run()
    const one = pair[first]
    const two = pair.other(one)
    pair.handle(one, { type: 'finish', stream })
    pair.run()
    expect(two.eventsOf(stream)).toContain('finished')
    expect([one.mux.writable(stream), two.mux.writable(stream)]).toEqual([false, true])
    pair.handle(one, { type: 'write', stream, bytes: HELLO })
    pair.handle(two, { type: 'write', stream, bytes: HELLO })
    pair.handle(two, { type: 'finish', stream })
    pair.run()
    expect([one.received(stream), two.received(stream)]).toEqual([HELLO, new Uint8Array(0)])
    expect(one.events.at(-1)).toEqual({ type: 'closed', stream })
    expect(two.events.at(-1)).toEqual({ type: 'closed', stream })
  })

  test('a reset crosses data: what was on its way is dropped, the session goes on', () => {
    const pair = new Pair()
    const stream = pair.open(pair.initiator)
    pair.run()
    pair.handle(pair.initiator, { type: 'write', stream, bytes: new Uint8Array(INITIAL_WINDOW) })
    pair.handle(pair.responder, { type: 'reset', stream })
    pair.run()
    expect(pair.initiator.eventsOf(stream)).toEqual(['writable', 'reset'])
    expect(pair.responder.eventsOf(stream)).toEqual(['opened'])
    expect([pair.initiator.failure, pair.responder.failure]).toEqual([undefined, undefined])
    const next = pair.open(pair.initiator)
    pair.handle(pair.initiator, { type: 'write', stream: next, bytes: HELLO })
    pair.run()
    expect(pair.responder.received(next)).toEqual(HELLO)
  })

  test('what comes for a stream that we reset is bounded by what was left of its window', () => {
    const mux = newMux('responder')
    mux.handle({ type: 'received', bytes: frame(FRAME.data, SYN, 1, 5, HELLO) }, 0)
    mux.handle({ type: 'reset', stream: 1 }, 0)
    const left = INITIAL_WINDOW - 5
    mux.handle({ type: 'received', bytes: frame(FRAME.data, 0, 1, left, new Uint8Array(left)) }, 0)
    expect(drain(mux).map(({ type }) => type)).toEqual(['opened', 'data', 'send'])
    mux.handle({ type: 'received', bytes: frame(FRAME.data, 0, 1, 1) }, 0)
    expect(drain(mux).at(-1)!.type).toBe('failed')
  })

  test('a reset in the middle of a frame drops the rest of it', () => {
    const mux = newMux('responder')
    const bytes = joined([frame(FRAME.data, SYN | FIN, 1, 5, HELLO), frame(FRAME.windowUpdate, SYN, 3, 0)])
    mux.handle({ type: 'received', bytes: bytes.subarray(0, 14) }, 0)
    mux.handle({ type: 'reset', stream: 1 }, 0)
    mux.handle({ type: 'received', bytes: bytes.subarray(14) }, 0)
    expect(drain(mux).filter(({ type }) => type !== 'send')).toEqual([
      { type: 'opened', stream: 1 },
      { type: 'data', stream: 1, bytes: HELLO.subarray(0, 2) },
      { type: 'opened', stream: 3 },
    ])
  })

  test('a reset drops what waits, and goes before it', () => {
    const mux = newMux('initiator')
    mux.handle({ type: 'open', stream: 1 }, 0)
    drain(mux)
    mux.handle({ type: 'write', stream: 1, bytes: new Uint8Array(100_000) }, 0)
    expect(mux.backlog).toBe(100_000)
    mux.handle({ type: 'finish', stream: 1 }, 0)
    mux.handle({ type: 'reset', stream: 1 }, 0)
    expect(framesOf(drain(mux))).toEqual([{ type: FRAME.windowUpdate, flags: RST, stream: 1, length: 0 }])
    expect([mux.backlog, mux.streams]).toEqual([0, 0])
  })

  test('a stream that is reset before its SYN went out never was', () => {
    const mux = newMux('initiator')
    mux.handle({ type: 'transport', ready: false }, 0)
    mux.handle({ type: 'open', stream: 1 }, 0)
    mux.handle({ type: 'reset', stream: 1 }, 0)
    mux.handle({ type: 'open', stream: 3 }, 0)
    mux.handle({ type: 'transport', ready: true }, 0)
    expect(framesOf(drain(mux))).toEqual([{ type: FRAME.windowUpdate, flags: SYN, stream: 3, length: 0 }])
  })

  test('a window update for a stream that is over', () => {
    const pair = new Pair()
    const stream = pair.open(pair.initiator)
    pair.handle(pair.initiator, { type: 'write', stream, bytes: new Uint8Array(200_000) })
    pair.handle(pair.initiator, { type: 'finish', stream })
    pair.deliver(pair.initiator)
    pair.handle(pair.initiator, { type: 'reset', stream })
    pair.handle(pair.responder, { type: 'consumed', stream, length: 200_000 })
    pair.run()
    expect([pair.initiator.failure, pair.responder.failure]).toEqual([undefined, undefined])
    expect(pair.responder.eventsOf(stream)).toEqual(['opened', 'data', 'finished', 'reset'])
  })

  test('FIN comes behind the data although the window holds it back', () => {
    const pair = new Pair()
    const stream = pair.open(pair.initiator)
    pair.handle(pair.initiator, { type: 'write', stream, bytes: new Uint8Array(INITIAL_WINDOW + 1) })
    pair.handle(pair.initiator, { type: 'finish', stream })
    pair.run()
    expect(pair.responder.eventsOf(stream)).toEqual(['opened', 'data'])
    pair.handle(pair.responder, { type: 'consumed', stream, length: INITIAL_WINDOW })
    pair.run()
    expect(pair.responder.eventsOf(stream)).toEqual(['opened', 'data', 'finished'])
    expect(pair.responder.received(stream)).toHaveLength(INITIAL_WINDOW + 1)
  })

  test('both reset at once', () => {
    const pair = new Pair()
    const stream = pair.open(pair.initiator)
    pair.run()
    pair.handle(pair.initiator, { type: 'reset', stream })
    pair.handle(pair.responder, { type: 'reset', stream })
    pair.run()
    expect([pair.initiator.eventsOf(stream), pair.responder.eventsOf(stream)]).toEqual([[], ['opened']])
    expect([pair.initiator.failure, pair.responder.failure]).toEqual([undefined, undefined])
  })

  test('a stream reader that takes nothing holds up nobody else', () => {
    const pair = new Pair()
    const slow = pair.open(pair.initiator)
    const quick = pair.open(pair.initiator)
    pair.onEvent = (end, event) => {
      if (event.type === 'data' && event.stream === quick) {
        end.mux.handle({ type: 'consumed', stream: quick, length: event.bytes.length }, 0)
      }
    }
    for (const stream of [slow, quick]) {
      pair.handle(pair.initiator, { type: 'write', stream, bytes: new Uint8Array(4 * INITIAL_WINDOW) })
    }
    pair.run()
    expect(pair.responder.received(slow)).toHaveLength(INITIAL_WINDOW)
    expect(pair.responder.received(quick)).toHaveLength(4 * INITIAL_WINDOW)
    expect(pair.initiator.mux.backlog).toBe(3 * INITIAL_WINDOW)
  })
})

describe('going away', () => {
  test('open streams go on, new ones of the peer are refused', () => {
    const pair = new Pair()
    const old = pair.open(pair.initiator)
    pair.run()
    pair.handle(pair.responder, { type: 'go-away', code: 'normal' })
    const crossing = pair.open(pair.initiator)
    pair.handle(pair.initiator, { type: 'write', stream: crossing, bytes: HELLO })
    pair.run()
    expect(pair.initiator.events).toContainEqual({ type: 'gone-away', code: 0 })
    expect(pair.initiator.eventsOf(crossing)).toEqual(['reset'])
    pair.handle(pair.initiator, { type: 'write', stream: old, bytes: HELLO })
    pair.run()
    expect(pair.responder.received(old)).toEqual(HELLO)
    expect(pair.responder.eventsOf(crossing)).toEqual([])
    const late = pair.open(pair.initiator)
    expect(pair.initiator.events.at(-1)).toEqual({ type: 'reset', stream: late })
    expect(pair.initiator.out.length).toBe(0)
  })

  test('streams of our own may still be opened', () => {
    const pair = new Pair()
    pair.handle(pair.initiator, { type: 'go-away', code: 'normal' })
    const stream = pair.open(pair.initiator)
    pair.handle(pair.initiator, { type: 'write', stream, bytes: HELLO })
    pair.run()
    expect(pair.responder.received(stream)).toEqual(HELLO)
  })
})

test('opening another stream than the next is a mistake in the program', () => {
  expect(() => newMux('initiator').handle({ type: 'open', stream: 2 }, 0)).toThrow(RangeError)
})

test('the largest id is one as any other', () => {
  const mux = newMux('responder')
  const last = 0xffff_ffff
  mux.handle({ type: 'received', bytes: frame(FRAME.data, SYN, last, 5, HELLO) }, 0)
  mux.handle({ type: 'finish', stream: last }, 0)
  const effects = drain(mux)
  expect(effects.slice(0, 2).map(({ type }) => type)).toEqual(['opened', 'data'])
  expect(framesOf(effects).map(({ flags, stream }) => [flags, stream])).toEqual([
    [ACK, last],
    [FIN, last],
  ])
})
