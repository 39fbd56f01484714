/** A session on a socket, whatever kind of socket the platform has. */
import type { ConnectorReport } from '../../protocol/control/link.ts'
import { Refusal } from '../domain/refusal.ts'
import type { Services } from '../service/services.ts'
import type { Call } from '../service/types.ts'
import { LinkSession, type SavedSession, type SessionEffect, type SessionInput } from './session.ts'

export interface LinkSocket {
  send(text: string): void
  close(): void
}

export interface LinkNames {
  readonly network: string
  readonly connector: string
  readonly seenAddress?: string
}

export class HeldLink {
  readonly names: LinkNames
  readonly #services: Services
  readonly #socket: LinkSocket
  readonly #session: LinkSession
  #onSaved: (saved: SavedSession) => void

  constructor(
    services: Services,
    names: LinkNames,
    socket: LinkSocket,
    saved?: SavedSession,
    onSaved: (saved: SavedSession) => void = () => undefined,
    spare?: number,
  ) {
    this.#services = services
    this.names = names
    this.#socket = socket
    this.#onSaved = onSaved
    this.#session = new LinkSession(services.context.clock(), saved, spare)
  }

  /** Resolves when everything that came of it is done. Never rejects. */
  async handle(input: SessionInput): Promise<void> {
    this.#session.handle(input, this.#services.context.clock())
    const work: Promise<void>[] = []
    for (let effect = this.#session.poll(); effect !== undefined; effect = this.#session.poll()) {
      const done = this.#perform(effect)
      if (done !== undefined) work.push(done)
    }
    this.#onSaved(this.#session.saved)
    await Promise.all(work)
  }

  /** Another link of the same connector has come. Resolves as `handle` does. */
  giveWayTo(names: LinkNames): Promise<void> {
    const fields = { ...names, before: this.names.seenAddress }
    this.#services.context.log.warn(fields, 'a link takes the place of another of the same connector')
    const detail = `this connector has linked from ${names.seenAddress ?? 'elsewhere'}`
    return this.handle({ type: 'end', code: 'replaced', detail })
  }

  #perform(effect: SessionEffect): Promise<void> | undefined {
    switch (effect.type) {
      case 'send':
        this.#socket.send(effect.text)
        return undefined
      case 'close':
        this.#socket.close()
        return undefined
      case 'take':
        return this.#take(effect.report)
      case 'note':
        this.#services.reports.note(this.names.network, this.names.connector, [effect.event])
        return undefined
      case 'load':
        return this.#load()
    }
  }

  async #take(report: ConnectorReport): Promise<void> {
    const { network, connector, seenAddress } = this.names
    const actor = { id: `connector:${connector}`, network, connector }
    const call: Call = { actor, network, ...(seenAddress === undefined ? {} : { seenAddress }) }
    try {
      const { value } = await this.#services.reports.take(call, report)
      await this.handle({ type: 'taken', version: value.version })
    } catch (error) {
      if (isRevoked(error)) return this.#revoked(error)
      const detail = error instanceof Refusal ? (error.detail ?? error.title).slice(0, 256) : 'it could not be stored'
      this.#services.context.log.warn({ network, connector, error: String(error) }, 'a report was not taken')
      await this.handle({ type: 'refused', detail, lasting: error instanceof Refusal && error.status < 500 })
    }
  }

  async #load(): Promise<void> {
    const { network, connector } = this.names
    try {
      const document = await this.#services.documents.current(network, connector)
      await this.handle({ type: 'document', document })
    } catch (error) {
      if (isRevoked(error)) return this.#revoked(error)
      this.#services.context.log.warn({ network, connector, error: String(error) }, 'a document could not be read')
      await this.handle({ type: 'no-document' })
    }
  }

  #revoked({ message }: Refusal): Promise<void> {
    return this.handle({ type: 'end', code: 'revoked', detail: message.slice(0, 256) })
  }
}

function isRevoked(error: unknown): error is Refusal {
  return error instanceof Refusal && error.code === 'connector-revoked'
}
