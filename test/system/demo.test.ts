/** The demo as a user starts it: what it prints, how it ends, and that it leaves nothing. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it as plain } from 'vitest'
import { EXIT } from '../../connector/handle.ts'
import { skipWithoutNamespaces } from './netns.ts'
import { until } from './until.ts'

const LAUNCHER = join(import.meta.dirname, '../../connector/bin/isthmus.cjs')
/** A control plane, two connectors, six holders of namespaces, a flow of pings, the demo itself. */
const PROCESSES = 11

/** A folder for temporary files, and the demos that were started with it: nothing of them is left behind. */
class Stage {
  readonly temporary = mkdtempSync(join(tmpdir(), 'demo-test-'))
  readonly #demos: Demo[] = []

  start(args: readonly string[], extra: Record<string, string> = {}): Demo {
    const demo = startDemo(this.temporary, args, extra)
    this.#demos.push(demo)
    return demo
  }

  /** A namespace lasts as long as a process in it. */
  expectNothingLeft(): void {
    expect(readdirSync(this.temporary)).toEqual([])
    expect(processesOf(this.temporary).map(wordsOf)).toEqual([])
  }

  async showsView({ out, errors, child }: Demo): Promise<void> {
    await until(
      'both ends on the screen',
      () => {
        if (child.exitCode !== null) throw new Error(`ended early:\n${out()}${errors()}`)
        return out().includes('hq') && out().includes('branch') && out().includes('Ctrl-C ends the demo.')
      },
      60_000,
    )
    expect(processesOf(this.temporary).length).toBeGreaterThanOrEqual(PROCESSES)
  }

  async clear(): Promise<void> {
    for (const { child } of this.#demos) child.kill('SIGKILL')
    await Promise.all(this.#demos.map(({ closed }) => closed))
    for (const pid of processesOf(this.temporary)) process.kill(pid, 'SIGKILL')
    rmSync(this.temporary, { recursive: true, force: true })
  }
}

const it = plain.extend<{ readonly stage: Stage }>({
  stage: async ({ task: _ }, use) => {
    const stage = new Stage()
    try {
      await use(stage)
    } finally {
      await stage.clear()
    }
  },
})

describe.skipIf(skipWithoutNamespaces('the demo'))('the demo', () => {
  it('run once, prints one object with everything in it, and leaves nothing', async ({ stage }) => {
    const demo = stage.start(['--once', '--json'])
    expect(await demo.closed).toEqual([EXIT.ok, null])
    expect(demo.out().trim().split('\n')).toHaveLength(1)
    const result = JSON.parse(demo.out()) as Record<string, unknown>
    const positive = expect.toSatisfy((value: unknown) => Number.isFinite(value) && (value as number) > 0)
    expect(result).toEqual({
      ok: true,
      establishMs: expect.toSatisfy(
        (value: unknown) => Number.isInteger((value as number) * 10) && (value as number) > 0,
      ),
      suite: expect.stringMatching(/^[a-z0-9-]+ \/ ESP [a-z0-9-]+$/),
      ping: { sent: 100, received: 100, rttMs: { p50: positive, p99: positive } },
      download: { bytes: 32 << 20, sha256Match: true, mbps: positive },
      rekey: { count: 3, lostPackets: 0 },
      rotation: { count: 1, lostPackets: 0, evidence: 'verified' },
      withoutControl: { sent: 100, received: 100, rekeys: 1 },
      function: { status: 200, ms: positive, path: 'function > relay > hq > tunnel > branch' },
      bgp: { established: 2, prefixes: 4 },
      failover: { ms: positive, lostPackets: positive },
    })
    const { p50, p99 } = (result.ping as { rttMs: { p50: number; p99: number } }).rttMs
    expect(p50).toBeLessThanOrEqual(p99)
    stage.expectNothingLeft()
  })

  it.concurrent.for([
    ['directly', {}],
    ['by the launcher', { ISTHMUS_NODE: process.execPath }],
  ] as const)('shows both ends until Ctrl-C, started %s', async ([_, env], { stage }) => {
    const demo = stage.start([], env)
    await stage.showsView(demo)
    // As a terminal does: to the launcher and to everything that it started in its group.
    process.kill(-demo.child.pid!, 'SIGINT')
    const interruptedAt = performance.now()
    expect(await demo.closed).toEqual([EXIT.ok, null])
    expect(performance.now() - interruptedAt).toBeLessThan(10_000)
    expect(demo.errors().trim().split('\n').at(-1)).toBe('Done: both connectors stopped, namespaces and files gone.')
    stage.expectNothingLeft()
  })

  it.concurrent('interrupted before the view, says so, fails and leaves nothing', async ({ stage }) => {
    const demo = stage.start(['--json'])
    await until('the tunnel', () => demo.errors().includes('tunnel up'))
    process.kill(-demo.child.pid!, 'SIGINT')
    expect(await demo.closed).toEqual([EXIT.failed, null])
    expect(JSON.parse(demo.out())).toMatchObject({
      ok: false,
      error: { cause: expect.stringContaining('interrupted') },
    })
    stage.expectNothingLeft()
  })

  it.concurrent('killed, takes its processes and namespaces along, and the next demo removes its files', async ({
    stage,
  }) => {
    const { temporary } = stage
    const demo = stage.start([])
    await stage.showsView(demo)
    demo.child.kill('SIGKILL')
    expect(await demo.closed).toEqual([null, 'SIGKILL'])
    await until('its processes to end', () => processesOf(temporary).length === 0, 5000)
    expect(readdirSync(temporary)).toEqual([expect.stringMatching(`^isthmus-demo-${demo.child.pid}-`)])
    const next = stage.start(['--json'])
    await until('the next demo', () => next.errors().includes('Two sites'))
    expect(readdirSync(temporary)).toEqual([expect.stringMatching(`^isthmus-demo-${next.child.pid}-`)])
    next.child.kill('SIGTERM')
    await next.closed
    stage.expectNothingLeft()
  })

  it.concurrent.for(['control', 'join'])(
    'leaves nothing either when %s was killed under it',
    async (verb, { stage }) => {
      const demo = stage.start(['--json'])
      await until('the tunnel', () => demo.errors().includes('tunnel up'), 60_000)
      const [part] = processesOf(stage.temporary).filter((pid) => wordsOf(pid).at(2) === verb)
      process.kill(part!, 'SIGKILL')
      expect(await demo.closed).toEqual([EXIT.failed, null])
      expect(JSON.parse(demo.out())).toMatchObject({ ok: false, error: { cause: expect.stringMatching(/./) } })
      stage.expectNothingLeft()
    },
  )

  it.concurrent('ends by itself in good order when its launcher was killed', async ({ stage }) => {
    const demo = stage.start([], { ISTHMUS_NODE: process.execPath })
    await stage.showsView(demo)
    demo.child.kill('SIGKILL')
    await demo.closed
    expect(demo.errors()).toContain('Done: ')
    stage.expectNothingLeft()
  })
})

function wordsOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
}

interface Demo {
  readonly child: ChildProcess
  out(): string
  errors(): string
  /** Exit code and signal, when also everybody who could write to its output has ended. */
  readonly closed: Promise<[number | null, NodeJS.Signals | null]>
}

function startDemo(temporary: string, args: readonly string[], extra: Record<string, string> = {}): Demo {
  const { ISTHMUS_NODE: _, ...inherited } = process.env
  const child = spawn(process.execPath, [LAUNCHER, 'demo', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...inherited, TMPDIR: temporary, ...extra },
  })
  const texts = { out: '', errors: '' }
  child.stdout.on('data', (chunk: Buffer) => {
    texts.out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    texts.errors += chunk.toString()
  })
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  return { child, out: () => texts.out, errors: () => texts.errors, closed }
}

/** Everything that a demo with this temporary folder started carries it, and the mark of its world, along. */
function processesOf(temporary: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`TMPDIR=${temporary}`)
      } catch {
        return false
      }
    })
}
