/**
 * A function on Node: `functions-node.ts SCENARIO [ARGUMENT...]`, with ISTHMUS_TOKEN. Prints one JSON line, what came of
 * it; some print a word before, for who waits for it.
 */
import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import { IsthmusError, type Site, site } from 'isthmus/functions'
import { ioredisOptions, pgOptions } from 'isthmus/functions/node'
import pg from 'pg'

const CHUNK = new Uint8Array(65_536).fill(0x69)

const SCENARIOS: Readonly<Record<string, (hq: Site, ...args: string[]) => Promise<unknown>>> = {
  order: async (hq, url = 'http://erp.internal:8000/orders/42') => {
    const response = await hq.fetch(url)
    return { status: response.status, body: await response.json() }
  },

  /** Codes of everything that is refused or fails, by what was asked for. */
  refusals: async (hq) => {
    const elsewhere = site('nowhere')
    const asked: Record<string, Promise<unknown>> = {
      'another site': elsewhere.fetch('http://erp.internal/'),
      'an unknown service': hq.fetch('http://payroll.internal/'),
      'another port': hq.fetch('http://erp.internal:9000/orders/1'),
      'not let in by the site': hq.fetch('http://private.internal/orders/1'),
      'nobody listens': hq.connect('closed.internal:9').opened,
      'too slow': hq.fetch('http://quick.internal/silent'),
      'outside the networks': hq.connect('192.0.2.2:8000').opened,
      'a port that is not listed': hq.connect('10.1.0.10:22').opened,
      'loopback of the gateway': hq.connect('127.0.0.1:81').opened,
      'what clouds tell about themselves': hq.connect('169.254.169.254:81').opened,
      'half an answer': hq.fetch('http://erp.internal/breaks').then((response) => response.arrayBuffer()),
    }
    const told = await Promise.all(Object.entries(asked).map(async ([what, all]) => [what, await codeOf(all)] as const))
    return Object.fromEntries(told)
  },

  upload: async (hq, bytes) => {
    const hash = createHash('sha256')
    const body = chunks(Number(bytes), (chunk) => hash.update(chunk))
    const response = await hq.fetch('http://erp/hash', { method: 'POST', body, duplex: 'half' } as RequestInit)
    const { sha256 } = (await response.json()) as { sha256: string }
    return { status: response.status, same: sha256 === hash.digest('hex') }
  },

  download: async (hq, bytes) => {
    const response = await hq.fetch(`http://erp/bytes/${bytes}`)
    let length = 0
    for await (const chunk of response.body!) length += chunk.length
    return { status: response.status, length, declared: response.headers.get('content-length') }
  },

  /** Half-close: the digest comes when our end has finished. */
  digest: async (hq, bytes) => {
    const socket = hq.connect('digest.internal:7001', { allowHalfOpen: true })
    const hash = createHash('sha256')
    await chunks(Number(bytes), (chunk) => hash.update(chunk)).pipeTo(socket.writable)
    const text = await new Response(socket.readable).text()
    await socket.closed
    return { same: text === hash.digest('hex') }
  },

  headers: async (hq, url) => (await hq.fetch(url!, { headers: { 'x-api-key': 'mine', 'x-mine': 'yes' } })).json(),

  postgres: async (hq) => {
    const client = new pg.Client({ ...pgOptions(hq, 'db.internal:5432'), user: 'isthmus', database: 'postgres' })
    await client.connect()
    const { rows } = await client.query('SELECT sum(n)::int AS total FROM generate_series(1, $1) AS n', [1000])
    await client.query('CREATE TEMP TABLE t (x bytea)')
    await client.query('INSERT INTO t SELECT $1::bytea FROM generate_series(1, 4)', [Buffer.alloc(1 << 20, 7)])
    const large = await client.query('SELECT sum(length(x))::int AS bytes FROM t')
    await client.end()
    return { total: rows[0].total, bytes: large.rows[0].bytes }
  },

  redis: async (hq) => {
    const redis = new Redis({ ...ioredisOptions(hq, 'cache.internal:6379') })
    await redis.set('order', '42')
    const many = await redis.pipeline(Array.from({ length: 1000 }, (_, i) => ['incrby', 'count', String(i)])).exec()
    const order = await redis.get('order')
    await redis.quit()
    return { order, count: many?.at(-1)?.[1] }
  },

  many: async (hq, count) => {
    const all = await Promise.all(
      Array.from({ length: Number(count) }, async (_, i) => {
        const answer = (await (await hq.fetch(`http://erp/orders/${i}`)).json()) as { order: number }
        return answer.order === i
      }),
    )
    return { right: all.filter(Boolean).length }
  },

  abort: async (hq) => {
    const abort = new AbortController()
    const response = await hq.fetch('http://erp/drip', { signal: abort.signal })
    const reader = response.body!.getReader()
    await reader.read()
    abort.abort()
    return {
      error: await reader.read().then(
        () => 'none',
        (error: Error) => error.name,
      ),
    }
  },

  /** Says `dripping` when an answer has begun, then what it ended with. */
  drip: async (hq) => {
    const response = await hq.fetch('http://erp/drip')
    let chunksRead = 0
    try {
      for await (const _ of response.body!) if (++chunksRead === 3) process.stdout.write('dripping\n')
    } catch (error) {
      return { chunks: chunksRead, code: error instanceof IsthmusError ? error.code : String(error) }
    }
    return { chunks: chunksRead, code: 'none' }
  },

  open: async (hq, address) => {
    const socket = hq.connect(address!)
    const code = await codeOf(socket.opened)
    await socket.close().catch(() => undefined)
    return { code }
  },

  /** POSTs so many numbers, one after the other; says `counting` first. */
  count: async (hq, most) => {
    const codes = new Map<string, number>()
    for (let i = 0; i < Number(most); i++) {
      const code = await codeOf(hq.fetch('http://erp/count', { method: 'POST', body: `${process.pid}-${i}` }))
      codes.set(code, (codes.get(code) ?? 0) + 1)
      if (i === 20) process.stdout.write('counting\n')
    }
    return Object.fromEntries(codes)
  },

  counted: async (hq) => (await hq.fetch('http://erp/counted')).json(),

  /** GETs one order after the other, 50 ms between them; says `asking` first. */
  ask: async (hq, times) => {
    const codes = new Map<string, number>()
    for (let i = 0; i < Number(times); i++) {
      const code = await codeOf(hq.fetch(`http://erp/orders/${i}`).then((response) => response.json()))
      codes.set(code, (codes.get(code) ?? 0) + 1)
      if (i === 5) process.stdout.write('asking\n')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return Object.fromEntries(codes)
  },

  secret: async (hq, marker) => {
    const body = `the request holds ${marker}`
    const response = await hq.fetch('http://erp/hash', { method: 'POST', body, headers: { 'x-marker': marker! } })
    await response.text()
    const order = (await (await hq.fetch('http://erp/orders/7')).json()) as { secret: string }
    return { status: response.status, secret: order.secret }
  },
}

const [scenario, ...args] = process.argv.slice(2)
const hq = site('hq')
const began = performance.now()
const result = await SCENARIOS[scenario!]!(hq, ...args)
process.stdout.write(`${JSON.stringify({ ...(result as object), ms: Math.round(performance.now() - began) })}\n`)

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'none'
  } catch (error) {
    return error instanceof IsthmusError ? error.code : String(error)
  }
}

function chunks(bytes: number, each: (chunk: Uint8Array) => unknown): ReadableStream<Uint8Array> {
  let left = bytes
  return new ReadableStream({
    pull(controller) {
      const chunk = CHUNK.slice(0, Math.min(left, CHUNK.length))
      left -= chunk.length
      each(chunk)
      if (chunk.length > 0) controller.enqueue(chunk)
      if (left === 0) controller.close()
    },
  })
}
