/** `wrangler dev` of one configuration, on a free port of the loopback interface. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')
const START_MS = 60_000

export interface Wrangler {
  readonly url: string
  readonly log: () => string
  close(): Promise<void>
}

/** `config`: its path from the root of the project. */
export async function startWrangler(config: string, vars: Readonly<Record<string, string>>): Promise<Wrangler> {
  const [port, inspector] = [await freePort(), await freePort()]
  const state = mkdtempSync(join(tmpdir(), 'isthmus-wrangler-'))
  const given = Object.entries(vars).flatMap(([name, value]) => ['--var', `${name}:${value}`])
  const places = ['--port', String(port), '--inspector-port', String(inspector), '--ip', '127.0.0.1']
  const program = join(root, 'node_modules/wrangler/bin/wrangler.js')
  const args = [program, 'dev', '-c', join(root, config), ...places, '--persist-to', state, ...given]
  const child = spawn(process.execPath, args, {
    cwd: root,
    detached: true,
    stdio: 'pipe',
    env: { ...process.env, ...QUIET },
  })
  let log = ''
  child.stdout.on('data', (chunk) => {
    log += chunk
  })
  child.stderr.on('data', (chunk) => {
    log += chunk
  })
  const close = async () => {
    await ended(child)
    rmSync(state, { recursive: true, force: true })
  }
  const end = Date.now() + START_MS
  while (!log.includes('Ready on')) {
    if (child.exitCode !== null || Date.now() > end) {
      await close()
      throw new Error(`wrangler did not start:\n${log}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { url: `http://127.0.0.1:${port}`, log: () => log, close }
}

const QUIET = {
  CI: '1',
  NO_COLOR: '1',
  WRANGLER_HIDE_BANNER: 'true',
  WRANGLER_SEND_METRICS: 'false',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
}

/** With the runtime, which is a process of its own in the group. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return
  const over = new Promise((resolve) => child.once('exit', resolve))
  process.kill(-child.pid, 'SIGTERM')
  const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), 5_000)
  await over
  clearTimeout(timer)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
