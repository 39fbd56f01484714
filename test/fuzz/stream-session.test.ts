/** Random octets and mutated real messages into both ends of a session, before, in and after the handshake. */
import { beforeAll, describe, expect, it } from 'vitest'
import { build } from '../../wasm/build.ts'
import { SeededRandom } from '../vectors/aead-node.ts'
import { IDENTITY, Pair, ticketsOf } from './stream-session-pair.ts'

const SEED = 'sessions'

beforeAll(async () => {
  await build({ modules: ['stream'] })
})

describe('a session', () => {
  it('takes 5,000 mutated first flights: never throws, never hears of a stream', () => {
    const random = new SeededRandom(SEED)
    const first = new Pair().start().run()
    const ticket = ticketsOf(first)[0]!
    const secret = ticket.secret.slice()
    const flights = [flight(new Pair({ keys: first.keys })), flight(new Pair({ ticket }))]
    let ended = 0
    for (let i = 0; i < 5000; i++) {
      const real = flights[random.below(flights.length)]!
      const taken = { secret: secret.slice(), identity: IDENTITY }
      const pair = new Pair({
        keys: first.keys,
        responder: { takeTicket: (id) => (Buffer.compare(id, ticket.id) === 0 ? taken : undefined) },
      })
      const bytes = mutate(real, random)
      pair.responder.handle({ type: 'message', bytes })
      pair.responder.drain()
      if (flights.some((unchanged) => Buffer.compare(bytes, unchanged) === 0)) {
        expect(pair.responder.types()).toContain('established')
        continue
      }
      expect(pair.responder.types()).toEqual(['ended'])
      expect(pair.responder.data.size).toBe(0)
      expect(pair.watched.live.size).toBe(0)
      ended++
    }
    expect(ended).toBeGreaterThan(3000)
  })

  it('takes 1,500 mutated answers: established by none', () => {
    const random = new SeededRandom(SEED)
    for (let i = 0; i < 1500; i++) {
      const pair = new Pair().start()
      pair.responder.handle({ type: 'message', bytes: pair.next('initiator') })
      const answer = pair.next('responder')
      const bytes = mutate(answer, random)
      pair.initiator.handle({ type: 'message', bytes })
      pair.initiator.drain()
      if (Buffer.compare(bytes, answer) !== 0) expect(pair.initiator.types()).toEqual(['ended'])
      pair.close()
    }
  })

  it('takes mutated records under good keys, as a peer that went mad would send: ends, or goes on, and never throws', () => {
    const random = new SeededRandom(SEED)
    let [ended, went] = [0, 0]
    for (let i = 0; i < 1500; i++) {
      const pair = new Pair().start().run()
      const from = random.below(2) === 0 ? pair.initiator : pair.responder
      const to = from === pair.initiator ? pair.responder : pair.initiator
      const stream = pair.initiator.open()
      pair.initiator.write(stream, random.bytes(1 + random.below(300)))
      pair.run()
      for (let message = 0; message < 3; message++) {
        const real = realRecords(stream, random)
        const records = random.below(2) === 0 ? real : mutate(real, random)
        const { sealMessage } = from.session as unknown as Sealing
        to.handle({ type: 'message', bytes: sealMessage.call(from.session, [records]) })
        to.drain()
        if (to.last('ended') !== undefined) break
      }
      if (to.last('ended') === undefined) went++
      else ended++
      pair.close()
      expect(pair.watched.live.size).toBe(0)
    }
    expect(ended).toBeGreaterThan(300)
    expect(went).toBeGreaterThan(100)
  })

  it('takes random octets of any length at any time', () => {
    const random = new SeededRandom(SEED)
    for (let i = 0; i < 2000; i++) {
      const pair = new Pair()
      if (random.below(2) === 0) pair.start()
      if (random.below(3) === 0) pair.run()
      for (const end of [pair.initiator, pair.responder]) {
        const bytes = random.bytes(random.below(400))
        if (bytes.length > 0 && random.below(2) === 0) bytes[0] = 1 + random.below(2)
        end.handle({ type: 'message', bytes })
        end.drain()
        expect(end.last('ended')).toBeDefined()
      }
      expect(pair.watched.live.size).toBe(0)
    }
  })
})

interface Sealing {
  sealMessage(parts: readonly Uint8Array[]): Uint8Array
}

function flight(pair: Pair): Uint8Array {
  pair.initiator.write(pair.initiator.open(), 'early')
  return pair.start().next('initiator')
}

/** Frames of yamux and control messages as they may come. */
function realRecords(stream: number, random: SeededRandom): Buffer {
  const frame = Buffer.alloc(12)
  const type = random.below(3)
  const length = random.below(40)
  frame[1] = type
  if (random.below(4) === 0) frame.writeUInt16BE(1 << random.below(4), 2)
  frame.writeUInt32BE(type === 2 ? 0 : stream, 4)
  frame.writeUInt32BE(length, 8)
  const json = Buffer.from(`{"type":"reset","stream":${stream},"problem":{"code":"overloaded","cause":"","remedy":""}}`)
  const parts =
    random.below(2) === 0
      ? [record(0, Buffer.concat([frame, random.bytes(type === 0 ? length : 0)]))]
      : [record(1, json)]
  return Buffer.concat([...parts, record(0, Buffer.alloc(0))])
}

function record(kind: number, content: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head[0] = kind
  head.writeUInt32BE(content.length, 1)
  return Buffer.concat([head, content])
}

/** One to three octets changed, cut, put in or repeated; seldom none. */
function mutate(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  let mutated = Buffer.from(bytes)
  for (let changes = random.below(4); changes > 0; changes--) {
    const at = random.below(mutated.length + 1)
    const way = random.below(5)
    if (way === 0) mutated = mutated.subarray(0, at)
    else if (way === 1) mutated = Buffer.concat([mutated.subarray(0, at), random.bytes(3), mutated.subarray(at)])
    else if (way === 2) mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(at + 1)])
    else if (way === 3) mutated = Buffer.concat([mutated, mutated.subarray(at)])
    else if (at < mutated.length) mutated[at]! ^= 1 + random.below(255)
  }
  return new Uint8Array(mutated)
}
