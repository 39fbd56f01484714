/**
 * The Durable Object of one network: its store, its API, its links, its alarms. Links hibernate: while nothing is
 * said, the object is not in memory, and a session goes on from what is attached to its socket.
 */
import { DurableObject } from 'cloudflare:workers'
import { isRunning } from '../domain/cloud/records.ts'
import { HeldLink, type LinkNames } from '../link/held-link.ts'
import { Links } from '../link/links.ts'
import type { SavedSession } from '../link/session.ts'
import { type Revocations, withRelay } from '../relay/hub.ts'
import type { OpenLink } from '../routes/operation.ts'
import { turnOf } from '../service/cloud-runner.ts'
import { nextWork } from '../service/next-work.ts'
import { storedNonces } from '../service/nonces.ts'
import type { Services } from '../service/services.ts'
import type { Batch, Repo } from '../store/repo.ts'
import { openRepo } from '../store/repo-sql.ts'
import { createSqliteDo } from '../store/sqlite-do.ts'
import { type Assembly, assemble } from './common.ts'
import { EMPTY_REPO } from './empty-repo.ts'
import { answerStoreCall, type StoreAnswer, type StoreCall } from './remote-repo.ts'
import { LOG, settingsOf } from './workers-common.ts'
import { admitUpgrade, RelayDoor, WORKERS_SPARES } from './workers-relay.ts'
import type {
  HibernatingSocket,
  NetworkStub,
  ObjectState,
  RelayAnswer,
  RelayStub,
  UpgradeRequest,
  WorkerEnv,
} from './workers-types.ts'

interface Attachment {
  readonly names: LinkNames
  readonly saved: SavedSession
}

/** A new policy or run is looked at so soon. */
const SOON_MS = 1000
const PAGE = 500

export class NetworkObject extends DurableObject<WorkerEnv> implements NetworkStub {
  readonly #held = new Map<HibernatingSocket, HeldLink>()
  readonly #links = new Links()
  #assembly: Assembly | undefined
  #repo: Repo = EMPTY_REPO
  #alarmAt: number | undefined

  constructor(ctx: ObjectState, env: WorkerEnv) {
    super(ctx, env)
    void ctx.blockConcurrencyWhile(() => this.#begin())
  }

  async fetch(request: Request): Promise<Response> {
    return this.#assembly!.app.fetch(request)
  }

  async store(call: StoreCall): Promise<StoreAnswer> {
    if (call.method === 'commit' && this.#repo === EMPTY_REPO) await this.#found()
    return answerStoreCall(this.#repo, call)
  }

  async admitRelay(request: UpgradeRequest): Promise<RelayAnswer> {
    return admitUpgrade((asked, env) => this.#assembly!.app.fetch(asked, env), request)
  }

  async call(network: string, connector: string, count: number): Promise<boolean> {
    return this.#links.call(network, connector, count)
  }

  async webSocketMessage(socket: HibernatingSocket, message: string | ArrayBuffer): Promise<void> {
    await this.#held.get(socket)?.handle({ type: 'message', text: typeof message === 'string' ? message : '' })
  }

  async webSocketClose(socket: HibernatingSocket, code: number): Promise<void> {
    this.#drop(socket)
    // 1005 and 1006 tell that there was no close frame; nobody may send them.
    socket.close(code === 1005 || code === 1006 ? 1000 : code)
  }

  async webSocketError(socket: HibernatingSocket): Promise<void> {
    this.#drop(socket)
  }

  /** What fails here is tried again by the platform. */
  async alarm(): Promise<void> {
    this.#alarmAt = undefined
    await this.tick()
  }

  async tick(): Promise<void> {
    if (this.#assembly === undefined || this.#repo === EMPTY_REPO) return
    const { scheduler, cloudRunner, context } = this.#assembly.services
    await scheduler.tick()
    await cloudRunner.tick()
    for (const { value } of await this.#repo.networks({ limit: 1 })) {
      const at = await nextWork(context, value.id)
      if (at !== undefined) await this.#wakeAt(at)
    }
  }

  async #begin(): Promise<void> {
    const tables = createSqliteDo(this.ctx.storage)
    const founded = await tables.all(
      "SELECT 1 AS there FROM sqlite_master WHERE type = 'table' AND name = 'networks'",
      [],
    )
    if (founded.length > 0) await this.#found()
    else this.#assembly = await this.#assemble(EMPTY_REPO)
    this.#alarmAt = (await this.ctx.storage.getAlarm()) ?? undefined
  }

  async #found(): Promise<void> {
    this.#repo = await openRepo(createSqliteDo(this.ctx.storage), (_network, batch) => this.#committed(batch))
    this.#assembly = await this.#assemble(this.#repo)
    for (const socket of this.ctx.getWebSockets()) this.#resume(this.#assembly.services, socket)
  }

  #assemble(repo: Repo): Promise<Assembly> {
    const clientAddress = (c: { req: { header(name: string): string | undefined } }) => c.req.header('cf-connecting-ip')
    return assemble({
      ...settingsOf(this.env),
      repo,
      hub: withRelay(this.#links, this.#relays, Date.now),
      // What an object remembers is gone when it hibernates.
      nonces: storedNonces(repo),
      // Links outlive it.
      isLasting: false,
      // There is one object of a network.
      isAlone: true,
      clientAddress,
      openLink: this.#open,
      openRelay: new RelayDoor(() => this.#assembly!.services),
    })
  }

  /** The relays of the connectors. Nobody waits for them. */
  readonly #relays: Revocations = {
    revoked: (network, connector) => this.#tell(network, [connector], (relay) => relay.revoked(network, connector)),
    functionRevoked: (network, id, at) => {
      const told = this.#serving(network)
        .then((connectors) => this.#tell(network, connectors, (relay) => relay.functionRevoked(network, id, at)))
        .catch((error) => LOG.error({ network, error: String(error) }, 'relays could not be told of a revocation'))
      this.ctx.waitUntil(told)
    },
  }

  /** Connectors that serve functions. */
  async #serving(network: string): Promise<string[]> {
    const ids: string[] = []
    for (let after = ''; ; ) {
      const page = await this.#repo.list(network, 'connector', { after, limit: PAGE })
      for (const { value } of page)
        if (value.functions !== undefined && value.revokedAt === undefined) ids.push(value.id)
      if (page.length < PAGE) return ids
      after = page.at(-1)!.value.id
    }
  }

  #tell(network: string, connectors: readonly string[], tell: (relay: RelayStub) => Promise<void>): void {
    for (const connector of connectors) {
      const relay = this.env.RELAYS.get(this.env.RELAYS.idFromName(`${network}/${connector}`))
      const told = tell(relay).catch((error) => {
        LOG.error({ network, connector, error: String(error) }, 'a relay could not be told of a revocation')
      })
      this.ctx.waitUntil(told)
    }
  }

  readonly #open: OpenLink = async (c, names) => {
    const { 0: client, 1: socket } = new WebSocketPair()
    this.ctx.acceptWebSocket(socket, [names.connector])
    const seenAddress = c.req.header('cf-connecting-ip')
    this.#hold(this.#assembly!.services, socket, { ...names, ...(seenAddress === undefined ? {} : { seenAddress }) })
    return new Response(null, { status: 101, webSocket: client } as ResponseInit)
  }

  #resume(services: Services, socket: HibernatingSocket): void {
    const attachment = socket.deserializeAttachment() as Attachment | null
    if (attachment === null) socket.close(1011)
    else this.#hold(services, socket, attachment.names, attachment.saved)
  }

  #hold(services: Services, socket: HibernatingSocket, names: LinkNames, saved?: SavedSession): void {
    const close = () => {
      this.#drop(socket)
      socket.serializeAttachment(null)
      socket.close(1000)
    }
    const keep = (now: SavedSession) => {
      if (this.#held.get(socket) === link) socket.serializeAttachment({ names, saved: now } satisfies Attachment)
    }
    const ends = { send: (text: string) => socket.send(text), close }
    const link = new HeldLink(services, names, ends, saved, keep, WORKERS_SPARES)
    this.#held.set(socket, link)
    if (saved === undefined) keep({ state: 'new', sent: 0 })
    this.#links.add(link)
  }

  #drop(socket: HibernatingSocket): void {
    const link = this.#held.get(socket)
    this.#held.delete(socket)
    if (link !== undefined) this.#links.remove(link)
  }

  async #committed(batch: Batch): Promise<void> {
    const now = Date.now()
    for (const change of batch.changes) {
      if (change.type !== 'put') continue
      if (change.kind === 'rotation' && change.value.deadline !== undefined) await this.#wakeAt(change.value.deadline)
      if (change.kind === 'cloudRun' && isRunning(change.value.state))
        await this.#wakeAt(Math.max(now, turnOf(change.value)))
      if (
        change.kind === 'cloud' ||
        change.kind === 'policy' ||
        change.kind === 'rollout' ||
        (change.kind === 'run' && change.revision === 0)
      )
        await this.#wakeAt(now + SOON_MS)
    }
  }

  async #wakeAt(at: number): Promise<void> {
    if (this.#alarmAt !== undefined && this.#alarmAt <= at) return
    this.#alarmAt = at
    await this.ctx.storage.setAlarm(at)
  }
}
