/** `npm run bench:control`: what many connectors cost one control plane on Node. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { storePath } from '../../control/entry/node.ts'
import { nodeCaller, type Running, startProcess } from '../../control/entry/testing/node-world.ts'
import { must } from '../../control/testing/network.ts'
import { openLinks, quantile, residentOf, steadyRequests } from './control-load.ts'
import { type BenchNetwork, fillStore, growStore } from './control-store.ts'

const HELP = `npm run bench:control -- [options]

  --connectors N   linked to one network, 2 to 10000 (default 10000)
  --skip-large     leave out the start with a store of 1 GB
  --json           one JSON object on stdout
  --help

The control plane is one process over SQLite in a folder of its own, the client with all its WebSockets another one;
both are on this machine. One site is in the middle, with a tunnel to each other one.

link      opening all links, each with a signed proof and a first report; resident memory of the control plane
change    from the request that changes the prefixes of the site in the middle until every connector has its document
reads     500 requests a second for 10 s while all are linked, each timed from when it was due
rotate    the request that plans the rotation of all tunnels, and has it in the journal when it is answered
start     until the address is printed, with a store of 1 GB
`

const { values } = parseArgs({
  options: {
    connectors: { type: 'string', default: '10000' },
    'skip-large': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const GIGABYTE = 1e9
const READS_PER_SECOND = 500
const READ_SECONDS = 10

if (values.help) process.stdout.write(HELP)
else await main(Number(values.connectors))

async function main(connectors: number): Promise<void> {
  if (!Number.isInteger(connectors) || connectors < 2 || connectors > 10_000) {
    throw new RangeError('--connectors takes 2 to 10000')
  }
  mustHaveDescriptors(connectors + 500)
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-bench-'))
  let running: Running | undefined
  try {
    const options = { directory, host: '127.0.0.1', port: 0, version: '0' }
    running = await startProcess(options)
    const admin = running.adminToken!
    await running.kill()
    say(`filling a store for ${connectors} connectors`)
    const network = await fillStore(directory, connectors)
    running = await startProcess(options)
    const figures = await measure(running, admin, network)
    await running.kill()
    const start = values['skip-large'] ? undefined : await measureStart(directory, network)
    report({ connectors, cpu: cpus()[0]?.model, node: process.version, ...figures, ...(start && { start }) })
  } finally {
    await running?.kill()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function measure(running: Running, admin: string, network: BenchNetwork) {
  const { url } = running
  const pid = running.process.pid!
  const caller = nodeCaller(() => url, admin)
  const path = `/v1/networks/${network.id}`
  const ask = async (method: string, below: string, body?: unknown, headers = {}) =>
    must(
      await caller.request(method, path + below, { token: network.tokens[0], body, headers }),
      method === 'POST' ? 201 : 200,
    )
  await ask('GET', '/sites?limit=1')
  const before = residentOf(pid)
  say('opening links')
  const [linkMs, links] = await timed(() => openLinks(url, caller, network.connectors))
  const memory = residentOf(pid) - before
  say('changing the site in the middle')
  const hub = await ask('GET', `/sites/${network.hub}`)
  const { id: _, ...site } = hub.body
  const body = { ...site, prefixes: ['192.168.0.0/17'] }
  const [changeMs] = await timed(async () => {
    const sent = ask('PUT', `/sites/${network.hub}`, body, { 'if-match': hub.headers.get('etag')! })
    await Promise.all([sent, ...links.map((link) => link.next('document'))])
  })
  say('reading')
  const paths = [
    ...['/sites?limit=50', '/tunnels?limit=50', '/connectors?limit=50', '', '/rotations', '/runs'],
    ...network.connectors.slice(0, 50).map(({ connector }) => `/connectors/${connector}`),
  ]
  const asks = Array.from({ length: 1000 }, (_, index) => ({
    path: path + paths[index % paths.length]!,
    token: network.tokens[index % network.tokens.length]!,
  }))
  const { times, statuses, clientStall } = await steadyRequests(url, asks, READS_PER_SECOND, READ_SECONDS)
  say('rotating')
  const [rotateMs, run] = await timed(() => ask('POST', '/runs', { canary: false, maxConcurrent: 10 }))
  for (const link of links) link.socket.terminate()
  return {
    link: { seconds: linkMs / 1000, bytesEach: Math.round(memory / links.length) },
    change: { seconds: changeMs / 1000 },
    reads: { p50: quantile(times, 0.5), p99: quantile(times, 0.99), max: times.at(-1), clientStall, statuses },
    rotate: { seconds: rotateMs / 1000, rotations: run.body.run.counts },
  }
}

async function measureStart(directory: string, network: BenchNetwork) {
  say('growing the store to 1 GB')
  await growStore(directory, network.id, GIGABYTE)
  const [ms, running] = await timed(() => startProcess({ directory, host: '127.0.0.1', port: 0, version: '0' }))
  await running.kill()
  return { seconds: ms / 1000, bytes: statSync(storePath(directory)).size }
}

async function timed<T>(work: () => Promise<T>): Promise<[number, T]> {
  const begun = performance.now()
  const result = await work()
  return [performance.now() - begun, result]
}

function mustHaveDescriptors(count: number): void {
  const limit = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim()
  if (limit !== 'unlimited' && Number(limit) < count) {
    throw new Error(`${count} sockets are needed and ${limit} allowed: run  ulimit -n ${count + 500}  before`)
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

function report(figures: Record<string, unknown>): void {
  if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`)
  else
    for (const [name, value] of Object.entries(figures))
      process.stdout.write(`${name.padEnd(11)} ${JSON.stringify(value)}\n`)
}
