/** The scheduled rotation of keys: one request to the control plane, the same one however often a trigger repeats. */

export interface RotationOptions {
  /** `ist_rotation_...` (`isthmus token add cron --role rotation`), with `@https://control...` or without. Default: $ISTHMUS_TOKEN. */
  readonly token?: string | undefined
  /** Address of the control plane, where the token does not bring it. Default: $ISTHMUS_URL. */
  readonly url?: string | undefined
  /** Ids of tunnels. Default: every tunnel of the network. */
  readonly tunnels?: readonly string[]
  /** The first rotation goes alone and must end well before the others begin. Default: true. */
  readonly canary?: boolean
  /** Default: 10. */
  readonly maxConcurrent?: number
  /** Default: true. */
  readonly stopOnFailure?: boolean
  /** How long to wait for the end of the run, in milliseconds. Default: 0, only until it has begun. */
  readonly waitMs?: number
  /** Between looks at the run; milliseconds. Default: 2,000. */
  readonly lookMs?: number
  /** Before the first repetition of a request; milliseconds, doubled each time. Default: 500. */
  readonly pauseMs?: number
  readonly fetch?: ((input: string, init: RequestInit) => Promise<Response>) | undefined
}

export interface RotationOutcome {
  /** Absent where there was nothing to rotate. */
  readonly run?: string
  /** `running`: it had begun, and had not ended when the wait was over. */
  readonly state: 'running' | 'done' | 'nothing-to-rotate'
  /** Tunnels that were meant and cannot be rotated now, with the reason. */
  readonly skipped: readonly { readonly name: string; readonly why: string }[]
}

/** The rotation did not begin, or did not end well. The message is cause and remedy. */
export class RotationFailure extends Error {
  override readonly name = 'RotationFailure'
  /** Of the control plane's problem document, or `unreachable`, `no-token`, `not-control`, `stopped`, `aborted`. */
  readonly code: string

  constructor(code: string, cause: string, remedy: string) {
    super(`${cause} ${remedy}`)
    this.code = code
  }
}

const TRIES = 4
const FIRST_PAUSE_MS = 500
const TIMEOUT_MS = 15_000
const LOOK_MS = 2000
const TOKEN = /^(ist_(?:rotation|operator|owner)_([0-9a-z]{20})_[0-9a-z]{20}_[A-Za-z0-9_-]{43})(?:@(.+))?$/

interface Plane {
  readonly url: string
  readonly network: string
  readonly token: string
  readonly pauseMs: number
  readonly fetch: (input: string, init: RequestInit) => Promise<Response>
}

/**
 * Begins a rotation. `occasion` names the trigger, such as the time that it was scheduled for: the same one within a
 * day, with the same options, begins nothing twice. Rejects with a RotationFailure.
 */
export async function rotate(options: RotationOptions, occasion: string): Promise<RotationOutcome> {
  const plane = planeOf(options)
  const { tunnels, canary, maxConcurrent, stopOnFailure } = options
  const body = JSON.stringify({ tunnels, canary, maxConcurrent, stopOnFailure })
  const key = `rotation-${await digestOf(`${occasion}\n${body}`)}`
  const begun = await ask(plane, 'POST', '/runs', body, key)
  if (begun.code === 'nothing-to-rotate') return { state: 'nothing-to-rotate', skipped: [] }
  const { run, skipped } = begun.value as { run: Run; skipped: RotationOutcome['skipped'] }
  const ended = await endOf(plane, run, options)
  if (ended.state === 'running' || ended.state === 'done') return { run: run.id, state: ended.state, skipped }
  const cause = `The rotation ${ended.id} was ${ended.state}${ended.reason === undefined ? '.' : `: ${ended.reason}.`}`
  throw new RotationFailure(ended.state, cause, `See isthmus rotation list; the keys that were in use still are.`)
}

interface Run {
  readonly id: string
  readonly state: 'running' | 'done' | 'stopped' | 'aborted'
  readonly reason?: string
}

async function endOf(plane: Plane, run: Run, { waitMs = 0, lookMs = LOOK_MS }: RotationOptions): Promise<Run> {
  const until = Date.now() + waitMs
  let seen = run
  while (seen.state === 'running' && Date.now() < until) {
    await pause(Math.min(lookMs, Math.max(until - Date.now(), 1)))
    seen = (await ask(plane, 'GET', `/runs/${run.id}`)).value as Run
  }
  return seen
}

function planeOf(options: RotationOptions): Plane {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } }
  const text = options.token ?? process?.env?.ISTHMUS_TOKEN ?? ''
  const [, token, network, own] = TOKEN.exec(text.trim()) ?? []
  const remedy = 'Make one with isthmus token add cron --role rotation, and give it as ISTHMUS_TOKEN.'
  if (token === undefined) throw new RotationFailure('no-token', 'There is no token that may rotate keys.', remedy)
  const url = options.url ?? own ?? process?.env?.ISTHMUS_URL
  if (url === undefined || !URL.canParse(url)) {
    const cause = 'There is no address of a control plane.'
    throw new RotationFailure('no-token', cause, 'Give it as ISTHMUS_URL, or behind an @ of the token.')
  }
  const fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init))
  const { pauseMs = FIRST_PAUSE_MS } = options
  return { url: url.replace(/\/+$/, ''), network: `net_${network}`, token, pauseMs, fetch }
}

interface Asked {
  readonly value: unknown
  /** Of a refusal that is an answer. */
  readonly code?: string
}

/** Repeats what had no answer, or one that asks for patience; the key makes that harmless. */
async function ask(plane: Plane, method: 'GET' | 'POST', path: string, body?: string, key?: string): Promise<Asked> {
  for (let attempt = 1; ; attempt++) {
    const answer = await once(plane, method, path, body, key)
    if (!(answer instanceof RotationFailure)) return answer
    if (!AGAIN.has(answer.code) || attempt === TRIES) throw answer
    await pause(plane.pauseMs * 2 ** (attempt - 1))
  }
}

const AGAIN = new Set(['unreachable', 'unavailable', 'rate-limited', 'internal'])

async function once(
  { url, network, token, fetch }: Plane,
  method: string,
  path: string,
  body: string | undefined,
  key: string | undefined,
): Promise<Asked | RotationFailure> {
  const headers = {
    authorization: `Bearer ${token}`,
    accept: 'application/json',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(key === undefined ? {} : { 'idempotency-key': key }),
  }
  let status: number
  let text: string
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const init = { method, headers, redirect: 'manual' as const, signal, ...(body === undefined ? {} : { body }) }
    const response = await fetch(`${url}/v1/networks/${network}${path}`, init)
    status = response.status
    text = await response.text()
  } catch (error) {
    const cause = `The control plane at ${url} cannot be reached (${error instanceof Error ? error.message : error}).`
    return new RotationFailure('unreachable', cause, 'Check its address, and that it runs.')
  }
  return answerOf(status, text, url)
}

function answerOf(status: number, text: string, url: string): Asked | RotationFailure {
  let value: Record<string, unknown>
  try {
    value = JSON.parse(text)
  } catch {
    const cause = `What answers at ${url} is no control plane (HTTP status ${status}).`
    return new RotationFailure(status >= 500 ? 'unavailable' : 'not-control', cause, 'Check the address.')
  }
  if (status >= 200 && status < 300) return { value }
  const { code = `http-${status}`, title = 'refused', detail, remedy = 'See the log of the control plane.' } = value
  if (code === 'nothing-to-rotate') return { value, code }
  const cause = `The control plane refuses to rotate (${title}${detail === undefined ? '' : `: ${detail}`}).`
  return new RotationFailure(String(code), cause, String(remedy))
}

async function digestOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return [...new Uint8Array(digest).subarray(0, 16)].map((octet) => octet.toString(16).padStart(2, '0')).join('')
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
