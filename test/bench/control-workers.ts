/** The control plane on workerd, as offline `wrangler dev` runs it: one network is one Durable Object. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { nodeCaller } from '../../control/entry/testing/node-world.ts'
import { must } from '../../control/testing/network.ts'
import type { Plane } from './control-measure.ts'
import { type BenchNetwork, planStore } from './control-store.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const WRANGLER = join(ROOT, 'node_modules/wrangler/bin/wrangler.js')
const SEED = join(import.meta.dirname, 'control-workers-seed.ts')
const READY_MS = 60_000
const END_MS = 5000
const READS_PER_SECOND = 50
/** Each may ask 50 times a second. */
const TOKENS = 4

export interface WorkersPlane extends Plane {
  stop(): Promise<void>
}

/** Keeps all that it writes below `directory`. */
export async function startWorkers(directory: string): Promise<WorkersPlane> {
  const admin = `ist_admin_${randomBytes(32).toString('base64url')}`
  const port = await freePort()
  const config = ['--config', join(ROOT, 'infra/workers/wrangler.jsonc'), '--persist-to', directory]
  const place = ['--ip', '127.0.0.1', '--port', String(port), '--show-interactive-dev-session=false']
  const keyring = `kek-1:${randomBytes(32).toString('base64url')}`
  const secrets = ['--var', `ADMIN_TOKEN:${admin}`, '--var', `KEYRING:${keyring}`]
  const child = spawn(process.execPath, [WRANGLER, 'dev', SEED, ...config, ...place, ...secrets], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: directory,
      CI: '1',
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_HIDE_BANNER: 'true',
      CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    },
  })
  const stop = () => end(child)
  try {
    await ready(child)
    return {
      url: `http://127.0.0.1:${port}`,
      admin,
      ...workerds(child.pid!, port),
      readsPerSecond: READS_PER_SECOND,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The network and its tokens by the API; what many would do by many requests goes into the store at once. */
export async function fillWorkers({ url, admin }: Plane, connectors: number): Promise<BenchNetwork> {
  const caller = nodeCaller(() => url, admin)
  const post = async (path: string, body: unknown) =>
    must(await caller.request('POST', path, { token: admin, body }), 201).body
  const { id } = await post('/v1/networks', { name: 'bench' })
  const tokens: string[] = []
  for (let index = 0; index < TOKENS; index++) {
    tokens.push((await post(`/v1/networks/${id}/tokens`, { name: `reader-${index}`, role: 'owner' })).token)
  }
  const { joined, hub, tunnels, batches } = planStore(id, connectors)
  for (const batch of batches) {
    const { body } = must(await caller.request('POST', `/bench/${id}`, { body: batch }), 200)
    if ('conflict' in body) throw new Error(`the store refused: ${JSON.stringify(body.conflict)}`)
  }
  return { id, hub, connectors: joined, tokens, tunnels }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((done, failed) => {
    let said = ''
    const fail = (why: string) => failed(new Error(`wrangler dev ${why}: ${said}`))
    const timer = setTimeout(() => fail('was not ready in time'), READY_MS)
    const hear = (chunk: Buffer) => {
      said = (said + chunk).slice(-10_000)
      if (!/Ready on/.test(said)) return
      clearTimeout(timer)
      done()
    }
    child.stdout!.on('data', hear)
    child.stderr!.on('data', hear)
    child.on('exit', () => fail('ended'))
  })
}

/** It takes its temporary files away when it is asked to end. What is then left of it is ended by its number. */
async function end(child: ChildProcess): Promise<void> {
  const pids = descendants(child.pid!)
  child.kill('SIGTERM')
  const deadline = performance.now() + END_MS
  while (pids.some(runs) && performance.now() < deadline) await sleep(20)
  for (const pid of pids.filter(runs)) process.kill(pid, 'SIGKILL')
  while (pids.some(runs)) await sleep(20)
}

function runs(pid: number): boolean {
  return existsSync(`/proc/${pid}`)
}

/** `wrangler dev` has two: one runs the Worker; the other listens on the port and passes everything on to it. */
function workerds(root: number, port: number): Pick<Plane, 'pid' | 'proxy'> {
  const pids = descendants(root).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'workerd')
  const socket = listening(port)
  const proxy = pids.find((pid) => holds(pid, socket))
  const [pid, ...more] = pids.filter((other) => other !== proxy)
  if (pid === undefined || more.length > 0)
    throw new Error(`which workerd runs the Worker? There are ${pids.join(', ')}`)
  return { pid, proxy }
}

/** Itself too; none when it is gone. Children are listed by the thread that started them. */
function descendants(root: number): number[] {
  if (!existsSync(`/proc/${root}`)) return []
  const threads = readdirSync(`/proc/${root}/task`)
  const children = threads.flatMap((thread) =>
    readFileSync(`/proc/${root}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  )
  return [root, ...children.flatMap(descendants)]
}

/** The inode of the socket that listens on a port of 127.0.0.1. */
function listening(port: number): string {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n')
  const row = rows.map((line) => line.trim().split(/\s+/)).find((fields) => fields[1] === local && fields[3] === '0A')
  if (row === undefined) throw new Error(`nobody listens on port ${port}`)
  return `socket:[${row[9]}]`
}

function holds(pid: number, socket: string): boolean {
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === socket
    } catch {
      return false
    }
  })
}
