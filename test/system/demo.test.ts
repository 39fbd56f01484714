/** The demo as a user starts it: what it prints, how it ends, and that it leaves nothing. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../connector/handle.ts'
import { skipWithoutNamespaces } from './netns.ts'
import { until } from './until.ts'

const LAUNCHER = join(import.meta.dirname, '../../connector/bin/isthmus.cjs')
/** A control plane, two connectors, six holders of namespaces, a flow of pings, the demo itself. */
const PROCESSES = 11

describe.skipIf(skipWithoutNamespaces('the demo'))('the demo', () => {
  let temporary: string
  let demo: Demo | undefined

  beforeEach(() => {
    temporary = mkdtempSync(join(tmpdir(), 'demo-test-'))
  })
  afterEach(async () => {
    demo?.child.kill('SIGKILL')
    await demo?.closed
    for (const pid of processesOf(temporary)) process.kill(pid, 'SIGKILL')
    rmSync(temporary, { recursive: true, force: true })
  })

  it('run once, prints one object with everything in it, and leaves nothing', async () => {
    demo = startDemo(temporary, ['--once', '--json'])
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
    expectNothingLeft()
  })

  it.each([
    ['directly', {}],
    ['by the launcher', { ISTHMUS_NODE: process.execPath }],
  ])('shows both ends until Ctrl-C, started %s', async (_, env) => {
    demo = startDemo(temporary, [], env)
    await showsView()
    // As a terminal does: to the launcher and to everything that it started in its group.
    process.kill(-demo.child.pid!, 'SIGINT')
    const interruptedAt = performance.now()
    expect(await demo.closed).toEqual([EXIT.ok, null])
    expect(performance.now() - interruptedAt).toBeLessThan(10_000)
    expect(demo.errors().trim().split('\n').at(-1)).toBe('Done: both connectors stopped, namespaces and files gone.')
    expectNothingLeft()
  })

  it('interrupted before the view, says so, fails and leaves nothing', async () => {
    demo = startDemo(temporary, ['--json'])
    await until('the tunnel', () => demo!.errors().includes('tunnel up'))
    process.kill(-demo.child.pid!, 'SIGINT')
    expect(await demo.closed).toEqual([EXIT.failed, null])
    expect(JSON.parse(demo.out())).toMatchObject({
      ok: false,
      error: { cause: expect.stringContaining('interrupted') },
    })
    expectNothingLeft()
  })

  it('killed, takes its processes and namespaces along, and the next demo removes its files', async () => {
    demo = startDemo(temporary, [])
    await showsView()
    demo.child.kill('SIGKILL')
    expect(await demo.closed).toEqual([null, 'SIGKILL'])
    await until('its processes to end', () => processesOf(temporary).length === 0, 5000)
    expect(readdirSync(temporary)).toEqual([expect.stringMatching(`^isthmus-demo-${demo.child.pid}-`)])
    demo = startDemo(temporary, ['--json'])
    await until('the next demo', () => demo!.errors().includes('Two sites'))
    expect(readdirSync(temporary)).toEqual([expect.stringMatching(`^isthmus-demo-${demo.child.pid}-`)])
    demo.child.kill('SIGTERM')
    await demo.closed
    expectNothingLeft()
  })

  it.each(['control', 'join'])('leaves nothing either when %s was killed under it', async (verb) => {
    demo = startDemo(temporary, ['--json'])
    await until('the tunnel', () => demo!.errors().includes('tunnel up'), 60_000)
    const [part] = processesOf(temporary).filter((pid) => wordsOf(pid).at(2) === verb)
    process.kill(part!, 'SIGKILL')
    expect(await demo.closed).toEqual([EXIT.failed, null])
    expect(JSON.parse(demo.out())).toMatchObject({ ok: false, error: { cause: expect.stringMatching(/./) } })
    expectNothingLeft()
  })

  it('ends by itself in good order when its launcher was killed', async () => {
    demo = startDemo(temporary, [], { ISTHMUS_NODE: process.execPath })
    await showsView()
    demo.child.kill('SIGKILL')
    await demo.closed
    expect(demo.errors()).toContain('Done: ')
    expectNothingLeft()
  })

  async function showsView(): Promise<void> {
    const { out, errors, child } = demo!
    await until(
      'both ends on the screen',
      () => {
        if (child.exitCode !== null) throw new Error(`ended early:\n${out()}${errors()}`)
        return out().includes('hq') && out().includes('branch') && out().includes('Ctrl-C ends the demo.')
      },
      60_000,
    )
    expect(processesOf(temporary).length).toBeGreaterThanOrEqual(PROCESSES)
  }

  /** A namespace lasts as long as a process in it. */
  function expectNothingLeft(): void {
    expect(readdirSync(temporary)).toEqual([])
    expect(processesOf(temporary).map(wordsOf)).toEqual([])
  }
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
