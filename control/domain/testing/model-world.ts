/**
 * Two connectors, one tunnel and a control plane that rotates its key, with a network between them that delays, loses
 * and cuts, and with crashes of everybody. All of it from a seed; after every event the promises of rotations are
 * checked.
 */
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import type { Site, Tunnel } from '../../../protocol/control/intent.ts'
import type { EpochStatus } from '../../../protocol/control/link.ts'
import type { Rotation } from '../../../protocol/control/rotation.ts'
import { type DocumentConnector, documentContent, nextVersion, withVersion } from '../document.ts'
import { newKeys, type TunnelKeys } from '../keys.ts'
import { reviewTunnel, type TunnelReview } from '../review.ts'
import { abortRefusal, beginRotation, isEnded, queuedRotation, stepRotation } from '../rotation.ts'
import type { Ends, EndView } from '../rotation-ends.ts'
import { ModelConnector, type ModelReport } from './model-connector.ts'
import { SeededRandom } from './random.ts'

const TUNNEL: Tunnel = { id: 'tun_1', name: 'wan', sites: ['site_a', 'site_b'] }
const SITES: readonly [Site, Site] = [
  { id: 'site_a', name: 'a', prefixes: ['10.1.0.0/16'] },
  { id: 'site_b', name: 'b', prefixes: ['10.2.0.0/16'] },
]
const ADDRESSES = ['192.0.2.1', '192.0.2.2'] as const

/** Everything that the control plane keeps; it goes through JSON with each change, as through a store. */
interface Stored {
  readonly keys: TunnelKeys
  readonly rotations: readonly Rotation[]
  readonly versions: readonly [number, number]
  readonly reports: readonly [ModelReport | undefined, ModelReport | undefined]
}

export interface WorldOptions {
  readonly seed: number
  /** Sites whose connectors can be reached: who initiates follows from it. */
  readonly reachable?: readonly [boolean, boolean]
}

export class ModelWorld {
  readonly random: SeededRandom
  readonly connectors: readonly [ModelConnector, ModelConnector] = [
    new ModelConnector('con_a'),
    new ModelConnector('con_b'),
  ]
  readonly log: string[] = []
  now = 1_000_000
  #stored: Stored = { keys: newKeys(TUNNEL.id), rotations: [], versions: [1, 1], reports: [undefined, undefined] }
  readonly #reachable: readonly [boolean, boolean]
  /** Under way to each connector, and from it. */
  readonly #down: [ConnectorDocument[], ConnectorDocument[]] = [[], []]
  readonly #up: [ModelReport[], ModelReport[]] = [[], []]
  readonly #linked: [boolean, boolean] = [true, true]
  #established = false

  constructor({ seed, reachable = [true, true] }: WorldOptions) {
    this.random = new SeededRandom(seed)
    this.#reachable = reachable
  }

  get rotation(): Rotation | undefined {
    return this.#stored.rotations.at(-1)
  }

  get rotations(): readonly Rotation[] {
    return this.#stored.rotations
  }

  get keys(): TunnelKeys {
    return this.#stored.keys
  }

  /** A copy of the store, as a backup would be. */
  backup(): string {
    return JSON.stringify(this.#stored)
  }

  restore(backup: string): void {
    this.#note('the store is restored')
    this.#stored = JSON.parse(backup) as Stored
    for (const index of [0, 1] as const) this.cut(index)
  }

  /** Starts a rotation where none is under way. */
  rotate(): boolean {
    if (this.rotation !== undefined && !isEnded(this.rotation.state)) return false
    this.#begin('manual')
    return true
  }

  /** Somebody aborts it, where that is allowed. */
  abort(): void {
    if (this.rotation === undefined || abortRefusal(this.rotation) !== undefined) return
    this.#step('somebody has aborted it')
  }

  /** One random event; with probability `trouble` a loss, a cut, a crash, or somebody's wish, else progress. */
  event(trouble: number): void {
    const index = this.random.below(2) as 0 | 1
    const dice = this.random.chance(trouble) ? 60 + this.random.below(40) : this.random.below(60)
    if (dice < 15) this.deliverDocument(index)
    else if (dice < 30) this.deliverReport(index)
    else if (dice < 40) this.sendReport(index)
    else if (dice < 50) this.negotiate()
    else if (dice < 56) this.traffic()
    else if (dice < 60) this.connect(index)
    else if (dice < 70) this.cut(index)
    else if (dice < 78) this.restart(index)
    else if (dice < 84) this.#loseDocument(index)
    else if (dice < 90) this.pass(this.random.below(400_000))
    else if (dice < 92) this.abort()
    else if (dice < 93) this.loseKeys(index)
    else if (dice < 96) this.rotate()
    else this.dropSa()
  }

  /** Nobody fails any more, until nothing is left to happen. Throws when that does not come. */
  calm(): void {
    for (let round = 0; round < 2000; round++) {
      for (const index of [0, 1] as const) {
        this.connect(index)
        this.sendReport(index)
        while (this.#up[index].length > 0) this.deliverReport(index)
        while (this.#down[index].length > 0) this.deliverDocument(index)
      }
      this.negotiate()
      this.traffic()
      this.pass(1000)
      if (this.isSettled()) return
    }
    throw new Error(`it does not end\n${this.log.slice(-40).join('\n')}\n${JSON.stringify(this.#stored, null, 1)}`)
  }

  isSettled(): boolean {
    const rotation = this.rotation
    const used = this.connectors.every(({ sa }) => sa !== undefined && sa === this.keys.current)
    return rotation !== undefined && isEnded(rotation.state) && this.keys.rotation === undefined && used
  }

  pass(milliseconds: number): void {
    this.now += milliseconds
    this.#step()
  }

  connect(index: 0 | 1): void {
    if (this.#linked[index]) return
    this.#linked[index] = true
    this.sendReport(index)
    this.#push(index)
  }

  /** The link breaks, with all that is under way. */
  cut(index: 0 | 1): void {
    this.#note(`${index} is cut off`)
    this.#linked[index] = false
    this.#down[index] = []
    this.#up[index] = []
  }

  restart(index: 0 | 1): void {
    this.#note(`${index} restarts`)
    this.connectors[index].restart()
    this.connectors[1 - index]!.lostSa()
    this.cut(index)
  }

  loseKeys(index: 0 | 1): void {
    this.#note(`${index} loses its keys`)
    this.connectors[index].loseKeys()
    this.connectors[1 - index]!.lostSa()
    this.#established = false
  }

  dropSa(): void {
    this.#note('the IKE SA is lost')
    for (const connector of this.connectors) connector.lostSa()
  }

  sendReport(index: 0 | 1): void {
    if (this.#linked[index]) this.#up[index].push(this.connectors[index].report())
  }

  deliverReport(index: 0 | 1): void {
    const report = this.#up[index].shift()
    if (report === undefined || report.serial <= (this.#stored.reports[index]?.serial ?? 0)) return
    const reports: [ModelReport | undefined, ModelReport | undefined] = [...this.#stored.reports]
    reports[index] = report
    this.#store({ reports })
    const situation = { rotation: this.rotation, keys: this.keys, ends: this.#ends(), now: this.now }
    const review = reviewTunnel(situation)
    this.#take(review)
    if (review.establish !== undefined) this.#begin('establish')
    if (report.version > this.#stored.versions[index]) this.#announce([index])
    else if (report.version < this.#stored.versions[index] && this.#down[index].length === 0) this.#push(index)
  }

  /** Documents may overtake one another, as those that are asked for and those that are pushed do. */
  deliverDocument(index: 0 | 1): void {
    const queue = this.#down[index]
    if (queue.length === 0) return
    const [document] = queue.splice(this.random.below(queue.length), 1)
    if (this.connectors[index].losesSa(document!)) this.#fail(`${index} forgets the key that its IKE SA stands on`)
    this.connectors[index].take(document!)
    this.#note(
      `${index} has ${JSON.stringify(document!.tunnels[0]?.epochs.map(({ epoch, phase }) => `${epoch} ${phase}`))}`,
    )
    this.sendReport(index)
    this.#check()
  }

  /** The initiator makes an IKE SA where there is none, or a new one with the key that it is to use now. */
  negotiate(): void {
    for (const [index, initiator] of this.connectors.entries()) {
      const responder = this.connectors[1 - index]!
      const epoch = initiator.preferred
      if (!initiator.initiates || epoch === undefined || initiator.sa === epoch) continue
      // An authentication that fails leaves what is there.
      if (responder.keys.get(epoch) !== initiator.keys.get(epoch)) continue
      initiator.authenticated(epoch)
      responder.authenticated(epoch)
      this.#note(`${index} authenticates with ${epoch}`)
    }
  }

  traffic(): void {
    const [left, right] = this.connectors
    if (left.sa === undefined || left.sa !== right.sa) return
    left.received()
    right.received()
  }

  #begin(trigger: 'establish' | 'manual'): void {
    const id = `rot_${this.#stored.rotations.length}`
    const request = { id, tunnel: TUNNEL.id, trigger, startedBy: 'system', now: this.now }
    const rotation = queuedRotation(request, this.keys)
    this.#store({ rotations: [...this.#stored.rotations, rotation] })
    this.#take(beginRotation({ rotation, keys: this.keys, ends: this.#ends(), now: this.now }))
  }

  #step(abort?: string): void {
    const rotation = this.rotation
    if (rotation === undefined) return
    this.#take(stepRotation({ rotation, keys: this.keys, ends: this.#ends(), now: this.now }, abort))
  }

  #take(step: Pick<TunnelReview, 'rotation' | 'keys' | 'changed' | 'documents'>): void {
    if (!step.changed) return
    const rotations = step.rotation === undefined ? [] : [...this.#stored.rotations.slice(0, -1), step.rotation]
    this.#store({ keys: step.keys, rotations })
    const { next, nextPhase, current } = step.keys
    this.#note(`${step.rotation?.id} ${step.rotation?.state}, current ${current}, next ${next} ${nextPhase}`)
    if (step.documents) this.#announce([0, 1])
    this.#check()
  }

  #announce(indexes: readonly (0 | 1)[]): void {
    const versions: [number, number] = [...this.#stored.versions]
    for (const index of indexes) {
      versions[index] = nextVersion({ documentVersion: versions[index] }, this.#stored.reports[index]?.version)
    }
    this.#store({ versions })
    // Between the commit and the push the control plane may crash, and the links with it.
    const crash = this.random.chance(0.05)
    for (const index of indexes) {
      if (crash) this.cut(index)
      else this.#push(index)
    }
  }

  #push(index: 0 | 1): void {
    if (this.#linked[index]) this.#down[index].push(this.#document(index))
  }

  #loseDocument(index: 0 | 1): void {
    this.#down[index].shift()
  }

  #document(index: 0 | 1): ConnectorDocument {
    const peer = { site: SITES[1 - index]!, connector: this.#place(1 - index) }
    const tunnels = [{ tunnel: TUNNEL, peer, keys: this.keys }]
    const view = { network: 'net_1', connector: this.#place(index), site: SITES[index], tunnels }
    return withVersion(documentContent(view), this.#stored.versions[index])
  }

  #place(index: number): DocumentConnector {
    const own = ADDRESSES[index]!
    const addresses = this.#reachable[index] ? [own] : ['10.0.0.1']
    return { id: this.connectors[index]!.id, identityKey: 'k', seenAddress: own, addresses }
  }

  #ends(): Ends {
    return [this.#end(0), this.#end(1)]
  }

  #end(index: 0 | 1): EndView | undefined {
    const report = this.#stored.reports[index]
    return {
      connector: this.connectors[index].id,
      documentVersion: this.#stored.versions[index],
      carriedOut: report?.version ?? 0,
      epochs: (report?.epochs ?? []) as EpochStatus[],
    }
  }

  #store(changes: Partial<Stored>): void {
    this.#stored = JSON.parse(JSON.stringify({ ...this.#stored, ...changes })) as Stored
  }

  /** The promises: there is always a key that both accept, and what either end would use now, the other accepts. */
  #check(): void {
    const [left, right] = this.connectors
    const shared = [...left.keys].filter(([epoch, key]) => right.keys.get(epoch) === key)
    if (!this.#established) {
      // From the first key on: when it is the current one.
      this.#established = this.keys.current > 0 && shared.some(([epoch]) => epoch === this.keys.current)
      return
    }
    if (shared.length === 0) this.#fail('there is no key that both accept')
    for (const end of this.connectors) {
      if (!shared.some(([epoch]) => epoch === end.preferred)) {
        this.#fail(`${end.id} would use epoch ${end.preferred}, which the other does not accept`)
      }
    }
  }

  #fail(what: string): never {
    throw new Error(`${what}\n${this.log.slice(-40).join('\n')}`)
  }

  #note(line: string): void {
    this.log.push(`${this.now} ${line}`)
  }
}
