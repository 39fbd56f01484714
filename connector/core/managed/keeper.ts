/**
 * Carries out the control plane's documents, as far as the tunnels' keys go: makes halves, derives keys, forgets them,
 * and holds to the identities that it once saw. What it wants done comes out as one plan of all tunnels.
 *
 *     document ──> halves to make ──> half-made ──> settle: save, then apply, then report
 */

import { fromBase64url, toBase64url } from '../../../protocol/control/base64url.ts'
import type { ConnectorDocument, DocumentEpoch, DocumentTunnel, EpochKey } from '../../../protocol/control/document.ts'
import { deriveEpochPsk, type EpochCrypto } from './psk.ts'
import { emptyState, type ManagedState, type SavedEpoch } from './state.ts'

export type KeeperInput =
  /** `halves`: the peers' halves by `<tunnel>/<epoch>`, those whose signature holds for the document's identity key. */
  | { readonly type: 'document'; readonly document: ConnectorDocument; readonly halves: ReadonlyMap<string, EpochKey> }
  /** Answer to `make-half`. The private key is ours from here on. */
  | {
      readonly type: 'half-made'
      readonly tunnel: string
      readonly epoch: number
      readonly peer: string
      readonly privateKey: Uint8Array
      readonly publicKey: Uint8Array
      readonly half: string
    }
  /** A person at this site accepts that this connector now has this identity key. */
  | { readonly type: 'trust'; readonly connector: string; readonly identityKey: string }

export type KeeperEffect =
  /** Make an X25519 pair and sign its public half with our identity key. */
  | { readonly type: 'make-half'; readonly tunnel: string; readonly epoch: number; readonly peer: string }
  /** Save the state; when it is on disk, carry out the plan; when that is done, report. */
  | { readonly type: 'settle'; readonly state: ManagedState; readonly tunnels: readonly TunnelPlan[] }
  | { readonly type: 'event'; readonly code: KeeperEventCode; readonly message: string; readonly tunnel?: string }

export type KeeperEventCode =
  | 'document-refused'
  | 'identity-pinned'
  | 'identity-changed'
  | 'half-refused'
  | 'epoch-accepted'
  | 'epoch-forgotten'

/** A tunnel to be up. */
export interface TunnelPlan {
  readonly tunnel: DocumentTunnel
  /** The first is for initiating, all are accepted; never empty. */
  readonly keys: readonly { readonly id: string; readonly psk: Uint8Array }[]
}

/** What a tunnel has of each epoch, for the report. */
export interface EpochView {
  readonly epoch: number
  readonly key: string
  readonly accepted: boolean
  readonly fingerprint?: string
}

export interface Refused {
  readonly code: 'identity-changed' | 'half-refused'
  readonly cause: string
  readonly remedy: string
}

export class Keeper {
  readonly #self: { readonly network: string; readonly connector: string }
  readonly #crypto: EpochCrypto
  #state: ManagedState
  #halves: ReadonlyMap<string, EpochKey> = new Map()
  readonly #asked = new Set<string>()
  readonly #refused = new Map<string, Refused>()
  /** What was last settled for each tunnel: it goes on while the document's version of it is refused. */
  readonly #settled = new Map<string, TunnelPlan>()
  #effects: KeeperEffect[] = []

  constructor(self: { network: string; connector: string }, saved: ManagedState | undefined, crypto: EpochCrypto) {
    this.#self = self
    this.#crypto = crypto
    this.#state = saved ?? emptyState()
  }

  handle(input: KeeperInput): void {
    switch (input.type) {
      case 'document':
        this.#takeDocument(input.document, input.halves)
        return
      case 'half-made':
        this.#takeHalf(input)
        return
      case 'trust':
        this.#state = { ...this.#state, pins: { ...this.#state.pins, [input.connector]: input.identityKey } }
        if (this.#state.document !== undefined) this.#reconcile(this.#state.document)
        return
    }
  }

  poll(): KeeperEffect | undefined {
    return this.#effects.shift()
  }

  /** 0 while there is no document. */
  get version(): number {
    return this.#state.document?.version ?? 0
  }

  get document(): ConnectorDocument | undefined {
    return this.#state.document
  }

  epochs(tunnel: string): EpochView[] {
    return (this.#state.epochs[tunnel] ?? []).map(({ epoch, half, psk, fingerprint }) => ({
      epoch,
      key: half,
      accepted: psk !== undefined,
      ...(fingerprint === undefined ? {} : { fingerprint }),
    }))
  }

  refusal(tunnel: string): Refused | undefined {
    return this.#refused.get(tunnel)
  }

  #takeDocument(document: ConnectorDocument, halves: ReadonlyMap<string, EpochKey>): void {
    const { network, connector } = this.#self
    if (document.network !== network || document.connector !== connector) {
      const message = `the document is for ${document.connector} of ${document.network}, not for this connector`
      this.#event('document-refused', message)
      return
    }
    if (document.version < this.version) {
      // Versions only grow, also where the store was restored from a copy: this is an old one played again.
      this.#event('document-refused', `version ${document.version} is older than ${this.version}, which is carried out`)
      return
    }
    this.#halves = halves
    this.#reconcile(document)
  }

  #reconcile(document: ConnectorDocument): void {
    const epochs: Record<string, SavedEpoch[]> = {}
    const pins = { ...this.#state.pins }
    this.#refused.clear()
    for (const tunnel of document.tunnels) {
      const saved = this.#state.epochs[tunnel.id] ?? []
      const trusted = this.#trusts(tunnel, pins)
      epochs[tunnel.id] = trusted ? this.#epochsOf(tunnel, saved) : saved
    }
    this.#tellForgotten(epochs)
    this.#state = { ...this.#state, document, pins, epochs }
    this.#settle()
  }

  /** The first identity key of a connector is kept; another one later is refused (trust on first use). */
  #trusts({ id, peer }: DocumentTunnel, pins: Record<string, string>): boolean {
    const pinned = pins[peer.connector]
    if (pinned === undefined) {
      pins[peer.connector] = peer.identityKey
      this.#event('identity-pinned', `${peer.connector} at ${peer.site} has the identity key ${peer.identityKey}`, id)
      return true
    }
    if (pinned === peer.identityKey) return true
    const cause = `The control plane says that ${peer.connector} at ${peer.site} has another identity key than before.`
    const remedy = `Compare the key with the one at that site; if it is right: isthmus trust ${peer.connector} ${peer.identityKey}`
    this.#refused.set(id, { code: 'identity-changed', cause, remedy })
    this.#event('identity-changed', cause, id)
    return false
  }

  #epochsOf(tunnel: DocumentTunnel, saved: readonly SavedEpoch[]): SavedEpoch[] {
    const kept: SavedEpoch[] = []
    for (const wanted of tunnel.epochs) {
      const mine = saved.find(({ epoch, peer }) => epoch === wanted.epoch && peer === tunnel.peer.connector)
      if (mine === undefined) this.#ask(tunnel, wanted.epoch)
      else kept.push(mine.psk === undefined ? this.#derive(tunnel, wanted, mine) : mine)
    }
    return kept
  }

  #ask(tunnel: DocumentTunnel, epoch: number): void {
    const key = `${tunnel.id}/${epoch}`
    if (this.#asked.has(key)) return
    this.#asked.add(key)
    this.#effects.push({ type: 'make-half', tunnel: tunnel.id, epoch, peer: tunnel.peer.connector })
  }

  #derive(tunnel: DocumentTunnel, wanted: DocumentEpoch, mine: SavedEpoch): SavedEpoch {
    if (wanted.phase === 'offer' || wanted.peerKey === undefined || mine.privateKey === undefined) return mine
    const names = { network: this.#self.network, tunnel: tunnel.id, epoch: wanted.epoch }
    const theirs = this.#halfOf(tunnel, wanted)
    const privateKey = fromBase64url(mine.privateKey)
    const publicKey = fromBase64url(mine.publicKey)
    if (theirs === undefined || privateKey === undefined || publicKey === undefined) return mine
    const self = { connector: this.#self.connector, publicKey, privateKey }
    const derived = deriveEpochPsk(names, self, { connector: tunnel.peer.connector, publicKey: theirs }, this.#crypto)
    privateKey.fill(0)
    if (derived === undefined) {
      this.#refuseHalf(tunnel, wanted.epoch)
      return mine
    }
    const { privateKey: _, ...rest } = mine
    const psk = toBase64url(derived.psk)
    derived.psk.fill(0)
    this.#event('epoch-accepted', `epoch ${wanted.epoch}, fingerprint ${derived.fingerprint}`, tunnel.id)
    return { ...rest, psk, fingerprint: derived.fingerprint }
  }

  /** The peer's public key, where its half is signed, and for this epoch of this tunnel and for us. */
  #halfOf(tunnel: DocumentTunnel, wanted: DocumentEpoch): Uint8Array | undefined {
    const half = this.#halves.get(`${tunnel.id}/${wanted.epoch}`)
    const { network, connector } = this.#self
    const fits =
      half !== undefined &&
      half.network === network &&
      half.tunnel === tunnel.id &&
      half.epoch === wanted.epoch &&
      half.connector === tunnel.peer.connector &&
      half.peer === connector
    const key = fits ? fromBase64url(half.key) : undefined
    if (key === undefined) this.#refuseHalf(tunnel, wanted.epoch)
    return key
  }

  #refuseHalf(tunnel: DocumentTunnel, epoch: number): void {
    const cause = `The half of epoch ${epoch} that the control plane handed over is not one of ${tunnel.peer.connector} for this tunnel.`
    const remedy = 'The old key stays in use. Abort the rotation, and look at who may write to the control plane.'
    this.#refused.set(tunnel.id, { code: 'half-refused', cause, remedy })
    this.#event('half-refused', cause, tunnel.id)
  }

  #takeHalf(made: Extract<KeeperInput, { type: 'half-made' }>): void {
    const { tunnel, epoch, peer } = made
    this.#asked.delete(`${tunnel}/${epoch}`)
    const { document } = this.#state
    const wanted = document?.tunnels.find(({ id }) => id === tunnel)
    const present = this.#state.epochs[tunnel] ?? []
    const needless =
      wanted?.epochs.some((it) => it.epoch === epoch) !== true || present.some((it) => it.epoch === epoch)
    const saved: SavedEpoch = {
      epoch,
      peer,
      privateKey: toBase64url(made.privateKey),
      publicKey: toBase64url(made.publicKey),
      half: made.half,
    }
    made.privateKey.fill(0)
    if (needless || document === undefined) return
    const epochs = [...present, saved].sort((left, right) => left.epoch - right.epoch)
    this.#state = { ...this.#state, epochs: { ...this.#state.epochs, [tunnel]: epochs } }
    this.#reconcile(document)
  }

  #tellForgotten(epochs: Record<string, SavedEpoch[]>): void {
    for (const [tunnel, saved] of Object.entries(this.#state.epochs)) {
      for (const { epoch } of saved) {
        if (epochs[tunnel]?.some((it) => it.epoch === epoch) === true) continue
        this.#event('epoch-forgotten', `epoch ${epoch}`, tunnel)
      }
    }
  }

  #settle(): void {
    const document = this.#state.document
    if (document === undefined) return
    const tunnels: TunnelPlan[] = []
    for (const tunnel of document.tunnels) {
      const refused = this.#refused.get(tunnel.id)?.code === 'identity-changed'
      const present = planOf(tunnel, this.#state.epochs[tunnel.id] ?? [])
      const plan = refused ? (this.#settled.get(tunnel.id) ?? present) : present
      if (plan === undefined) continue
      this.#settled.set(tunnel.id, plan)
      tunnels.push(plan)
    }
    for (const id of [...this.#settled.keys()]) {
      if (!document.tunnels.some((tunnel) => tunnel.id === id)) this.#settled.delete(id)
    }
    this.#effects = this.#effects.filter(({ type }) => type !== 'settle')
    this.#effects.push({ type: 'settle', state: this.#state, tunnels })
  }

  #event(code: KeeperEventCode, message: string, tunnel?: string): void {
    this.#effects.push({ type: 'event', code, message, ...(tunnel === undefined ? {} : { tunnel }) })
  }
}

/** The name of an epoch's key where IKE speaks of it. */
export function keyId(epoch: number): string {
  return `epoch-${epoch}`
}

/** The newest key that is to be used first, then what is accepted besides. Undefined where there is none yet. */
function planOf(tunnel: DocumentTunnel, saved: readonly SavedEpoch[]): TunnelPlan | undefined {
  const uses = (epoch: number): boolean => tunnel.epochs.some((it) => it.epoch === epoch && it.phase === 'use')
  const keys = saved
    .filter(({ psk }) => psk !== undefined)
    .sort((left, right) => Number(uses(right.epoch)) - Number(uses(left.epoch)) || right.epoch - left.epoch)
    .map(({ epoch, psk }) => ({ id: keyId(epoch), psk: fromBase64url(psk!)! }))
  return keys.length === 0 ? undefined : { tunnel, keys }
}
