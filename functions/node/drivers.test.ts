/** Drivers, unchanged, through a site: `pg` with a Postgres in WebAssembly, `ioredis` with as much of Redis as it asks for. */
import { PGlite } from '@electric-sql/pglite'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { streamProblem } from '../../protocol/stream-problem.ts'
import type { PeerTcp } from '../testing/peer.ts'
import { until } from '../testing/until.ts'
import { World } from '../testing/world.ts'
import { ioredisOptions, pgOptions } from './drivers.ts'

describe('pg', () => {
  const database = new PGlite()
  afterAll(() => database.close())

  /** Hands whole messages of the protocol to the database, which takes no others. */
  async function postgres(tcp: PeerTcp): Promise<void> {
    await database.waitReady
    let had = Buffer.alloc(0)
    let started = false
    for (let bytes = await tcp.read(); bytes !== undefined; bytes = await tcp.read()) {
      had = Buffer.concat([had, bytes])
      for (let length = messageLength(had, started); length <= had.length; length = messageLength(had, started)) {
        const message = had.subarray(0, length)
        had = had.subarray(length)
        if (started && message[0] === 'X'.charCodeAt(0)) tcp.stream.finish()
        else tcp.stream.write(started ? await database.execProtocolRaw(message) : STARTED)
        started = true
      }
    }
    tcp.stream.finish()
  }

  test('a pool queries, transacts and ends', async () => {
    const world = await World.create({ connectors: [{ relay: false }], services: { tcp: postgres } })
    const site = world.site()
    const pool = new pg.Pool({ ...pgOptions(site, 'db.internal:5432'), user: 'u', database: 'd', max: 1 })
    expect((await pool.query('SELECT $1::int + 1 AS sum', [41])).rows).toEqual([{ sum: 42 }])
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query('CREATE TABLE orders (id int, note text)')
    const note = 'x'.repeat(300_000)
    await client.query('INSERT INTO orders VALUES ($1, $2)', [42, note])
    await client.query('COMMIT')
    client.release()
    expect((await pool.query('SELECT note FROM orders')).rows).toEqual([{ note }])
    await expect(pool.query('SELECT nothing')).rejects.toThrow(/nothing/)
    await pool.end()
    await until(() => world.peer.sessions[0]!.openStreams === 0)
    await site.close()
  })

  test('a connection that is refused is an error with its remedy', async () => {
    const problem = streamProblem('service-not-allowed', 'It may not reach db.', 'Allow it.')
    const world = await World.create({ connectors: [{ relay: false }], services: { refuse: () => problem } })
    const client = new pg.Client({ ...pgOptions(world.site(), 'db.internal:5432'), user: 'u' })
    await expect(client.connect()).rejects.toMatchObject({ code: 'service-not-allowed', remedy: 'Allow it.' })
  })
})

describe('ioredis', () => {
  test('sets, gets, pipelines, comes back after a loss, and ends', async () => {
    const store = new Map<string, string>()
    const world = await World.create({
      connectors: [{ relay: false }],
      services: { tcp: (tcp) => redis(tcp, store) },
    })
    const site = world.site()
    const client = new Redis({ ...ioredisOptions(site, 'cache.internal:6379'), retryStrategy: () => 1 })
    client.on('error', () => undefined)
    await client.set('a', '1')
    expect(await client.get('a')).toBe('1')
    const big = 'y'.repeat(500_000)
    expect(await client.pipeline().set('b', big).get('b').exec()).toEqual([
      [null, 'OK'],
      [null, big],
    ])
    world.peer.sessions[0]!.vanish()
    await until(() => client.status !== 'ready')
    expect(await client.get('a')).toBe('1')
    expect(world.peer.sessions.length).toBe(2)
    await client.quit()
    await until(() => world.peer.sessions[1]!.openStreams === 0)
    await site.close()
  })
})

/** Bytes of the next message; the first one of all has no type. */
function messageLength(bytes: Buffer, started: boolean): number {
  const at = started ? 1 : 0
  return bytes.length < at + 4 ? Number.POSITIVE_INFINITY : at + bytes.readUInt32BE(at)
}

/** AuthenticationOk and ReadyForQuery. */
const STARTED = Uint8Array.of(0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49)

/** Commands as arrays of bulk strings. */
async function redis(tcp: PeerTcp, store: Map<string, string>): Promise<void> {
  let text = ''
  const bulk = (value: string | undefined) => (value === undefined ? '$-1\r\n' : `$${value.length}\r\n${value}\r\n`)
  const say = (answer: string) => tcp.stream.write(new TextEncoder().encode(answer))
  for (let bytes = await tcp.read(); bytes !== undefined; bytes = await tcp.read()) {
    text += new TextDecoder().decode(bytes)
    for (let command = commandOf(text); command !== undefined; command = commandOf(text)) {
      text = text.slice(command.length)
      const [name, key, value] = command.words
      if (name === 'set') store.set(key!, value!)
      if (name === 'get') say(bulk(store.get(key!)))
      else if (name === 'info') say(bulk('redis_version:7.0.0\r\nloading:0'))
      else say('+OK\r\n')
      if (name === 'quit') tcp.stream.finish()
    }
  }
  tcp.stream.finish()
}

function commandOf(text: string): { words: string[]; length: number } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text)
  if (head === null) return undefined
  let at = head[0].length
  const words: string[] = []
  for (let left = Number(head[1]); left > 0; left--) {
    const size = /^\$(\d+)\r\n/.exec(text.slice(at, at + 20))
    if (size === null) return undefined
    at += size[0].length
    const end = at + Number(size[1])
    if (text.length < end + 2) return undefined
    words.push(words.length === 0 ? text.slice(at, end).toLowerCase() : text.slice(at, end))
    at = end + 2
  }
  return { words, length: at }
}
