/**
 * The function of the benchmark; each verb prints one JSON line.
 *
 *     latency COUNT        milliseconds of requests, in turns: straight TCP to the service, a session straight, relayed
 *     cold straight|relay  the first request of a process, and what of it went for the grant
 *     sessions COUNT       the same in a process that runs for long, by COUNT functions that have no session yet
 *     resumed COUNT        first requests of resumed sessions
 *     rtt COUNT            round trips of TCP's handshake
 *     throughput SECONDS [PATHS]
 *                          bytes per second, in turns: a bare WebSocket, one with the same way behind it as the stream,
 *                          a stream straight, relayed; down and up. Or only PATHS, such as down.bare,up.relayed
 *     fair COUNT SECONDS   bytes of each of COUNT streams of one session that all read as they can
 *     idle COUNT           opens COUNT streams that do nothing, says `idle`, and waits
 */
import { connect } from 'node:net'
import { type Site, site } from 'isthmus/functions'
import { Agent, request } from 'undici'
import WebSocket from 'ws'

const ADDRESS = '192.0.2.1'
const ORDER = `http://${ADDRESS}:8000/orders/42`
/** Of many streams at once. */
const WARM_UP_MS = 3000
/** Sessions. */
const RUNS_FOR_LONG = 60
const CHUNK = Buffer.alloc(65_000, 1)

let grantMs = 0

/** Grants without the straight way leave only the relay. */
const relayedFetch = async (url: string, init: RequestInit): Promise<Response> => {
  const response = await timedFetch(url, init)
  if (!response.ok) return response
  const grant = (await response.json()) as { connectors: { direct?: string }[] }
  for (const connector of grant.connectors) delete connector.direct
  return Response.json(grant)
}

const timedFetch = async (url: string, init: RequestInit): Promise<Response> => {
  const began = performance.now()
  const response = await fetch(url, init)
  const text = await response.text()
  grantMs = performance.now() - began
  return new Response(text, { status: response.status, headers: response.headers })
}

/** A site that goes its way alone; what it learns is not shared with the other. */
function siteBy(way: string): Site {
  return way === 'relay'
    ? site('hq', { fetch: relayedFetch, token: process.env.RELAYED_TOKEN! })
    : site('hq', { fetch: timedFetch })
}

const [verb, ...args] = process.argv.slice(2)
const VERBS: Readonly<Record<string, () => Promise<unknown>>> = {
  latency: () => latency(Number(args[0])),
  cold: () => cold(args[0]!),
  sessions: () => sessions(Number(args[0])),
  resumed: () => resumed(Number(args[0])),
  rtt: () => roundTrips(Number(args[0])),
  throughput: () => throughput(Number(args[0]), args[1]?.split(',')),
  fair: () => fair(Number(args[0]), Number(args[1])),
  idle: () => idle(Number(args[0])),
}
const line = `${JSON.stringify(await VERBS[verb!]!())}\n`
process.stdout.write(line, () => process.exit(0))

async function latency(count: number) {
  const agent = new Agent({ connections: 1 })
  const straight = siteBy('straight')
  const relayed = siteBy('relay')
  const paths = {
    tcp: async () => (await request(ORDER, { dispatcher: agent })).body.text(),
    straight: () => order(straight),
    relayed: () => order(relayed),
  }
  for (const ask of Object.values(paths)) for (let i = 0; i < 20; i++) await ask()
  const took: Record<string, number[]> = { tcp: [], straight: [], relayed: [] }
  for (let i = 0; i < count; i++) for (const [name, ask] of Object.entries(paths)) took[name]!.push(await timed(ask))
  return took
}

async function cold(way: string) {
  const ms = await timed(() => order(siteBy(way)))
  return { ms, grantMs }
}

/** Those of COLD_TOKENS are good for one function each; what runs for long has opened sessions before. */
async function sessions(count: number) {
  await resumed(RUNS_FOR_LONG)
  const took: { ms: number; grantMs: number }[] = []
  for (const token of process.env.COLD_TOKENS!.split(' ').slice(0, count)) {
    const hq = site('hq', { fetch: timedFetch, token })
    const ms = await timed(() => order(hq))
    await hq.close()
    took.push({ ms, grantMs })
  }
  return took
}

async function resumed(count: number) {
  const took: number[] = []
  for (let i = 0; i <= count; i++) {
    const hq = siteBy('straight')
    const ms = await timed(() => order(hq))
    await hq.close()
    if (i > 0) took.push(ms)
  }
  return took
}

async function roundTrips(count: number) {
  const took: number[] = []
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    const socket = connect(8000, ADDRESS)
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    took.push(performance.now() - began)
    socket.destroy()
  }
  return took
}

async function throughput(seconds: number, only: readonly string[] | undefined) {
  const [straight, relayed] = [siteBy('straight'), siteBy('relay')]
  const paths = {
    down: {
      bare: () => bareDown(seconds, 7003),
      forwarded: () => bareDown(seconds, 7004),
      straight: () => streamDown(straight, seconds),
      relayed: () => streamDown(relayed, seconds),
    },
    up: {
      bare: () => bareUp(seconds, 7003),
      forwarded: () => bareUp(seconds, 7004),
      straight: () => streamUp(straight, seconds),
      relayed: () => streamUp(relayed, seconds),
    },
  }
  const rates: Record<string, Record<string, number>> = {}
  for (const [direction, each] of Object.entries(paths)) {
    rates[direction] = {}
    for (const [path, measure] of Object.entries(each)) {
      if (only?.includes(`${direction}.${path}`) !== false) rates[direction][path] = await measure()
    }
  }
  return rates
}

async function fair(count: number, seconds: number) {
  const hq = siteBy('straight')
  const got = new Array<number>(count).fill(0)
  const sockets = got.map(() => hq.connect('source.internal:7000'))
  await Promise.all(sockets.map(({ opened }) => opened))
  // What has come while the others were opened is not counted.
  const begins = performance.now() + WARM_UP_MS
  const ends = begins + seconds * 1000
  await Promise.all(
    sockets.map(async (socket, i) => {
      const reader = socket.readable.getReader()
      for (let now = performance.now(); now < ends; now = performance.now()) {
        const { value } = await reader.read()
        if (now > begins) got[i]! += value?.length ?? 0
      }
    }),
  )
  return got
}

async function idle(count: number): Promise<never> {
  const hq = siteBy('straight')
  const sockets = Array.from({ length: count }, () => hq.connect('echo.internal:7002'))
  await Promise.all(sockets.map(({ opened }) => opened))
  process.stdout.write('idle\n')
  return new Promise(() => setInterval(() => sockets.length, 1000))
}

async function order(hq: Site): Promise<void> {
  const response = await hq.fetch('http://erp.internal:8000/orders/42')
  if (response.status !== 200) throw new Error(`status ${response.status}`)
  await response.arrayBuffer()
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

/** Bytes per second of what `read` tells, from its first bytes on. */
async function rate(seconds: number, read: () => Promise<number>): Promise<number> {
  await read()
  const began = performance.now()
  let bytes = 0
  while (performance.now() - began < seconds * 1000) bytes += await read()
  return bytes / ((performance.now() - began) / 1000)
}

async function bareDown(seconds: number, port: number): Promise<number> {
  const socket = await bareSocket(port, '/source')
  let waiting = 0
  let wake = () => {}
  socket.on('message', (data: Buffer) => {
    waiting += data.length
    wake()
  })
  const read = async () => {
    if (waiting === 0) await new Promise<void>((resolve) => (wake = resolve))
    const bytes = waiting
    waiting = 0
    return bytes
  }
  const result = await rate(seconds, read)
  socket.terminate()
  return result
}

async function bareUp(seconds: number, port: number): Promise<number> {
  const socket = await bareSocket(port, '/sink')
  const write = () =>
    new Promise<number>((resolve) => socket.send(CHUNK, { binary: true }, () => resolve(CHUNK.length)))
  const result = await rate(
    seconds,
    async () => (await Promise.all([write(), write(), write(), write()])).length * CHUNK.length,
  )
  socket.terminate()
  return result
}

function bareSocket(port: number, path: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://${ADDRESS}:${port}${path}`, { perMessageDeflate: false })
  return new Promise((resolve, reject) => socket.once('open', () => resolve(socket)).once('error', reject))
}

async function streamDown(hq: Site, seconds: number): Promise<number> {
  const socket = hq.connect('source.internal:7000')
  const reader = socket.readable.getReader()
  const result = await rate(seconds, async () => (await reader.read()).value?.length ?? 0)
  await socket.close()
  return result
}

async function streamUp(hq: Site, seconds: number): Promise<number> {
  const socket = hq.connect('sink.internal:7001')
  const writer = socket.writable.getWriter()
  const result = await rate(seconds, async () => {
    await writer.write(CHUNK)
    return CHUNK.length
  })
  await socket.close().catch(() => undefined)
  return result
}
