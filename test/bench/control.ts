/** `npm run bench:control`: what many connectors cost one control plane on Node. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { storePath } from '../../control/entry/node.ts'
import { type Running, startProcess } from '../../control/entry/testing/node-world.ts'
import { measure, say, timed } from './control-measure.ts'
import { type BenchNetwork, fillStore, growStore } from './control-store.ts'
import { fillWorkers, startWorkers } from './control-workers.ts'

const HELP = `npm run bench:control -- [options]

  --connectors N   linked to one network, 2 to 10000 (default 10000; with --workers 1000)
  --workers        the Workers entry in offline wrangler dev, one network in one Durable Object; 50 requests a second
  --skip-large     leave out the start with a store of 1 GB
  --json           one JSON object on stdout
  --help

The control plane is one process over SQLite in a folder of its own, the client with all its WebSockets another one;
both are on this machine. One site is in the middle, with a tunnel to each other one.

link      opening all links, each with a signed proof and a first report; resident memory of the control plane
change    from the request that changes the prefixes of the site in the middle until every connector has its document
reads     500 requests a second (Workers: 50) for 10 s while all are linked, each timed from when it was due
rotate    the request that plans the rotation of all tunnels, and has it in the journal when it is answered
start     until the address is printed, with a store of 1 GB (not on Workers)

On Workers the memory is that of the workerd that runs the Durable Object; the workerd with which wrangler dev takes
requests and passes them on is told beside it. The network and its tokens are made by the API; sites, tunnels,
connectors and keys go into its store by an entry of the benchmark's own, which adds nothing else to the Worker.
`

const { values } = parseArgs({
  options: {
    connectors: { type: 'string' },
    workers: { type: 'boolean', default: false },
    'skip-large': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const GIGABYTE = 1e9
const READS_PER_SECOND = 500

if (values.help) process.stdout.write(HELP)
else await main(Number(values.connectors ?? (values.workers ? 1000 : 10_000)))

async function main(connectors: number): Promise<void> {
  if (!Number.isInteger(connectors) || connectors < 2 || connectors > 10_000) {
    throw new RangeError('--connectors takes 2 to 10000')
  }
  mustHaveDescriptors(connectors + 500)
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-bench-'))
  try {
    const load = loadavg()[0]
    const figures = await (values.workers ? onWorkers : onNode)(directory, connectors)
    report({ connectors, cpu: cpus()[0]?.model, node: process.version, load: [load, loadavg()[0]], ...figures })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function onNode(directory: string, connectors: number) {
  const options = { directory, host: '127.0.0.1', port: 0, version: '0' }
  let running: Running = await startProcess(options)
  try {
    const admin = running.adminToken!
    await running.kill()
    say(`filling a store for ${connectors} connectors`)
    const network = await fillStore(directory, connectors)
    running = await startProcess(options)
    const plane = { url: running.url, admin, pid: running.process.pid!, readsPerSecond: READS_PER_SECOND }
    const figures = await measure(plane, network)
    await running.kill()
    return values['skip-large'] ? figures : { ...figures, start: await measureStart(directory, network) }
  } finally {
    await running.kill()
  }
}

async function onWorkers(directory: string, connectors: number) {
  say('starting wrangler dev')
  const plane = await startWorkers(directory)
  const leave = () =>
    void plane.stop().finally(() => {
      rmSync(directory, { recursive: true, force: true })
      process.exit(1)
    })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, leave)
  try {
    say(`filling a store for ${connectors} connectors`)
    return await measure(plane, await fillWorkers(plane, connectors))
  } finally {
    await plane.stop()
  }
}

async function measureStart(directory: string, network: BenchNetwork) {
  say('growing the store to 1 GB')
  await growStore(directory, network.id, GIGABYTE)
  const [ms, running] = await timed(() => startProcess({ directory, host: '127.0.0.1', port: 0, version: '0' }))
  await running.kill()
  return { seconds: ms / 1000, bytes: statSync(storePath(directory)).size }
}

function mustHaveDescriptors(count: number): void {
  const limit = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim()
  if (limit !== 'unlimited' && Number(limit) < count) {
    throw new Error(`${count} sockets are needed and ${limit} allowed: run  ulimit -n ${count + 500}  before`)
  }
}

function report(figures: Record<string, unknown>): void {
  if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`)
  else
    for (const [name, value] of Object.entries(figures))
      process.stdout.write(`${name.padEnd(11)} ${JSON.stringify(value)}\n`)
}
