/** Which connector is asked, by which way, and what happens where it does not answer. */
import { describe, expect, test } from 'vitest'
import { streamProblem } from '../../protocol/stream-problem.ts'
import type { PeerExchange } from '../testing/peer.ts'
import { until } from '../testing/until.ts'
import { World } from '../testing/world.ts'
import { DEFAULT_TIMING } from './platform.ts'
import { Ways } from './ways.ts'

const ASK = 'http://erp.internal/'
const POST = { method: 'POST', body: 'order' }
/** The next way soon, so that tests need not wait. */
const timing = { stagger: 20, patience: 20, backoff: 1 }

/** Counts what each connector's service did. */
function counting(world: World): number[] {
  const counts = world.connectors.map(() => 0)
  world.connectors.forEach(({ peer }, number) => {
    peer.services.http = (exchange: PeerExchange) => {
      counts[number]!++
      exchange.respond(200, [['x-by', String(number)]])
    }
  })
  return counts
}

async function world(connectors: readonly object[], more: object = {}): Promise<{ world: World; counts: number[] }> {
  const made = await World.create({ connectors, timing: { ...timing, ...more } })
  return { world: made, counts: counting(made) }
}

describe('straight and relayed', () => {
  test('straight goes first, and alone where it answers', async () => {
    const { world: w } = await world([{}], { stagger: 5_000 })
    const erp = w.site()
    await erp.fetch(ASK)
    expect(w.peer.dials.map(({ url }) => url)).toEqual([`wss://${w.peer.id}.test/`])
    await erp.close()
  })

  test('the relay is told the session token, a direct connector is not', async () => {
    const { world: w } = await world([{ direct: false }])
    const erp = w.site()
    await erp.fetch(ASK)
    const { url, protocols } = w.peer.dials[0]!
    expect(url).toBe(`wss://control.test/v1/networks/net_0123456789abcdefghjk/connectors/${w.peer.id}/stream`)
    expect(protocols[0]).toBe('isthmus.stream.1')
    expect(protocols[1]).toMatch(/^f\.[\w-]+$/)
    expect(protocols[2]).toBe('t.aaaa.bbbb.cccc')
    await erp.close()
  })

  test('where straight fails the relay is asked at once, and first the next time', async () => {
    const { world: w, counts } = await world([{}], { stagger: 60_000 })
    const erp = w.site()
    w.peer.onDial = (call) =>
      call.url.includes('/v1/') ? 'serve' : { code: 1006, reason: 'ECONNREFUSED', unsent: true }
    expect((await erp.fetch(ASK)).status).toBe(200)
    w.peer.sessions[0]!.vanish()
    await until(() => w.peer.sessions[0]!.closeCode !== undefined)
    await erp.fetch(ASK)
    expect(w.peer.dials.map(({ url }) => url.includes('/v1/'))).toEqual([false, true, true])
    expect(counts).toEqual([2])
    await erp.close()
  })

  test('where straight does not answer the relay is asked beside it', async () => {
    const { world: w, counts } = await world([{}])
    const erp = w.site()
    w.peer.onDial = (call) => (call.url.includes('/v1/') ? 'serve' : 'hang')
    await erp.fetch(ASK)
    expect(counts).toEqual([1])
    await erp.close()
  })

  test('a POST is not sent twice: it waits for the way that answers', async () => {
    const { world: w, counts } = await world([{}])
    const erp = w.site()
    w.peer.onDial = (call) => (call.url.includes('/v1/') ? 'serve' : 'hang')
    await erp.fetch(ASK, POST)
    expect(counts).toEqual([1])
    // Neither first flight had it.
    expect(w.peer.sessions.map(({ early }) => early)).toEqual([true])
    expect(w.peer.sessions[0]!.earlyStreams).toBe(0)
    await erp.close()
  })
})

test('a site that is offline is not asked for at the control plane by each request', async () => {
  const { world: w } = await world([{ relay: false }])
  const erp = w.site()
  w.peer.onDial = { code: 1006, reason: '' }
  for (let i = 0; i < 5; i++) await expect(erp.fetch(ASK)).rejects.toMatchObject({ code: 'site-offline' })
  expect(w.asked.length).toBe(1)
  expect(w.peer.dials.length).toBe(5)
})

test("the caller's fetch is for the control plane and its relay, not for connectors", async () => {
  const { world: w } = await world([{}])
  w.peer.onDial = (call) => (call.url.includes('/v1/') ? 'serve' : { code: 1006, reason: '' })
  const erp = w.site()
  await erp.fetch(ASK)
  expect(w.peer.dials.map(({ fetch }) => fetch !== undefined)).toEqual([false, true])
  await erp.close()
})

describe('several connectors', () => {
  test('all of which nothing is known are tried at once, and the one that answers first is taken again', async () => {
    const { world: w, counts } = await world([{ relay: false }, { relay: false }], { stagger: 60_000 })
    const erp = w.site()
    w.connectors[0]!.peer.onDial = 'hang'
    await erp.fetch(ASK, POST)
    expect(counts).toEqual([0, 1])
    w.connectors[1]!.peer.sessions[0]!.drain()
    await until(() => w.connectors[1]!.peer.sessions[0]!.drained)
    await erp.fetch(ASK)
    expect(w.connectors[0]!.peer.dials.length).toBe(1)
    expect(counts).toEqual([0, 2])
    await erp.close()
  })

  test('one that sheds load says so: the other one is asked, also by a POST', async () => {
    const { world: w, counts } = await world([{ relay: false }, { relay: false }], { stagger: 60_000 })
    const erp = w.site()
    const shed = streamProblem('overloaded', 'Too much.', 'Wait.')
    let refused = 0
    const [first, second] = w.connectors.map(({ peer }) => peer)
    const other = (peer: typeof first) => (peer === first ? second : first)
    for (const peer of [first!, second!]) {
      peer.services.refuse = () => {
        other(peer)!.services.refuse = () => undefined
        refused++
        return shed
      }
    }
    await erp.fetch(ASK, POST)
    expect(refused).toBe(1)
    expect(counts[0]! + counts[1]!).toBe(1)
    await erp.close()
  })

  test('a service that one cannot reach is reached over the other one', async () => {
    const { world: w, counts } = await world([{ relay: false }, { relay: false }])
    const erp = w.site()
    w.connectors[1]!.peer.onDial = 'hang'
    w.connectors[0]!.peer.services.refuse = () => {
      w.connectors[1]!.peer.onDial = 'serve'
      return streamProblem('connect-refused', 'The service refuses.', 'Start it.')
    }
    await erp.fetch(ASK, POST)
    expect(counts).toEqual([0, 1])
    await erp.close()
  })
})

describe('one connector that refuses', () => {
  test.each([
    ['overloaded', 4],
    ['draining', 4],
    ['connect-refused', 1],
    ['site-offline', 1],
    ['service-not-allowed', 1],
    ['timed-out', 1],
    ['token-expired', 4],
  ] as const)('%s: %d tries, no matter how safe', async (code, tries) => {
    const { world: w } = await world([{ relay: false }])
    const erp = w.site()
    let asked = 0
    w.peer.services.refuse = () => {
      asked++
      return streamProblem(code, 'It is so.', 'Help.')
    }
    await expect(erp.fetch(ASK, POST)).rejects.toMatchObject({ code })
    expect(asked).toBe(tries)
    await erp.close()
  })

  test('a token that expired is replaced, and the session with it', async () => {
    const { world: w, counts } = await world([{ relay: false }])
    const erp = w.site()
    let expired = true
    w.peer.services.refuse = () => {
      if (!expired) return undefined
      expired = false
      return streamProblem('token-expired', 'It has expired.', 'Ask for a grant.')
    }
    await erp.fetch(ASK, POST)
    expect({ grants: w.asked.length, sessions: w.peer.sessions.length, counts }).toEqual({
      grants: 2,
      sessions: 2,
      counts: [1],
    })
    await erp.close()
  })

  test('the handshake refused: the error is what the connector says', async () => {
    const { world: w } = await world([{ relay: false }])
    w.peer.refusal = streamProblem('token-refused', 'The token is of another site.', 'Look at the site.')
    await expect(w.site().fetch(ASK)).rejects.toMatchObject({ code: 'token-refused' })
  })

  test.each([
    [4400, 'protocol-error'],
    [4401, 'key-changed'],
    [4404, 'site-offline'],
    [4429, 'overloaded'],
    [4503, 'draining'],
    [1006, 'site-offline'],
  ])('the WebSocket closed by %d: %s', async (code, problem) => {
    const { world: w } = await world([{ relay: false }])
    w.peer.onDial = { code, reason: JSON.stringify({ code: 'x', cause: 'Because.' }) }
    const error = await w
      .site()
      .fetch(ASK)
      .catch((error) => error)
    expect(error).toMatchObject({ code: problem })
    expect(error.message).toContain('Because.')
    // Another key of the connector: a new grant is asked for, once.
    expect(w.asked.length).toBe(code === 4401 ? 2 : 1)
  })
})

describe('a session that is lost before the head', () => {
  test.each([
    ['GET', undefined, true],
    ['PUT', 'x', true],
    ['DELETE', undefined, true],
    ['POST', 'x', false],
    ['PATCH', 'x', false],
  ])('%s is asked again: %s', async (method, body, again) => {
    const { world: w } = await world([{ relay: false }])
    const erp = w.site()
    let asked = 0
    w.peer.services.http = async (exchange) => {
      for await (const _ of exchange.body);
      if (++asked === 1) w.peer.sessions[0]!.vanish()
      else exchange.respond(200)
    }
    const response = erp.fetch(ASK, { method, ...(body === undefined ? {} : { body }) })
    if (again) expect((await response).status).toBe(200)
    else await expect(response).rejects.toMatchObject({ code: 'session-lost', retry: 'never' })
    expect(asked).toBe(again ? 2 : 1)
    await erp.close()
  })

  test('again and again: four tries', async () => {
    const { world: w } = await world([{ relay: false }])
    let asked = 0
    w.peer.services.http = () => {
      asked++
      w.peer.sessions.at(-1)!.vanish()
    }
    await expect(w.site().fetch(ASK)).rejects.toMatchObject({ code: 'session-lost' })
    expect(asked).toBe(4)
  })

  test('within the body: the body ends with the typed error', async () => {
    const { world: w } = await world([{ relay: false }])
    const erp = w.site()
    w.peer.services.http = (exchange) => {
      exchange.head200()
      exchange.write('half')
    }
    const response = await erp.fetch(ASK)
    const reader = response.body!.getReader()
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('half')
    w.peer.sessions[0]!.vanish()
    await expect(reader.read()).rejects.toMatchObject({ name: 'IsthmusError', code: 'session-lost' })
    await erp.close()
  })

  test('a stream that is broken off says why', async () => {
    const { world: w } = await world([{ relay: false }])
    const erp = w.site()
    const why = streamProblem('idle-timeout', 'Nothing came for 5 minutes.', 'Raise timeouts.idle.')
    w.peer.services.http = ({ stream }) => stream.abort(undefined, why)
    await expect(erp.fetch(ASK)).rejects.toMatchObject(why)
    await erp.close()
  })
})

test('a connector that does not answer is given up in time, and the error names the site', async () => {
  const { world: w } = await world([{ relay: false }])
  w.peer.onDial = 'hang'
  const error = await w
    .site({ timeouts: { connect: 30 } })
    .fetch(ASK, POST)
    .catch((error) => error)
  expect(error).toMatchObject({ code: 'timed-out' })
  expect(error.message).toContain('site hq')
})

test('a response that does not begin in time is given up', async () => {
  const { world: w } = await world([{ relay: false }])
  const erp = w.site({ timeouts: { response: 20 } })
  w.peer.services.http = async ({ stream }) => {
    await stream.read()
  }
  await expect(erp.fetch(ASK)).rejects.toMatchObject({ code: 'timed-out' })
  expect(w.peer.openings[0]).toMatchObject({ timeoutMs: 20 })
  await erp.close()
})

describe('the order of ways', () => {
  const [a, b] = ['a', 'b'].map((id) => ({ id, streamKey: new Uint8Array(32), direct: 'wss://x', relay: '/r' }))
  const named = (ways: Ways, now: number) =>
    ways.order([a!, b!], now, DEFAULT_TIMING).map(({ connector, via, after }) => `${connector.id} ${via} ${after}`)

  test('is by what is known', () => {
    const ways = new Ways()
    expect(named(ways, 0)).toEqual(['a direct 0', 'b direct 0', 'a relay 250', 'b relay 250'])
    ways.good({ connector: a!, via: 'direct' }, 50, 0)
    ways.good({ connector: b!, via: 'direct' }, 10, 0)
    expect(named(ways, 1)).toEqual(['b direct 0', 'a direct 1000', 'b relay 1000', 'a relay 1000'])
    ways.failed({ connector: b!, via: 'direct' }, 2)
    ways.good({ connector: b!, via: 'relay' }, 20, 3)
    expect(named(ways, 4)).toEqual(['b relay 0', 'a direct 1000', 'b direct 1000', 'a relay 1000'])
    expect(named(ways, 300_003)[0]).toBe('b direct 0')
    expect(named(ways, 700_000)).toEqual(['a direct 0', 'b direct 0', 'a relay 250', 'b relay 250'])
  })

  test('a way that lost a race is known to be farther, and not tried first', () => {
    const ways = new Ways()
    ways.good({ connector: b!, via: 'direct' }, 10, 0)
    ways.slower({ connector: a!, via: 'direct' }, 10, 0)
    expect(named(ways, 1)[0]).toBe('b direct 0')
    expect(named(ways, 1)[1]).toBe('a direct 1000')
  })
})
