/**
 * A connector reduced to what rotations ask of it: it follows documents, keeps its epochs on disk, and has at most one
 * IKE SA, which was authenticated with one of them. Keys are texts that only the two ends could have made.
 */
import type { ConnectorDocument, DocumentEpoch } from '../../../protocol/control/document.ts'
import type { EpochStatus } from '../../../protocol/control/link.ts'
import { hashText } from '../bytes.ts'

interface SavedEpoch {
  readonly epoch: number
  readonly half: string
  /** Derived from both halves, once the peer's is there. */
  readonly psk?: string
}

interface Disk {
  readonly document?: ConnectorDocument
  readonly epochs: readonly SavedEpoch[]
}

export interface ModelReport {
  readonly version: number
  /** Grows with every report: what was made earlier is not taken later. */
  readonly serial: number
  readonly epochs: readonly EpochStatus[]
}

export class ModelConnector {
  readonly id: string
  #disk: Disk = { epochs: [] }
  #serial = 0
  #halves = 0
  /** Epoch that the IKE SA was authenticated with; gone with a restart. */
  #sa: number | undefined
  #confirmed = false

  constructor(id: string) {
    this.id = id
  }

  get version(): number {
    return this.#disk.document?.version ?? 0
  }

  get sa(): number | undefined {
    return this.#sa
  }

  get initiates(): boolean {
    return this.#tunnel?.initiate ?? false
  }

  /** As the connector's program does: an older document than the one it has is no news. */
  take(document: ConnectorDocument): void {
    if (document.version <= this.version) return
    const wanted = document.tunnels[0]?.epochs ?? []
    const epochs = wanted.map((epoch) => this.#epochFor(epoch))
    this.#disk = { document, epochs }
  }

  /** What it would forget of what its IKE SA stands on, were it to take `document`. */
  losesSa(document: ConnectorDocument): boolean {
    if (document.version <= this.version || this.#sa === undefined || document.tunnels.length === 0) return false
    return !document.tunnels[0]!.epochs.some(({ epoch }) => epoch === this.#sa)
  }

  /** Keys by epoch that an IKE SA may be authenticated with. */
  get keys(): ReadonlyMap<number, string> {
    return new Map(this.#disk.epochs.flatMap(({ epoch, psk }) => (psk === undefined ? [] : [[epoch, psk] as const])))
  }

  /** The epoch that it would authenticate with now. */
  get preferred(): number | undefined {
    const usable = (this.#tunnel?.epochs ?? []).filter(({ epoch }) => this.keys.has(epoch))
    return (usable.findLast(({ phase }) => phase === 'use') ?? usable.at(-1))?.epoch
  }

  authenticated(epoch: number): void {
    this.#sa = epoch
    this.#confirmed = false
  }

  received(): void {
    this.#confirmed = true
  }

  lostSa(): void {
    this.#sa = undefined
    this.#confirmed = false
  }

  restart(): void {
    this.lostSa()
  }

  /** Its disk comes back as it was before it ever had keys. */
  loseKeys(): void {
    const { document } = this.#disk
    const epochs = document?.tunnels[0]?.epochs ?? []
    this.lostSa()
    this.#disk = {
      ...(document === undefined ? {} : { document }),
      epochs: epochs.map(({ epoch }) => ({ epoch, half: this.#newHalf(epoch) })),
    }
  }

  report(): ModelReport {
    const epochs = this.#disk.epochs.map(({ epoch, half, psk }) => ({
      epoch,
      key: half,
      accepted: psk !== undefined,
      using: this.#sa === epoch,
      confirmed: this.#sa === epoch && this.#confirmed,
      ...(psk === undefined ? {} : { fingerprint: hashText(psk).slice(0, 16) }),
    }))
    this.#serial += 1
    return { version: this.version, serial: this.#serial, epochs }
  }

  #epochFor({ epoch, phase, peerKey }: DocumentEpoch): SavedEpoch {
    const saved = this.#disk.epochs.find((one) => one.epoch === epoch) ?? { epoch, half: this.#newHalf(epoch) }
    if (saved.psk !== undefined || phase === 'offer' || peerKey === undefined) return saved
    return { ...saved, psk: [saved.half, peerKey].sort().join(' ') }
  }

  #newHalf(epoch: number): string {
    this.#halves += 1
    return `${this.id}.${epoch}.${this.#halves}`
  }

  get #tunnel() {
    return this.#disk.document?.tunnels[0]
  }
}
