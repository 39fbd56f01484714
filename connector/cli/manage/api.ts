/** The typed client of the API: operations by their ids, as the control plane describes them. */

import { type Operations, ROUTES } from '../../../protocol/control/generated/api-client.ts'
import { type ApiRequest, jsonOf, type Surroundings, send } from './transport.ts'

export type OperationName = keyof Operations

/** The parts that an operation takes, and the ETag that a change is based on. */
export type Given<K extends OperationName> = Omit<Operations[K], 'answer'> &
  ((typeof ROUTES)[K]['match'] extends true ? { readonly match: string } : { readonly match?: string })

export type AnswerOf<K extends OperationName> = Operations[K] extends { answer: infer T } ? T : undefined

/** Operations that answer with pages. */
export type ListName = {
  [K in OperationName]: AnswerOf<K> extends { items: unknown[]; next?: string } ? K : never
}[OperationName]
export type ItemOf<K extends ListName> = AnswerOf<K> extends { items: (infer T)[] } ? T : never

export interface Answered<T> {
  readonly value: T
  /** ETag, where the operation shows one. */
  readonly revision?: string
}

/** Items of one page: as many as the API gives. */
const PAGE = 500

export class Api {
  readonly #around: Surroundings

  constructor(around: Surroundings) {
    this.#around = around
  }

  get url(): string {
    return this.#around.url
  }

  get token(): string {
    return this.#around.token
  }

  /** Rejects with an ApiFailure. */
  async call<K extends OperationName>(name: K, given: Given<K>): Promise<Answered<AnswerOf<K>>> {
    const answer = await send(requestOf(name, given), this.#around)
    const revision = answer.headers.get('etag')
    const value = answer.status === 204 ? undefined : jsonOf(answer, this.url)
    return { value: value as AnswerOf<K>, ...(revision === null ? {} : { revision }) }
  }

  /** Like `call`, of which only the value is wanted. */
  async value<K extends OperationName>(name: K, given: Given<K>): Promise<AnswerOf<K>> {
    return (await this.call(name, given)).value
  }

  /** Every item of all pages. */
  async *each<K extends ListName>(name: K, given: Given<K>): AsyncGenerator<ItemOf<K>> {
    let cursor: string | undefined
    do {
      const query = { ...(partsOf(given).query ?? {}), limit: PAGE, ...(cursor === undefined ? {} : { cursor }) }
      const page = await this.value(name, { ...given, query })
      const { items, next } = page as { items: ItemOf<K>[]; next?: string }
      yield* items
      cursor = next
    } while (cursor !== undefined)
  }

  async all<K extends ListName>(name: K, given: Given<K>): Promise<ItemOf<K>[]> {
    return Array.fromAsync(this.each(name, given))
  }

  /** The body of an answer that may be longer than memory. */
  async text<K extends OperationName>(name: K, given: Given<K>, accept: string): Promise<ReadableStream<Uint8Array>> {
    const request = requestOf(name, given)
    const headers = { ...request.headers, Accept: accept }
    const { stream } = await send({ ...request, headers, streamed: true }, this.#around)
    return stream ?? new ReadableStream({ start: (controller) => controller.close() })
  }
}

interface Parts {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number | boolean | null | undefined>>
  readonly body?: unknown
  readonly match?: string
}

function partsOf<K extends OperationName>(given: Given<K>): Parts {
  return given as Parts
}

function requestOf<K extends OperationName>(name: K, given: Given<K>): ApiRequest {
  const { method, path } = ROUTES[name]
  const { params = {}, query = {}, body, match } = partsOf(given)
  const asked = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value != null) asked.set(key, String(value))
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(params[key] ?? ''))
  return {
    method,
    path: asked.size === 0 ? filled : `${filled}?${asked}`,
    ...(body === undefined ? {} : { body }),
    ...(match === undefined ? {} : { headers: { 'If-Match': match } }),
  }
}
