/** What connectors say of themselves: stored where it matters, and taken further by the rotations that wait for it. */
import { epochKeySchema } from '../../protocol/control/document.ts'
import { type FunctionsReport, streamKeySchema } from '../../protocol/control/grant.ts'
import type { ConnectorReport, LinkEvent, TunnelReport } from '../../protocol/control/link.ts'
import { announced } from '../domain/document.ts'
import { standingOf } from '../domain/endpoint.ts'
import { sameValue } from '../domain/intent.ts'
import type { ConnectorRecord, TunnelEndRecord } from '../store/repo.ts'
import type { ConnectorParts } from './connectors.ts'
import type { Topology } from './planned-view.ts'
import { refusal } from './refusals.ts'
import type { Verifier } from './signatures.ts'
import { optional } from './support.ts'
import type { Call, Outcome } from './types.ts'
import { Work } from './work.ts'

/** Counters that nothing waits for are stored no more often than this, in milliseconds. */
const STORE_EVERY_MS = 60_000
/** No store has given out so many versions; beyond it they could not grow any more. */
const MAX_VERSION = 2 ** 48

export interface Taken {
  /** Of the connector's document now. */
  readonly version: number
  readonly now: number
}

export class Reports {
  readonly #parts: ConnectorParts
  readonly #verifier: Verifier

  constructor(parts: ConnectorParts, verifier: Verifier) {
    this.#parts = parts
    this.#verifier = verifier
  }

  /** `call.actor` is the connector. Reports of one connector must come in the order in which it made them. */
  async take(call: Call, report: ConnectorReport, events: readonly LinkEvent[] = []): Promise<Outcome<Taken>> {
    const { context, committer, intents, documents, rotating, runs, rolling, cloudReports } = this.#parts
    const id = call.actor.connector!
    this.#sight(call.network, id, report)
    this.note(call.network, id, events)
    if (report.version > MAX_VERSION) throw refusal('document-from-the-future', `version ${report.version}`)
    await this.#verifyKeys(call.network, id, report.tunnels)
    await this.#verifyStreamKey(call.network, id, report.functions)
    await cloudReports.verify(this.#verifier, call.network, id, report.externals)
    return committer.run(call, async () => {
      const work = new Work(context.repo, call.network)
      const connector = await work.mustGet('connector', id)
      if (connector.revokedAt !== undefined) throw refusal('connector-revoked', 'it was revoked just now')
      const situation = await intents.situation(call.network)
      const { topology } = situation
      await this.#takeSelf(work, topology, call, connector, report)
      const carries = report.tunnels.length > 0 && (await documents.carriesTunnels(work, connector))
      for (const tunnel of carries ? report.tunnels : []) {
        if (!topology.tunnel(tunnel.tunnel)?.sites.includes(connector.site)) continue
        if (await this.#takeTunnel(work, id, report, tunnel)) await rotating.settle(work, topology, tunnel.tunnel)
      }
      await cloudReports.take(work, await work.mustGet('connector', id), report)
      await runs.advance(work, topology)
      await rolling.finish(work, await rolling.heard(work, situation, connector, report))
      const { documentVersion: version } = await work.mustGet('connector', id)
      return work.decision({ value: { version, now: context.clock() } })
    })
  }

  /** Events go into our log. */
  note(network: string, connector: string, events: readonly LinkEvent[]): void {
    const { log } = this.#parts.context
    for (const { code, message, tunnel, at } of events) {
      log.info({ network, connector, code, message, at, ...optional('tunnel', tunnel) }, 'event')
    }
  }

  #sight(network: string, connector: string, report: ConnectorReport): void {
    const { sightings, context } = this.#parts
    const earlier = sightings.note(network, connector, context.clock(), report.startedAt)
    if (earlier) {
      const message = 'two connectors seem to have one identity: a report comes from an earlier start than the last one'
      context.log.warn({ network, connector, startedAt: report.startedAt }, message)
    }
  }

  /** Halves that are stored already were verified then. */
  async #verifyKeys(network: string, connector: string, tunnels: readonly TunnelReport[]): Promise<void> {
    const { repo } = this.#parts.context
    let identityKey: string | undefined
    for (const [index, report] of tunnels.entries()) {
      if (report.epochs.every(({ key }) => key === undefined)) continue
      const stored = await repo.get(network, 'end', `${report.tunnel}/${connector}`)
      const known = new Set(stored?.value.epochs.map(({ key }) => key))
      for (const [at, { key, epoch }] of report.epochs.entries()) {
        if (key === undefined || known.has(key)) continue
        identityKey ??= (await repo.get(network, 'connector', connector))?.value.identityKey ?? ''
        const half = await this.#verifier.open(key, identityKey, epochKeySchema)
        const own = half?.network === network && half.tunnel === report.tunnel && half.epoch === epoch
        if (own && half.connector === connector) continue
        const detail = 'not signed by this connector for this tunnel and epoch'
        const pointer = `/report/tunnels/${index}/epochs/${at}/key`
        throw refusal('bad-signature', detail, { errors: [{ pointer, detail }] })
      }
    }
  }

  /** One that is stored already was verified then. */
  async #verifyStreamKey(network: string, connector: string, functions: FunctionsReport | undefined): Promise<void> {
    if (functions === undefined) return
    const record = (await this.#parts.context.repo.get(network, 'connector', connector))?.value
    if (record?.functions?.streamKey === functions.streamKey) return
    const own = record && (await this.#verifier.open(functions.streamKey, record.identityKey, streamKeySchema))
    if (own?.network === network && own.connector === connector) return
    const detail = 'not signed by this connector for this network'
    throw refusal('bad-signature', detail, { errors: [{ pointer: '/report/functions/streamKey', detail }] })
  }

  async #takeSelf(
    work: Work,
    topology: Topology,
    call: Call,
    record: ConnectorRecord,
    report: ConnectorReport,
  ): Promise<void> {
    const { documents, context, functionKeys } = this.#parts
    const { addresses, software, functions, routing } = report
    const canRoute = routing === undefined ? undefined : true
    const sealingKey = report.externals?.sealingKey
    const seenAddress = call.seenAddress ?? record.seenAddress
    const { functions: before, canRoute: couldRoute, sealingKey: sealedFor, ...rest } = record
    const after: ConnectorRecord = {
      ...rest,
      addresses,
      software,
      ...optional('seenAddress', seenAddress),
      ...optional('functions', functions),
      ...optional('canRoute', canRoute),
      ...optional('sealingKey', sealingKey),
    }
    const said = [addresses, seenAddress, software, functions, canRoute, sealingKey]
    if (!sameValue(said, [record.addresses, record.seenAddress, record.software, before, couldRoute, sealedFor])) {
      await work.put('connector', after)
    }
    if ((functions === undefined) !== (before === undefined)) {
      await functionKeys.ensure(work)
      documents.refreshOne(work, record.id)
    }
    if (sealingKey !== sealedFor) documents.refreshOne(work, record.id)
    if (!sameValue([standingOf(after), canRoute], [standingOf(record), couldRoute]))
      await this.#moved(work, topology, record)
    if (report.version <= record.documentVersion) return
    const message = 'the connector has a document that this store never gave out: it was restored from an older copy'
    context.log.warn({ network: call.network, connector: record.id, version: report.version }, message)
    const { documentHash: _, ...unhashed } = after
    await work.put('connector', { ...unhashed, ...announced(record, report.version) })
    work.tell(record.id)
  }

  /** Each of these documents costs as much as it has tunnels: a hub's must not be made anew for nothing. */
  async #moved(work: Work, topology: Topology, record: ConnectorRecord): Promise<void> {
    const { documents } = this.#parts
    documents.refreshOne(work, record.id)
    if (!(await documents.carriesTunnels(work, record))) return
    for (const { sites } of topology.tunnelsOf(record.site)) for (const site of sites) documents.refresh(work, site)
  }

  /** Whether there is something new that a rotation could wait for. */
  async #takeTunnel(work: Work, connector: string, report: ConnectorReport, tunnel: TunnelReport): Promise<boolean> {
    const now = this.#parts.context.clock()
    const id = `${tunnel.tunnel}/${connector}`
    const before = await work.get('end', id)
    const rotation = (await work.get('keys', tunnel.tunnel))?.rotation
    const said = [tunnel.epochs, report.version, report.startedAt]
    const news = before === undefined || !sameValue(said, [before.epochs, before.version, before.startedAt])
    const shown =
      before === undefined || !sameValue([tunnel.state, tunnel.problem], [before.report.state, before.report.problem])
    const due = before === undefined || now - before.at >= STORE_EVERY_MS
    if (!news && !shown && !due && rotation === undefined) return false
    const end: TunnelEndRecord = {
      id,
      tunnel: tunnel.tunnel,
      connector,
      at: now,
      version: report.version,
      startedAt: report.startedAt,
      report: tunnel,
      epochs: tunnel.epochs,
      ...optional('baseline', before?.baseline),
    }
    await work.put('end', end)
    return news || rotation !== undefined
  }
}
