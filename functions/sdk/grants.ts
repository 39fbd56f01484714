/** Asks the control plane for grants, and keeps them until shortly before they expire. */
import { toBase64url } from '../../protocol/control/base64url.ts'
import type { StreamKeyPair } from '../../protocol/stream-crypto.ts'
import { STREAM_PROBLEMS, type StreamProblemCode } from '../../protocol/stream-problem.ts'
import type { Account } from './account.ts'
import { failure, type IsthmusError, wordsOf } from './error.ts'
import { type GrantedConnector, readGrant, trustedConnectors } from './grant-reader.ts'
import { isObject } from './jws.ts'

/** Before its end, in which a grant is not used any more; milliseconds. */
const MARGIN_MS = 30_000
const TIMEOUT_MS = 15_000
/** Bytes of an answer. */
const MAX_ANSWER = 1 << 20

export interface ReadyGrant {
  /** The session token. */
  readonly token: string
  readonly connectors: readonly GrantedConnector[]
  readonly services: readonly string[]
  /** Milliseconds since 1970 by the clock here, both. */
  readonly askedAt: number
  readonly usableUntil: number
  /** What the control plane's clock is ahead of ours; milliseconds. */
  readonly offsetMs: number
}

export interface GrantAsk {
  readonly account: Account
  readonly site: string
  readonly keys: StreamKeyPair
  readonly pins: readonly string[] | undefined
  readonly fetch: (input: string, init: RequestInit) => Promise<Response>
}

/** Asks. Rejects with an IsthmusError. */
export async function askForGrant({ account, site, keys, pins, fetch }: GrantAsk): Promise<ReadyGrant> {
  const body = JSON.stringify({ site, publicKey: toBase64url(keys.publicKey) })
  const headers = {
    authorization: `Bearer ${account.token}`,
    accept: 'application/json',
    'content-type': 'application/json',
  }
  const asked = Date.now()
  const { status, value } = await answerOf(account.url, () =>
    fetch(`${account.url}/v1/networks/${account.network}/grants`, {
      method: 'POST',
      headers,
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }),
  )
  const told = Date.now()
  if (status < 200 || status > 299) throw refusal(status, value, site)
  const grant = readGrant(value)
  if (grant === undefined) throw notControl(account.url, `its grant cannot be read`)
  const offsetMs = grant.now - (asked + told) / 2
  return {
    token: grant.token,
    services: grant.services,
    connectors: await trustedConnectors(grant, account.network, pins),
    askedAt: asked,
    usableUntil: grant.expiresAt - offsetMs - MARGIN_MS,
    offsetMs,
  }
}

async function answerOf(url: string, ask: () => Promise<Response>): Promise<{ status: number; value: unknown }> {
  let response: Response
  let text: string
  try {
    response = await ask()
    text = await boundedText(response)
  } catch (error) {
    const cause = `The control plane at ${url} cannot be reached (${wordsOf(error)}).`
    throw failure(
      'control-unreachable',
      cause,
      'Check its address, and that it runs: GET /healthz answers where it does.',
    )
  }
  try {
    return { status: response.status, value: JSON.parse(text) }
  } catch {
    throw response.status >= 500
      ? failure(
          'control-unreachable',
          `The control plane at ${url} answered with HTTP status ${response.status}.`,
          'Try again.',
        )
      : notControl(url, `HTTP status ${response.status}`)
  }
}

async function boundedText(response: Response): Promise<string> {
  if (response.body === null) return ''
  const decoder = new TextDecoder()
  const reader = response.body.getReader()
  let text = ''
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text + decoder.decode()
    length += value.length
    if (length > MAX_ANSWER) throw new Error('its answer is too long')
    text += decoder.decode(value, { stream: true })
  }
}

function notControl(url: string, what: string): IsthmusError {
  const cause = `What answers at ${url} is no Isthmus control plane of this version (${what}).`
  return failure('control-refused', cause, 'Check the address behind the @ of the token.')
}

/** What a problem document of the control plane means to the caller. */
function refusal(status: number, value: unknown, site: string): IsthmusError {
  const problem = isObject(value) ? value : {}
  const text = (name: string): string | undefined => {
    const found = problem[name]
    return typeof found === 'string' && found !== '' ? found.slice(0, 512) : undefined
  }
  const said = [text('title'), text('detail')].filter((part) => part !== undefined).join(': ')
  const code = text('code')
  const cause = `The control plane gives no way to site ${site} (${said === '' ? `HTTP status ${status}` : said}).`
  const remedy = text('remedy') ?? 'See the log of the control plane.'
  if (code !== undefined && Object.hasOwn(STREAM_PROBLEMS, code))
    return failure(code as StreamProblemCode, cause, remedy)
  if (status === 429 || status >= 500) return failure('control-unreachable', cause, remedy)
  if (status === 401 || status === 403) {
    const renew = 'The token was revoked, renewed or has expired: isthmus function renew <name> makes a new one.'
    return failure('control-refused', cause, renew)
  }
  return failure('control-refused', cause, remedy)
}

/** Grants of one function, by site. Nothing here does I/O, so it is shared by all invocations. */
export class GrantCache {
  readonly #grants = new Map<string, ReadyGrant>()
  readonly #most: number

  constructor(most = 256) {
    this.#most = most
  }

  get(key: string): ReadyGrant | undefined {
    const found = this.#grants.get(key)
    if (found === undefined || Date.now() < found.usableUntil) return found
    this.#grants.delete(key)
    return undefined
  }

  set(key: string, grant: ReadyGrant): void {
    this.#grants.delete(key)
    this.#grants.set(key, grant)
    const [oldest] = this.#grants.keys()
    if (this.#grants.size > this.#most && oldest !== undefined) this.#grants.delete(oldest)
  }

  /** Forgets `grant`, unless another has taken its place. */
  drop(key: string, grant: ReadyGrant): void {
    if (this.#grants.get(key) === grant) this.#grants.delete(key)
  }
}
