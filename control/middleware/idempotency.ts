/** Idempotency-Key: the answer of a POST is kept for a day, and given again to whoever repeats the request. */
import type { Context as Hono } from 'hono'
import { base64url } from 'jose'
import { makeId } from '../../protocol/control/ids.ts'
import { refusal } from '../service/refusals.ts'
import type { Services } from '../service/services.ts'
import { sha256, utf8 } from '../service/signatures.ts'
import type { Call, Outcome, SecretName } from '../service/types.ts'
import type { Replay } from '../store/repo.ts'

export const REPLAY_LIFETIME_MS = 24 * 3_600_000

/** A request that carries a key. */
export interface Repetition {
  readonly network: string
  readonly actor: string
  readonly key: string
  /** SHA-256 of method, target and body. */
  readonly request: string
  readonly sealed: boolean
}

/** Undefined when the request has no key. */
export async function keyOf(
  c: Hono,
  call: Call,
  bytes: Uint8Array<ArrayBuffer>,
  sealed: boolean,
): Promise<Repetition | undefined> {
  const key = c.req.header('idempotency-key')
  if (key === undefined) return undefined
  if (!/^[\x21-\x7e]{1,128}$/.test(key)) {
    const detail = '1 to 128 visible ASCII characters'
    throw refusal('malformed', detail, { errors: [{ pointer: 'header/Idempotency-Key', detail }] })
  }
  const request = await sha256(utf8(`${c.req.method} ${targetOf(c)}\n${await sha256(bytes)}`))
  const network = call.network === '' ? await networkOfKey(call.actor.id, key) : call.network
  return { network, actor: call.actor.id, key, request, sealed }
}

/** A network that is made with a key gets its id from it, so that the repetition finds where the answer is kept. */
async function networkOfKey(actor: string, key: string): Promise<string> {
  const digest = base64url.decode(await sha256(utf8(`isthmus network ${actor} ${key}`)))
  return makeId('network', digest.subarray(0, 20))
}

/** The answer to the first request with this key, or undefined when there was none. */
export async function answerBefore(repetition: Repetition, services: Services): Promise<Response | undefined> {
  const { network, actor, key } = repetition
  const found = await services.context.repo.replay(network, actor, key, services.context.clock())
  if (found === undefined) return undefined
  if (found.request !== repetition.request)
    throw refusal('idempotency-key-reused', 'the key came with another method, target or body before')
  const body = repetition.sealed
    ? new TextDecoder().decode(await services.context.sealer.open(secretName(repetition), found.body))
    : found.body
  const headers = { ...found.headers, 'idempotency-replayed': 'true' }
  return new Response(found.status === 204 ? null : body, { status: found.status, headers })
}

export function replayMaker(
  repetition: Repetition,
  services: Services,
  render: (outcome: Outcome) => { status: number; headers: Record<string, string>; body: string },
): NonNullable<Call['replay']> {
  const make = async (outcome: Outcome): Promise<Replay> => {
    const made = render(outcome)
    const body = repetition.sealed
      ? await services.context.sealer.seal(secretName(repetition), utf8(made.body))
      : made.body
    const at = services.context.clock()
    const { key, actor, request } = repetition
    return {
      key,
      actor,
      request,
      at,
      status: made.status,
      headers: made.headers,
      body,
      expiresAt: at + REPLAY_LIFETIME_MS,
    }
  }
  return { key: repetition.key, make }
}

function secretName({ network, actor, key }: Repetition): SecretName {
  return { network, kind: 'replay', id: `${actor}/${key}` }
}

/** Path and query as they came. */
export function targetOf(c: Hono): string {
  const url = c.req.url
  const path = url.indexOf('/', url.indexOf('//') + 2)
  return path < 0 ? '/' : url.slice(path)
}
