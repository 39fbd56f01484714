/** The Worker as its callers see it, from within workerd. */
import { evictDurableObject } from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { type FromControl, fromControlSchema } from '../../../protocol/control/link.ts'
import { ask, type Caller, type Joined, proofOf } from '../../testing/caller.ts'
import type { ClientSocket, NetworkStub } from '../workers-types.ts'

export const ORIGIN = 'http://control.test'

export function workerCaller(): Caller {
  return {
    admin: env.ADMIN_TOKEN!,
    clock: {
      get now() {
        return Date.now()
      },
    },
    request: (method, path, options = {}) =>
      ask((url, init) => exports.default.fetch(ORIGIN + url, init), method, path, options),
  }
}

export function objectOf(network: string): NetworkStub {
  return env.NETWORKS.get(env.NETWORKS.idFromName(network))
}

/** Takes the object of a network out of memory; its sockets stay. */
export function hibernate(network: string): Promise<void> {
  return evictDurableObject(objectOf(network), { webSockets: 'hibernate' })
}

/** A link as a connector has it. */
export class TestLink {
  readonly #socket: ClientSocket
  readonly #heard: FromControl[] = []
  readonly #waiting: ((message: FromControl) => void)[] = []
  readonly closed: Promise<number>

  static async open(caller: Caller, joined: Joined): Promise<TestLink> {
    const path = `/v1/networks/${joined.network}/link`
    const authorization = await proofOf(caller, joined, 'GET', path)
    const answer = await exports.default.fetch(ORIGIN + path, { headers: { authorization, upgrade: 'websocket' } })
    if (answer.webSocket == null) throw new Error(`no link: ${answer.status} ${await answer.text()}`)
    return new TestLink(answer.webSocket)
  }

  private constructor(socket: ClientSocket) {
    this.#socket = socket
    socket.accept()
    socket.addEventListener('message', (event) => {
      const message = fromControlSchema.parse(JSON.parse((event as unknown as { data: string }).data))
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#heard.push(message)
      else waiting(message)
    })
    this.closed = new Promise((resolve) => {
      socket.addEventListener('close', (event) => resolve((event as unknown as { code: number }).code))
    })
  }

  send(message: unknown): void {
    this.#socket.send(JSON.stringify(message))
  }

  close(): void {
    this.#socket.close(1000)
  }

  /** The next message that has not been taken yet. */
  next(): Promise<FromControl> {
    const heard = this.#heard.shift()
    if (heard !== undefined) return Promise.resolve(heard)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
