/** How long sessions last, how they are resumed, and to whom they belong. */
import { describe, expect, test } from 'vitest'
import { until } from '../testing/until.ts'
import { World } from '../testing/world.ts'
import type { InvocationMark } from './platform.ts'
import { Tickets } from './tickets.ts'

const ASK = 'http://erp.internal/'
const POST = { method: 'POST', body: 'order' }

async function oneConnector(more: object = {}): Promise<{ world: World; served: () => number }> {
  let count = 0
  const world = await World.create({
    connectors: [{ relay: false }],
    services: {
      http: (exchange) => {
        count++
        exchange.respond(200)
      },
    },
    ...more,
  })
  return { world, served: () => count }
}

describe('resumption', () => {
  test('the next session begins with a ticket, also where a POST goes with its first flight', async () => {
    const { world, served } = await oneConnector()
    const erp = world.site()
    await erp.fetch(ASK)
    await lose(world)
    await erp.fetch(ASK, POST)
    const [first, second] = world.peer.sessions
    expect(first).toMatchObject({ resumed: false })
    expect(second).toMatchObject({ resumed: true, early: true, earlyStreams: 1 })
    expect(served()).toBe(2)
    expect(world.asked.length).toBe(1)
    await erp.close()
  })

  test('a ticket that the connector forgot costs one more handshake, and nothing is done twice', async () => {
    const { world, served } = await oneConnector()
    const erp = world.site()
    await erp.fetch(ASK)
    await lose(world)
    world.peer.tickets.clear()
    await erp.fetch(ASK, POST)
    expect(world.peer.sessions.map(({ resumed }) => resumed)).toEqual([false, false, false])
    expect(served()).toBe(2)
    expect(world.asked.length).toBe(1)
    await erp.close()
  })

  test('early data that is not taken goes again, once', async () => {
    const { world, served } = await oneConnector()
    world.peer.admit = false
    const erp = world.site()
    await erp.fetch(ASK)
    expect(world.peer.sessions[0]).toMatchObject({ early: false, earlyStreams: 0 })
    expect(served()).toBe(1)
    await erp.close()
  })

  test('many sessions use each ticket once', async () => {
    const { world } = await oneConnector()
    const erp = world.site()
    for (let round = 0; round < 6; round++) {
      await erp.fetch(ASK)
      await lose(world)
    }
    expect(world.peer.resumed).toBe(5)
    await erp.close()
  })

  test('a POST on a way that broke off before the answer is not sent again', async () => {
    const { world, served } = await oneConnector()
    const erp = world.site()
    await erp.fetch(ASK)
    await lose(world)
    world.peer.onDial = { code: 1006, reason: '' }
    await expect(erp.fetch(ASK, POST)).rejects.toMatchObject({ code: 'session-lost', retry: 'never' })
    expect(world.peer.dials.length).toBe(2)
    world.peer.onDial = { code: 1006, reason: 'ECONNREFUSED', unsent: true }
    await expect(erp.fetch(ASK, POST)).rejects.toMatchObject({ code: 'site-offline', retry: 'later' })
    expect(served()).toBe(1)
    await erp.close()
  })

  test('secrets of tickets that are thrown away are wiped', () => {
    const tickets = new Tickets(2, 2)
    const kept = (goodUntil: number) => ({
      ticket: { id: new Uint8Array(16), secret: new Uint8Array(32).fill(1), goodMs: 1 },
      goodUntil,
      usableUntil: 100,
    })
    const all = [kept(10), kept(10), kept(5), kept(10), kept(10)]
    const wiped = () => all.map(({ ticket }) => ticket.secret.every((octet) => octet === 0))
    for (const one of all.slice(0, 3)) tickets.put('a', one)
    expect(wiped()).toEqual([true, false, false, false, false])
    expect(tickets.take('a', 7)).toBe(all[1])
    expect(wiped()).toEqual([true, false, true, false, false])
    expect(tickets.take('a', 7)).toBeUndefined()
    tickets.put('b', all[3]!)
    tickets.put('c', all[4]!)
    tickets.put('d', kept(10))
    expect(tickets.take('d', 7, 93)).toBeUndefined()
    expect(wiped()).toEqual([true, false, true, true, false])
  })
})

describe('the life of a session', () => {
  test('a draining one ends what it has, and new requests open another', async () => {
    const { world } = await oneConnector()
    let end!: () => void
    world.peer.services.http = (exchange) => {
      exchange.head200()
      end = () => exchange.end()
    }
    const erp = world.site()
    const slow = await erp.fetch(ASK)
    const [first] = world.peer.sessions
    first!.drain()
    await until(() => first!.drained)
    await erp.fetch(ASK)
    expect(world.peer.sessions.length).toBe(2)
    end()
    await slow.body?.cancel()
    await erp.close()
  })

  test('one whose token ends soon is followed by another before it does, and no request waits', async () => {
    const { world } = await oneConnector()
    world.grantMs = 80_000
    const erp = world.site()
    await erp.fetch(ASK)
    expect(world.peer.sessions.length).toBe(1)
    const held = world.fetch
    let give!: () => void
    world.answer = async () => {
      await new Promise<void>((resolve) => {
        give = resolve
      })
      world.answer = undefined
      world.grantMs = 600_000
      return held('', {})
    }
    await erp.fetch(ASK)
    await until(() => give !== undefined)
    await erp.fetch(ASK)
    give()
    await until(() => world.peer.sessions.length === 2 && world.peer.sessions[1]!.early !== undefined)
    // Not by a ticket, which would end as soon.
    expect(world.peer.resumed).toBe(0)
    world.peer.sessions[0]!.drain()
    await until(() => world.peer.sessions[0]!.drained)
    await erp.fetch(ASK)
    expect(world.peer.sessions.length).toBe(2)
    await erp.close()
  })

  test('one that was silent for long is asked before it is used, and replaced where it does not answer', async () => {
    const { world } = await oneConnector({ timing: { stale: -1 } })
    const erp = world.site()
    await erp.fetch(ASK)
    await erp.fetch(ASK)
    expect(world.peer.sessions.length).toBe(1)
    world.peer.sessions[0]!.deaf = true
    await erp.fetch(ASK, POST)
    expect(world.peer.sessions.length).toBe(2)
    await erp.close()
  })

  test('one whose pings are not answered is given up, and what is open on it ends', async () => {
    const { world } = await oneConnector({ timing: { ping: 10 } })
    world.peer.services.http = (exchange) => exchange.head200()
    const erp = world.site()
    const response = await erp.fetch(ASK)
    world.peer.sessions[0]!.deaf = true
    await expect(response.text()).rejects.toMatchObject({ code: 'session-lost' })
    await erp.close()
  })

  test('one without streams ends after a while, and holds no process until then', async () => {
    const { world } = await oneConnector({ timing: { ping: 5, idle: 0 } })
    const erp = world.site()
    await (await erp.fetch(ASK)).text()
    const [session] = world.peer.sessions
    await until(() => session!.closeCode === 1000)
    expect(session!.held).toBe(false)
    await erp.close()
  })

  test('close ends it and what is under way', async () => {
    const { world } = await oneConnector()
    world.peer.services.http = (exchange) => exchange.head200()
    const erp = world.site()
    const response = await erp.fetch(ASK)
    await erp.close()
    await expect(response.text()).rejects.toMatchObject({ code: 'session-lost' })
    await expect(erp.fetch(ASK)).rejects.toMatchObject({ code: 'session-lost' })
    expect(world.peer.sessions[0]!.closeCode).toBe(1000)
  })
})

describe('invocations of a runtime that keeps their I/O apart', () => {
  /** Marks as the runtime gives them: present only within the invocation that made them. */
  function invocations(): { mark: () => InvocationMark; now: { current: number } } {
    const now = { current: 1 }
    const mark = () => {
      const mine = now.current
      return {
        get present() {
          return now.current === mine
        },
      }
    }
    return { mark, now }
  }

  test('each has its own session, resumed, under one grant, and uses it again', async () => {
    const { mark, now } = invocations()
    const { world } = await oneConnector({ mark })
    const erp = world.site()
    await erp.fetch(ASK)
    await erp.fetch(ASK)
    now.current = 2
    await erp.fetch(ASK)
    now.current = 1
    await erp.fetch(ASK)
    now.current = 2
    await erp.fetch(ASK)
    expect(world.peer.sessions.map(({ resumed }) => resumed)).toEqual([false, true])
    expect(world.asked.length).toBe(1)
  })

  test('two at once do not wait for one another', async () => {
    const { mark, now } = invocations()
    const { world } = await oneConnector({ mark })
    const erp = world.site()
    let answers = 0
    const grant = world.fetch
    world.answer = () => (answers++ === 0 ? new Promise(() => undefined) : late())
    const late = async () => {
      world.answer = undefined
      return grant('', {})
    }
    void erp.fetch(ASK).catch(() => undefined)
    await until(() => world.asked.length === 1)
    now.current = 2
    expect((await erp.fetch(ASK)).status).toBe(200)
  })
})

async function lose(world: World): Promise<void> {
  const session = world.peer.sessions.at(-1)!
  session.vanish()
  await until(() => session.closeCode !== undefined)
}
