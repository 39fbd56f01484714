/** The control plane dies at every step of a rollout, before or after its commit; another one goes on with its store. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Intent } from '../../protocol/control/intent.ts'
import type { Batch, Repo } from '../store/repo.ts'
import { openRepo } from '../store/repo-sql.ts'
import { openSqlite } from '../store/sqlite-node.ts'
import type { Caller } from '../testing/caller.ts'
import { converge, type TestConnector } from '../testing/connector.ts'
import { makeNetwork, makePair, must, type TestNetwork } from '../testing/network.ts'
import { createWorld, START, type World } from '../testing/world.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-rollout-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

class Killed extends Error {}

interface Death {
  /** Which of the commits that change the rollout. */
  readonly at: number
  readonly when: 'before' | 'after'
  /** Until it is started again. */
  readonly awayMs: number
}

/** A control plane that dies once, and is started again on its store. */
class Mortal implements Caller {
  world!: World
  commits = 0
  deaths = 0
  readonly #admin: string
  readonly #death: Death | undefined

  private constructor(admin: string, death: Death | undefined) {
    this.#admin = admin
    this.#death = death
  }

  static async start(death: Death | undefined): Promise<Mortal> {
    const first = await createWorld()
    const mortal = new Mortal(first.admin, death)
    await mortal.#open(START)
    return mortal
  }

  get admin(): string {
    return this.world.admin ?? this.#admin
  }

  get clock() {
    return this.world.clock
  }

  async request(...given: Parameters<Caller['request']>): ReturnType<Caller['request']> {
    const answer = await this.world.request(...given)
    if (answer.status !== 500) return answer
    await this.#restart()
    return this.request(...given)
  }

  async tick(): Promise<void> {
    try {
      await this.world.services.scheduler.tick()
    } catch {
      await this.#restart()
    }
  }

  async close(): Promise<void> {
    await this.world.repo.close()
  }

  async #restart(): Promise<void> {
    const { now } = this.world.clock
    await this.world.repo.close()
    await this.#open(now + (this.#death?.awayMs ?? 0))
  }

  async #open(now: number): Promise<void> {
    const repo = await openRepo(openSqlite(join(directory, 'control.sqlite')))
    this.world = await createWorld({ repo: this.#mortal(repo), seed: 1000 * (this.deaths + 1) })
    this.world.clock.now = now
  }

  #mortal(repo: Repo): Repo {
    let dead = false
    const alive = () => {
      if (dead) throw new Killed('killed')
    }
    const commit = async (network: string, batch: Batch): Promise<void> => {
      alive()
      const counted = batch.changes.some(({ kind }) => kind === 'rollout')
      const dies = counted && this.deaths === 0 && this.commits++ === this.#death?.at
      if (!dies) return repo.commit(network, batch)
      dead = true
      this.deaths++
      if (this.#death!.when === 'after') await repo.commit(network, batch)
      throw new Killed('killed')
    }
    return new Proxy(repo, {
      get: (target, name: keyof Repo) => {
        if (name === 'commit') return commit
        const value = target[name]
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          if (name !== 'close') alive()
          return (value as (...all: unknown[]) => unknown).apply(target, args)
        }
      },
    })
  }
}

interface Run {
  readonly mortal: Mortal
  readonly state: string
  readonly mtus: (number | undefined)[]
  readonly intent: Intent
  readonly events: string[]
}

/** Two sites, of which the second breaks its tunnel once it has the target, if that is bad. */
async function run(bad: boolean, death?: Death): Promise<Run> {
  rmSync(join(directory, 'control.sqlite'), { force: true })
  const mortal = await Mortal.start(death)
  const network = await makeNetwork(mortal)
  const { left, right } = await makePair(mortal, network)
  await converge(left, right)
  const get = async (path: string) => must(await network.ask('GET', path), 200).body
  const whole = await get('/intent')
  const tunnels = whole.tunnels.map((tunnel: object) => ({ ...tunnel, pathMtu: 1400 }))
  const id = await start(network, { ...whole, tunnels })
  const connectors = [left, right]
  let state = ''
  for (let at = 0; at < 100 && !['done', 'rolled-back', 'failed'].includes(state); at++) {
    for (const connector of connectors) await round(connector, bad && connector === right)
    await mortal.tick()
    mortal.clock.now += 10_000
    state = (await get(`/rollouts/${id}`)).state
  }
  for (const connector of connectors) await connector.follow()
  expect(await get('/audit/verify')).toMatchObject({ intact: true })
  const events = (await get('/audit?limit=500')).items.map(({ action }: { action: string }) => action)
  const mtus = connectors.map(({ document }) => document.tunnels[0]?.pathMtu)
  return { mortal, state, mtus, intent: await get('/intent'), events: events.filter(isOfRollout) }
}

function isOfRollout(action: string): boolean {
  return action.startsWith('rollouts.') || action === 'intent.restore'
}

/** As the CLI does: with a key, so that a repetition after a death begins no second one. */
async function start(network: TestNetwork, intent: object): Promise<string> {
  const headers = { 'idempotency-key': 'apply-1' }
  const watch = { canarySeconds: 10, batchSeconds: 10 }
  return must(await network.ask('POST', '/rollouts', { body: { intent, watch, canary: 'hq' }, headers }), 201).body.id
}

async function round(connector: TestConnector, breaks: boolean): Promise<void> {
  connector.authenticate()
  await connector.follow()
  connector.sent += 1000
  const [tunnel] = connector.document.tunnels
  const passing = !(breaks && tunnel?.pathMtu === 1400)
  const routing = { paths: [{ tunnel: tunnel!.id, passing }], refused: [], everyMs: 10_000 }
  const answer = await connector.report({ routing })
  // A proof that waited for an hour is no good; a connector signs another one.
  must(answer.body.code === 'clock-skew' ? await connector.report({ routing }) : answer, 200)
}

describe.each([
  { name: 'a good change', bad: false, end: 'done', mtus: [1400, 1400] },
  { name: 'a bad change', bad: true, end: 'rolled-back', mtus: [undefined, undefined] },
])('$name', ({ bad, end, mtus }) => {
  test('ends alike wherever the control plane dies', async () => {
    const whole = await run(bad)
    await whole.mortal.close()
    expect([whole.state, whole.mtus]).toEqual([end, mtus])
    expect(whole.mortal.commits).toBeGreaterThan(4)
    for (let at = 0; at < whole.mortal.commits; at++) {
      // Away for an hour, nobody has said anything for an hour: none of them is to blame.
      const deaths = [
        { at, when: 'before', awayMs: 0 },
        { at, when: 'after', awayMs: 0 },
        { at, when: 'after', awayMs: 3_600_000 },
      ] as const
      for (const death of deaths) {
        const again = await run(bad, death)
        await again.mortal.close()
        const what = `died ${death.when} commit ${at}, for ${death.awayMs} ms`
        expect(again.mortal.deaths, what).toBe(1)
        expect([again.state, again.mtus, again.events], what).toEqual([end, mtus, whole.events])
        expect(again.intent.version, what).toBe(whole.intent.version)
      }
    }
  })
})
