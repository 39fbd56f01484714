/**
 * The control plane dies at every commit of a run at AWS, before it or after it, and before or after every call; another
 * one goes on with its store. In the end it is as if nobody had died: nothing is there twice, nothing is left behind.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { CloudRun } from '../../protocol/control/cloud.ts'
import type { CloudProvider } from '../domain/cloud/provider.ts'
import type { Batch, Repo } from '../store/repo.ts'
import { openRepo } from '../store/repo-sql.ts'
import { openSqlite } from '../store/sqlite-node.ts'
import { type Caller, seededRandom } from '../testing/caller.ts'
import { cloudDraft, TestCloud, TestSealing } from '../testing/cloud.ts'
import { converge, type TestConnector } from '../testing/connector.ts'
import { makeNetwork, makePair, must, type TestNetwork } from '../testing/network.ts'
import { createWorld, START, type World } from '../testing/world.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-cloud-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

class Killed extends Error {}

/** It dies again and again, at a third of the commits that change a run, or of the calls. */
interface Death {
  readonly of: 'commit' | 'call'
  readonly when: 'before' | 'after'
  /** Where there may be others, what it had begun is left alone until its lease is over. */
  readonly isAlone: boolean
}

/** A control plane that is started again on its store each time; the cloud and the connector live on. */
class Mortal implements Caller {
  world!: World
  readonly cloud: TestCloud
  readonly clock: { now: number } = { now: START }
  deaths = 0
  readonly #random = seededRandom(7)
  #watched = false
  #dead = false
  readonly #death: Death | undefined

  constructor(death: Death | undefined) {
    this.#death = death
    this.cloud = new TestCloud(this.clock)
  }

  get admin(): string {
    return this.world.admin
  }

  /** From here on it may die. */
  watch(): void {
    this.#watched = true
  }

  async open(): Promise<void> {
    const repo = await openRepo(openSqlite(join(directory, 'control.sqlite')))
    this.#dead = false
    const provider = this.#provider()
    const clouds = () => ({ provider, allows: () => true })
    const isAlone = this.#death?.isAlone === true
    this.world = await createWorld({ repo: this.#mortal(repo), seed: 1 + 1000 * this.deaths, clouds, isAlone })
    this.world.clock.now = this.clock.now
  }

  async request(...given: Parameters<Caller['request']>): ReturnType<Caller['request']> {
    const answer = await this.world.request(...given)
    if (answer.status !== 500 || !this.#dead) return answer
    await this.#restart()
    return this.request(...given)
  }

  async tick(): Promise<void> {
    await this.world.services.cloudRunner.tick().catch(() => {})
    if (this.#dead) await this.#restart()
  }

  pass(ms: number): void {
    this.clock.now += ms
    this.world.clock.now = this.clock.now
  }

  async #restart(): Promise<void> {
    await this.world.repo.close()
    await this.open()
  }

  async #mayDie<T>(of: Death['of'], work: () => Promise<T>): Promise<T> {
    if (this.#dead) throw new Killed('killed')
    const death = this.#watched && this.#death?.of === of ? this.#death : undefined
    if (death === undefined || this.#random(1)[0]! >= 85) return work()
    this.deaths++
    if (death.when === 'after') await work()
    this.#dead = true
    throw new Killed('killed')
  }

  #provider(): CloudProvider {
    return {
      look: (subjects) => (this.#dead ? Promise.reject(new Killed('killed')) : this.cloud.look(subjects)),
      perform: (...given) => this.#mayDie('call', () => this.cloud.perform(...given)),
    }
  }

  #mortal(repo: Repo): Repo {
    const commit = (network: string, batch: Batch): Promise<void> => {
      const counted = batch.changes.some(({ kind }) => kind === 'cloudRun')
      return counted ? this.#mayDie('commit', () => repo.commit(network, batch)) : repo.commit(network, batch)
    }
    return new Proxy(repo, {
      get: (target, name: keyof Repo) => {
        if (name === 'commit') return commit
        const value = target[name]
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          if (this.#dead && name !== 'close') throw new Killed('killed')
          return (value as (...all: unknown[]) => unknown).apply(target, args)
        }
      },
    })
  }
}

interface Scene {
  readonly mortal: Mortal
  readonly network: TestNetwork
  readonly left: TestConnector
  readonly sealing: TestSealing
  readonly id: string
}

async function scene(death?: Death): Promise<Scene> {
  rmSync(join(directory, 'control.sqlite'), { force: true })
  const mortal = new Mortal(death)
  await mortal.open()
  const network = await makeNetwork(mortal)
  const { left, right } = await makePair(mortal, network)
  await converge(left, right)
  const sealing = await TestSealing.of(left, () => mortal.cloud)
  await sealing.round()
  const { id } = must(await network.ask('POST', '/clouds', { body: cloudDraft() }), 201).body
  return { mortal, network, left, sealing, id }
}

async function run({ mortal, network, sealing, id }: Scene, kind: CloudRun['kind']): Promise<CloudRun> {
  const headers = { 'idempotency-key': `run-${kind}` }
  const path = `/clouds/${id}/runs`
  const begun: CloudRun = must(await network.ask('POST', path, { body: { kind }, headers }), 201).body
  for (let turns = 0; turns < 3000; turns++) {
    const now: CloudRun = must(await network.ask('GET', `/cloud-runs/${begun.id}`), 200).body
    if (now.state !== 'running') return now
    await mortal.tick()
    await sealing.round()
    mortal.pass(3_000)
  }
  throw new Error(`never ended, after ${mortal.deaths} deaths`)
}

async function deaths(prepare: readonly CloudRun['kind'][], kind: CloudRun['kind'], check: (scene: Scene) => unknown) {
  for (const of of ['commit', 'call'] as const) {
    for (const when of ['before', 'after'] as const) {
      const death = { of, when, isAlone: of === 'commit' }
      const at = await scene(death)
      for (const before of prepare) expect((await run(at, before)).state).toBe('done')
      at.mortal.watch()
      const ended = await run(at, kind)
      expect(ended.state, `${JSON.stringify(death)} ${JSON.stringify(ended.error)}`).toBe('done')
      await check(at)
      expect(must(await at.network.ask('GET', '/audit/verify'), 200).body).toMatchObject({ intact: true })
      expect(at.mortal.deaths).toBeGreaterThan(1)
      await at.mortal.world.repo.close()
    }
  }
}

describe('however often the control plane dies', () => {
  test('apply makes everything once', async () => {
    await deaths([], 'apply', async ({ mortal: { cloud }, network, id }) => {
      const { aws } = cloud
      expect([aws.customerGateways.length, aws.vpnGateways.length, aws.connections.length]).toEqual([1, 1, 1])
      const present = must(await network.ask('GET', `/clouds/${id}`), 200).body
      expect(present).toMatchObject({ state: 'up', drift: [] })
      expect(present.resources.every(({ made }: { made: boolean }) => made)).toBe(true)
    })
  })

  test('a rotation ends with keys that both ends have', async () => {
    await deaths(['apply'], 'rotate', async ({ network, id }) => {
      const present = must(await network.ask('GET', `/clouds/${id}`), 200).body
      expect(present).toMatchObject({ state: 'up', drift: [] })
      for (const { key } of present.tunnels) expect(Number(key.id.slice(1))).toBeGreaterThan(1)
    })
  })

  test('destroy leaves nothing behind', async () => {
    await deaths(['apply'], 'destroy', async ({ mortal: { cloud }, network, id }) => {
      expect((await network.ask('GET', `/clouds/${id}`)).status).toBe(404)
      expect(cloud.aws.leftovers(id)).toEqual([])
    })
  })
})
