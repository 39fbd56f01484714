/** The Durable Object that knows which networks there are. It makes them and lists them; what is theirs is not here. */
import { DurableObject } from 'cloudflare:workers'
import { NO_HUB } from '../link/hub.ts'
import { memoryNonces } from '../service/nonces.ts'
import { createSqliteDo } from '../store/sqlite-do.ts'
import { type Assembly, assemble } from './common.ts'
import { RemoteRepo } from './remote-repo.ts'
import { LOG, settingsOf } from './workers-common.ts'
import type { DirectoryStub, NetworkStub, ObjectState, WorkerEnv } from './workers-types.ts'

/** Networks that one tick looks after, and how many of them at once: a request may ask 1000 others. */
const SLICE = 500
const AT_ONCE = 20

export class DirectoryObject extends DurableObject<WorkerEnv> implements DirectoryStub {
  #repo: RemoteRepo | undefined
  #assembly: Assembly | undefined
  /** Where the next tick goes on. Lost with the object, which only means to begin anew. */
  #tickAfter = ''

  constructor(ctx: ObjectState, env: WorkerEnv) {
    super(ctx, env)
    void ctx.blockConcurrencyWhile(async () => {
      this.#repo = await RemoteRepo.open(createSqliteDo(ctx.storage), (network, call) =>
        this.#network(network).store(call),
      )
      this.#assembly = await assemble({
        ...settingsOf(env),
        repo: this.#repo,
        hub: NO_HUB,
        // No connector has anything to ask here.
        nonces: memoryNonces(),
        clientAddress: (c) => c.req.header('cf-connecting-ip'),
      })
    })
  }

  async fetch(request: Request): Promise<Response> {
    return this.#assembly!.app.fetch(request)
  }

  /** The safety net under the alarms of the networks: each in turn, `SLICE` of them at a time. */
  async tick(): Promise<void> {
    const ids = await this.#repo!.ids(this.#tickAfter, SLICE)
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      await Promise.all(ids.slice(at, at + AT_ONCE).map((id) => this.#tickOne(id)))
    }
    this.#tickAfter = ids.length < SLICE ? '' : ids.at(-1)!
  }

  async #tickOne(network: string): Promise<void> {
    try {
      await this.#network(network).tick()
    } catch (error) {
      LOG.error({ network, error: String(error) }, 'the scheduled job failed')
    }
  }

  #network(network: string): NetworkStub {
    return this.env.NETWORKS.get(this.env.NETWORKS.idFromName(network))
  }
}
