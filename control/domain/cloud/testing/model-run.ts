/** Whoever carries out runs, as a model: the same loop as in `control/service`, on a virtual clock. */
import { cloudDraftSchema } from '../../../../protocol/control/cloud.ts'
import { changedBy } from '../changes.ts'
import { decide } from '../machine.ts'
import { CloudFailure } from '../provider.ts'
import { resourcesAfter } from '../resources.ts'
import { makePsk, pskFingerprint } from '../rules.ts'
import type { CloudFacts } from '../situation.ts'
import type { CloudRecord, CloudRunRecord, ConnectorSight, LastOutcome } from '../types.ts'
import { ModelAws } from './model-cloud.ts'

export const CLOUD = 'cld_00000000000000000001'
export const FACTS: CloudFacts = {
  network: 'net_00000000000000000001',
  endpoint: '198.51.100.1',
  sitePrefixes: ['10.1.0.0/16'],
  others: [],
  usedInside: [],
  shared: [],
}

export function recordOf(draft: object = {}): CloudRecord {
  const { site: _, ...rest } = cloudDraftSchema.parse({
    name: 'aws',
    site: 'hq',
    region: 'eu-central-1',
    target: { kind: 'vpc', vpc: 'vpc-0123456789abcdef0' },
    ...draft,
  })
  return {
    ...rest,
    id: CLOUD,
    site: 'site_00000000000000000001',
    createdAt: 0,
    resources: [],
    destroying: false,
    tunnels: [1, 2].map((number) => ({
      external: `ext_0000000000000000000${number}`,
      name: `aws-${number}`,
      insideCidr: '',
      keys: [],
      drained: false,
      generation: 0,
      lastKey: 0,
    })),
  } as CloudRecord
}

export class ModelPlane {
  readonly aws: ModelAws
  record: CloudRecord
  run: CloudRunRecord
  now = 1_000_000
  readonly secrets = new Map<string, string>()
  facts = FACTS
  /** Of the connector: it does not report; traffic never leaves a tunnel; keys that it has other than ours. */
  silent = false
  neverIdle = false
  readonly connectorHas = new Map<string, string>()
  /** What the connector has taken up, and since when each tunnel is idle. */
  #carried: CloudRecord
  #carriedAt = 0
  #idleSince: number[] = [0, 0]
  /** Whether the connector's tunnels ever both carried nothing once they had been up. */
  bothDown = 0
  /** How often AWS was asked to change a tunnel that carried packets, or while the other one did not. */
  cut = 0
  #wasUp = false
  readonly #random: () => number

  constructor(random: () => number, record = recordOf()) {
    this.#random = random
    this.aws = new ModelAws(random, pskFingerprint)
    this.record = record
    this.#carried = record
    this.run = runOf('apply', 0)
  }

  begin(kind: CloudRunRecord['kind'], more: Partial<CloudRunRecord> = {}): void {
    this.run = { ...runOf(kind, this.now), ...more }
  }

  /** Until the run has ended. `crash`: the chance that the runner dies after each thing it does. */
  finish(crash = 0, turns = 20_000): CloudRunRecord {
    for (let turn = 0; turn < turns; turn++) {
      if (this.run.state !== 'running' && this.run.state !== 'aborting') return this.run
      this.turn(crash)
    }
    throw new Error(`never ended: ${JSON.stringify({ ...this.run, steps: this.run.steps.slice(-5) })}`)
  }

  #last: LastOutcome | undefined

  turn(crash = 0): void {
    const dies = () => this.#random() < crash
    this.#live()
    const { decision, memory, progress } = decide({
      record: this.record,
      run: this.run,
      seen: this.aws.look(this.now),
      sight: this.sight(),
      facts: this.facts,
      now: this.now,
      ...(this.#last === undefined ? {} : { last: this.#last }),
    })
    this.#last = undefined
    this.run = { ...this.run, memory, progress }
    switch (decision.type) {
      case 'wait':
        this.#pass(Math.max(100, decision.againMs - this.now))
        return
      case 'done':
        this.run = { ...this.run, state: decision.outcome === 'done' ? 'done' : 'aborted' }
        return
      case 'fail':
        this.run = { ...this.run, state: 'failed', error: decision }
        return
      case 'change': {
        this.#step(decision.change.type, decision.resource, decision.detail)
        if (dies()) return
        const psk = makePsk((length) => Uint8Array.from({ length }, () => Math.floor(this.#random() * 256)))
        this.record = changedBy(this.record, decision.change, { fingerprint: pskFingerprint(psk) }, this.now)
        if (decision.change.type === 'make-key') {
          const { external, keys } = this.record.tunnels[decision.change.tunnel]!
          this.secrets.set(`${external}/${keys.at(-1)!.id}`, psk)
        }
        this.#ended('done')
        this.#pass(50)
        return
      }
      case 'do': {
        this.#step(decision.action.type, decision.resource, decision.detail)
        if (dies()) return
        if (decision.action.type === 'modify-tunnel') this.#watch(decision.action.outside)
        try {
          const result = this.aws.perform(decision.action, this.secrets, this.now)
          if (dies()) return
          const resources = resourcesAfter(this.record.resources, decision.action, result)
          this.record = { ...this.record, resources: [...resources] }
          this.#last = { ok: true, ...result }
          this.#ended('done')
        } catch (error) {
          if (!(error instanceof CloudFailure)) throw error
          const { kind, code, message: cause, remedy } = error
          this.#last = { ok: false, kind, code, cause, remedy }
          if (kind !== 'later' && kind !== 'unknown')
            this.#ended(kind === 'gone' || kind === 'exists' ? 'done' : 'failed')
        }
        this.#pass(300)
        return
      }
    }
  }

  sight(): ConnectorSight {
    return {
      connector: 'con_00000000000000000001',
      at: this.now,
      current: !this.silent && this.#carried === this.record,
      externals: this.silent ? [] : this.#externals(),
    }
  }

  #externals(): ConnectorSight['externals'] {
    return this.#carried.tunnels.flatMap((tunnel, index) => {
      if (tunnel.outside === undefined || tunnel.keys.length === 0) return []
      const key = tunnel.keys.find(({ id }) => this.#works(index, id))
      const up = key !== undefined
      return [
        {
          external: tunnel.external,
          state: up ? ('up' as const) : ('connecting' as const),
          ...(key === undefined ? {} : { key: key.id }),
          generation: 0,
          drained: tunnel.drained,
          passing: up,
          bgp: { established: up, flaps: 0, received: 1, accepted: 1, advertised: 1 },
          traffic: { outPackets: 0, inPackets: 0, outBytes: 0, inBytes: 0, dropped: 0 },
          idleMs: tunnel.drained && !this.neverIdle ? Math.max(0, this.now - this.#idleSince[index]!) : 0,
        },
      ]
    })
  }

  #works(tunnel: number, key: string): boolean {
    const { insideCidr, external } = this.#carried.tunnels[tunnel]!
    const name = `${external}/${key}`
    return this.aws.passes(insideCidr, this.connectorHas.get(name) ?? this.secrets.get(name) ?? '', this.now)
  }

  #watch(outside: string): void {
    const index = this.record.tunnels.findIndex((tunnel) => tunnel.outside === outside)
    const externals = this.#externals()
    const passes = externals.map(({ passing }) => passing)
    const isIdle = externals[index]!.drained && externals[index]!.idleMs! >= 3_000
    if (passes[index] && !(isIdle && passes[1 - index])) this.cut++
  }

  /** The key that AWS has for each tunnel, where it is one of ours. */
  keysAtAws(): (string | undefined)[] {
    return this.record.tunnels.map(({ external, insideCidr }) => {
      const tunnel = this.aws.living(this.now)[0]?.tunnels.find((each) => each.insideCidr === insideCidr)
      const name = [...this.secrets].find(([, text]) => text === tunnel?.psk)?.[0]
      return name?.startsWith(external) ? name.slice(external.length + 1) : undefined
    })
  }

  #pass(ms: number): void {
    this.now += ms
    this.#live()
  }

  /** The connector takes up what it is told a little later. */
  #live(): void {
    if (this.#carried !== this.record && this.now >= this.#carriedAt + 800) {
      for (const [index, { drained }] of this.record.tunnels.entries()) {
        if (drained && !this.#carried.tunnels[index]!.drained) this.#idleSince[index] = this.now + 500
      }
      this.#carried = this.record
      this.#carriedAt = this.now
    }
    const up = this.#externals().filter(({ passing }) => passing).length
    if (up === 2) this.#wasUp = true
    if (up === 0 && this.#wasUp && this.run.kind !== 'destroy') this.bothDown++
  }

  #step(action: string, resource: string, detail: string): void {
    const last = this.run.steps.at(-1)
    const again = last?.state === 'begun' && last.action === action && last.resource === resource
    const rest = last?.state === 'begun' ? this.run.steps.slice(0, -1) : this.run.steps
    const closed = last?.state === 'begun' && !again ? [{ ...last, state: 'done' as const, endedAt: this.now }] : []
    const attempts = again ? last.attempts + 1 : 1
    const step = { action, resource, detail, state: 'begun' as const, begunAt: this.now, attempts }
    this.run = { ...this.run, steps: [...rest, ...closed, step] }
  }

  #ended(state: 'done' | 'failed'): void {
    const last = this.run.steps.at(-1)!
    this.run = { ...this.run, steps: [...this.run.steps.slice(0, -1), { ...last, state, endedAt: this.now }] }
  }
}

export function runOf(kind: CloudRunRecord['kind'], now: number): CloudRunRecord {
  return {
    id: 'crun_00000000000000000001',
    cloud: CLOUD,
    kind,
    state: 'running',
    startedBy: 'token:test',
    createdAt: now,
    steps: [],
    progress: 0,
    acceptLoss: false,
    memory: {},
    nextAt: 0,
  }
}

/** The same numbers for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

/** A connection that is there, and carries packets. */
export function applied(seed = 7, draft: object = {}, before?: (plane: ModelPlane) => void): ModelPlane {
  const plane = new ModelPlane(seeded(seed), recordOf(draft))
  before?.(plane)
  const { state, error } = plane.finish()
  if (state !== 'done') throw new Error(`not applied: ${JSON.stringify(error)}`)
  return plane
}
