/** What connectors say of their tunnels to clouds: stored where it matters, and news for the runs that wait for it. */
import { type ExternalStatus, type ExternalsReport, sealingKeySchema } from '../../protocol/control/external.ts'
import type { ConnectorReport } from '../../protocol/control/link.ts'
import type { CloudSaid } from '../domain/cloud/evidence.ts'
import { sameValue } from '../domain/intent.ts'
import type { CloudViewRecord, ConnectorRecord } from '../store/repo.ts'
import { MAX_CLOUDS } from './cloud-keys.ts'
import type { Documents } from './documents.ts'
import { refusal } from './refusals.ts'
import type { Verifier } from './signatures.ts'
import type { Context } from './types.ts'
import type { Work } from './work.ts'

/** Counters that nothing waits for are stored no more often than this, in milliseconds. */
const STORE_EVERY_MS = 30_000
/** A run that looks again that soon needs no waking. */
const SOON_MS = 1_000

export class CloudReports {
  readonly #context: Context
  readonly #documents: Documents

  constructor(context: Context, documents: Documents) {
    this.#context = context
    this.#documents = documents
  }

  /** A sealing key that is stored already was verified then. */
  async verify(
    verifier: Verifier,
    network: string,
    connector: string,
    externals: ExternalsReport | undefined,
  ): Promise<void> {
    if (externals === undefined) return
    const record = (await this.#context.repo.get(network, 'connector', connector))?.value
    if (record === undefined || record.sealingKey === externals.sealingKey) return
    const own = await verifier.open(externals.sealingKey, record.identityKey, sealingKeySchema)
    if (own?.network === network && own.connector === connector) return
    const detail = 'not signed by this connector for this network'
    throw refusal('bad-signature', detail, { errors: [{ pointer: '/report/externals/sealingKey', detail }] })
  }

  async take(work: Work, connector: ConnectorRecord, report: ConnectorReport): Promise<void> {
    if (report.externals === undefined) return
    const { repo } = this.#context
    const page = { ref: connector.site, limit: MAX_CLOUDS }
    const records = work.adopt('cloud', await repo.list(work.network, 'cloud', page))
    if (records.length === 0 || !(await this.#documents.carriesTunnels(work, connector))) return
    const views = work.adopt('cloudView', await repo.list(work.network, 'cloudView', page))
    const viewBy = new Map(views.map((view) => [view.id, view]))
    const now = this.#context.clock()
    for (const { id, site, tunnels, run } of records) {
      const own = report.externals.externals.filter(({ external }) =>
        tunnels.some((each) => each.external === external),
      )
      const view: CloudViewRecord = viewBy.get(id) ?? { id, site, drift: [], provider: [] }
      const { version, startedAt } = report
      const said: CloudSaid = { connector: connector.id, at: now, version, startedAt, externals: own }
      const news = !sameValue(gistOf(view.said), gistOf(said))
      const due = now - (view.said?.at ?? 0) >= STORE_EVERY_MS
      if (!news && !due && run === undefined) continue
      if (own.length === 0 && view.said === undefined) continue
      await work.put('cloudView', { ...view, said })
      if (run !== undefined) await this.#wake(work, run, now)
    }
  }

  async #wake(work: Work, id: string, now: number): Promise<void> {
    const run = await work.get('cloudRun', id)
    if (run === undefined || run.nextAt <= now + SOON_MS || (run.lease?.until ?? 0) > now) return
    await work.put('cloudRun', { ...run, nextAt: now })
  }
}

/** Without what counts up. */
function gistOf(said: CloudSaid | undefined): unknown {
  if (said === undefined) return undefined
  const { connector, version, startedAt, externals } = said
  return [connector, version, startedAt, externals.map(gistOfOne)]
}

function gistOfOne({ traffic: _, idleMs: __, bgp, ...rest }: ExternalStatus): unknown {
  return { ...rest, bgp: bgp?.established }
}
