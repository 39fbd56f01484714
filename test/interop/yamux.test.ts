/** Our mux and yamux-js 0.2, a port of hashicorp/yamux, understand one another, in both roles. */
import { createHash, randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { joined } from '../fuzz/stream-mux-pair.ts'
import { YamuxEnds } from './yamux-ends.ts'

const KIB = 1024

/** What a stream of yamux-js receives. */
function collect(ends: YamuxEnds, stream: Duplex): { bytes(): Uint8Array; length: number } {
  const chunks: Uint8Array[] = []
  const seen = { length: 0, bytes: () => joined(chunks) }
  stream.on('error', () => {})
  stream.on('data', (chunk: Uint8Array) => {
    chunks.push(chunk)
    seen.length += chunk.length
    ends.look()
  })
  return seen
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

describe('our initiator, their server', () => {
  test('many streams at once, each with an echo', async () => {
    const ends = new YamuxEnds('initiator')
    const streams = Array.from({ length: 100 }, () => ends.open())
    await ends.until(() => ends.accepted.length === 100)
    for (const stream of ends.accepted) stream.on('data', (chunk: Uint8Array) => stream.write(chunk))
    const sent = streams.map((stream, index) => ({ stream, bytes: new Uint8Array(randomBytes(100 + index * 333)) }))
    for (const { stream, bytes } of sent) ends.handle({ type: 'write', stream, bytes })
    await ends.until(() => sent.every(({ stream, bytes }) => ends.received(stream).length === bytes.length))
    for (const { stream, bytes } of sent) expect(digest(ends.received(stream))).toBe(digest(bytes))
    expect(ends.has('failed')).toBe(false)
  })

  test('megabytes, over windows that close and open many times', async () => {
    const ends = new YamuxEnds('initiator')
    const stream = ends.open()
    await ends.until(() => ends.accepted.length === 1)
    const seen = collect(ends, ends.accepted[0]!)
    const bytes = new Uint8Array(randomBytes(4096 * KIB))
    ends.handle({ type: 'write', stream, bytes })
    await ends.until(() => seen.length === bytes.length)
    expect(digest(seen.bytes())).toBe(digest(bytes))
    expect(ends.mux.backlog).toBe(0)
  })

  test('our FIN leaves their half open, theirs ours', async () => {
    const ends = new YamuxEnds('initiator')
    const stream = ends.open()
    await ends.until(() => ends.accepted.length === 1)
    const theirs = ends.accepted[0]!
    ends.handle({ type: 'finish', stream })
    theirs.write('still here')
    await ends.until(() => ends.received(stream).length === 10)
    expect(ends.mux.streams).toBe(1)
    closeStream(theirs)
    await ends.until(() => ends.has('closed', stream))
    expect([ends.has('finished', stream), ends.mux.streams]).toEqual([true, 0])
  })

  test('a reset of ours ends their stream, and no other', async () => {
    const ends = new YamuxEnds('initiator')
    const [given, kept] = [ends.open(), ends.open()]
    await ends.until(() => ends.accepted.length === 2)
    const errors: Error[] = []
    ends.accepted[0]!.on('error', (error) => {
      errors.push(error)
      ends.look()
    })
    ends.handle({ type: 'reset', stream: given })
    ends.accepted[0]!.write('too late')
    await ends.until(() => errors.length > 0)
    ends.accepted[1]!.write('fine')
    await ends.until(() => ends.received(kept).length === 4)
    expect([ends.received(given).length, ends.has('failed')]).toEqual([0, false])
  })

  test('a ping of ours is answered', async () => {
    const ends = new YamuxEnds('initiator')
    ends.handle({ type: 'ping' })
    await ends.until(() => ends.has('pong'))
    expect(ends.mux.rttMs).toBeGreaterThanOrEqual(0)
  })

  test('after our go-away they open no stream more', async () => {
    const ends = new YamuxEnds('initiator')
    ends.handle({ type: 'go-away', code: 'normal' })
    ends.handle({ type: 'ping' })
    await ends.until(() => ends.has('pong'))
    const errors: Error[] = []
    ends.theirs.on('error', (error: Error) => errors.push(error))
    ends.openTheirs()
    expect(errors).toHaveLength(1)
    expect(ends.has('opened')).toBe(false)
  })
})

describe('their client, our responder', () => {
  test('many streams at once, each with an echo', async () => {
    const ends = new YamuxEnds('responder')
    const streams = Array.from({ length: 100 }, () => ends.openTheirs())
    const seen = streams.map((stream) => collect(ends, stream))
    await ends.until(() => ends.events.filter(({ type }) => type === 'opened').length === 100)
    const sent = streams.map((_, index) => new Uint8Array(randomBytes(100 + index * 333)))
    for (const [index, stream] of streams.entries()) stream.write(sent[index])
    await ends.until(() => sent.every((bytes, index) => ends.received(2 * index + 1).length === bytes.length))
    for (const index of sent.keys()) {
      const stream = 2 * index + 1
      ends.handle({ type: 'write', stream, bytes: ends.received(stream) })
    }
    await ends.until(() => seen.every(({ length }, index) => length === sent[index]!.length))
    for (const [index, { bytes }] of seen.entries()) expect(digest(bytes())).toBe(digest(sent[index]!))
  })

  test('megabytes, over windows that close and open many times', async () => {
    const ends = new YamuxEnds('responder')
    const stream = ends.openTheirs()
    const bytes = randomBytes(2048 * KIB)
    stream.write(bytes)
    await ends.until(() => ends.received(1).length === bytes.length)
    expect(digest(ends.received(1))).toBe(digest(bytes))
    expect(ends.has('failed')).toBe(false)
  })

  test('their FIN leaves our half open', async () => {
    const ends = new YamuxEnds('responder')
    const theirs = ends.openTheirs()
    const seen = collect(ends, theirs)
    theirs.write('question')
    await ends.until(() => ends.received(1).length === 8)
    closeStream(theirs)
    await ends.until(() => ends.has('finished', 1))
    ends.handle({ type: 'write', stream: 1, bytes: Buffer.from('answer') })
    await ends.until(() => seen.length === 6)
    ends.handle({ type: 'finish', stream: 1 })
    expect([Buffer.from(seen.bytes()).toString(), ends.has('closed', 1), ends.mux.streams]).toEqual(['answer', true, 0])
  })

  test('more streams than we allow are refused, those within the limit work', async () => {
    const ends = new YamuxEnds('responder')
    const streams = Array.from({ length: 201 }, () => ends.openTheirs())
    const refused: Error[] = []
    streams[200]!.on('error', (error) => {
      refused.push(error)
      ends.look()
    })
    await ends.until(() => ends.events.filter(({ type }) => type === 'opened').length === 200)
    ends.handle({ type: 'ping' })
    await ends.until(() => ends.has('pong'))
    streams[200]!.write('hello?')
    await ends.until(() => refused.length > 0)
    streams[199]!.write('hello')
    await ends.until(() => ends.received(399).length === 5)
    expect([ends.has('failed'), ends.mux.streams]).toEqual([false, 200])
  })

  test('their ping is answered, their go-away heard', async () => {
    const ends = new YamuxEnds('responder')
    const client = ends.theirs as unknown as {
      ping(): void
      pingID: number
      pings: Map<number, unknown>
      close(): void
    }
    client.ping()
    // An answer takes the ping off the list; without one it would end the session.
    await ends.until(() => client.pings.size === 0)
    expect(client.pingID).toBe(1)
    client.close()
    await ends.until(() => ends.has('gone-away'))
    expect(ends.events.at(-1)).toEqual({ type: 'gone-away', code: 0 })
  })
})

/** The half-close of yamux-js, which its types call by a name that Duplex has not. */
function closeStream(stream: Duplex): void {
  ;(stream as Duplex & { close(): void }).close()
}
