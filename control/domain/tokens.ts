/**
 * Secrets that people, jobs and joining connectors bring. A token tells its network, so that a request finds its
 * store, and its id, so that one lookup finds its record; only the hash of the secret is kept, which is enough for
 * 256 random bits.
 *
 *     ist_<role>_<network>_<id>_<secret>     a scoped API token
 *     ist_join_<network>_<id>_<secret>       a join token
 *     ist_function_<network>_<id>_<secret>   the token of a function
 *     ist_admin_<secret>                     the token of the installation
 */

import { toBase64url } from '../../protocol/control/base64url.ts'
import { ID_PREFIX } from '../../protocol/control/ids.ts'
import { ROLES, type Role } from '../../protocol/control/resources.ts'
import { equalInConstantTime, hashText } from './bytes.ts'

/** Random bytes of a secret. */
export const SECRET_BYTES = 32

export type ParsedApiToken =
  | { readonly role: Role; readonly network: string; readonly id: string; readonly secret: string }
  | { readonly role: 'admin'; readonly secret: string }

/** Of a kind of token that is of no role. */
export interface ParsedToken {
  readonly network: string
  readonly id: string
  readonly secret: string
}

export interface TokenParts {
  /** Identifiers as they are kept, with their prefixes. */
  readonly network: string
  readonly id: string
  /** `SECRET_BYTES` random bytes. */
  readonly secret: Uint8Array
}

export interface NewToken {
  /** Shown once, kept nowhere. */
  readonly text: string
  /** Of the secret: what is kept. */
  readonly hash: string
}

const SECRET = '([A-Za-z0-9_-]{43})'
const PART = '([0-9a-z]{20})'
const API_TOKEN = new RegExp(`^ist_(${ROLES.join('|')})_${PART}_${PART}_${SECRET}$`)
const JOIN_TOKEN = new RegExp(`^ist_join_${PART}_${PART}_${SECRET}$`)
const FUNCTION_TOKEN = new RegExp(`^ist_function_${PART}_${PART}_${SECRET}$`)
const ADMIN_TOKEN = new RegExp(`^ist_admin_${SECRET}$`)

export function makeApiToken({ role, network, id, secret }: TokenParts & { readonly role: Role }): NewToken {
  return newToken(`ist_${role}_${bare('network', network)}_${bare('token', id)}_`, secret)
}

export function makeJoinToken({ network, id, secret }: TokenParts): NewToken {
  return newToken(`ist_join_${bare('network', network)}_${bare('join', id)}_`, secret)
}

export function makeFunctionToken({ network, id, secret }: TokenParts): NewToken {
  return newToken(`ist_function_${bare('network', network)}_${bare('function', id)}_`, secret)
}

export function makeAdminToken(secret: Uint8Array): NewToken {
  return newToken('ist_admin_', secret)
}

/** Undefined for what is no API or admin token. Says nothing about whether it is good. */
export function parseApiToken(text: string): ParsedApiToken | undefined {
  const api = API_TOKEN.exec(text)
  if (api !== null) {
    return { role: api[1] as Role, network: `net_${api[2]}`, id: `tok_${api[3]}`, secret: api[4]! }
  }
  const admin = ADMIN_TOKEN.exec(text)
  return admin === null ? undefined : { role: 'admin', secret: admin[1]! }
}

/** Undefined for what is no join token. */
export function parseJoinToken(text: string): ParsedToken | undefined {
  return parsedAs('join', JOIN_TOKEN.exec(text))
}

/** Undefined for what is no token of a function. */
export function parseFunctionToken(text: string): ParsedToken | undefined {
  return parsedAs('function', FUNCTION_TOKEN.exec(text))
}

function parsedAs(kind: 'join' | 'function', found: RegExpExecArray | null): ParsedToken | undefined {
  if (found === null) return undefined
  const [, network, id, secret] = found
  return { network: `net_${network}`, id: `${ID_PREFIX[kind]}_${id}`, secret: secret! }
}

export function hashSecret(secret: string): string {
  return hashText(secret)
}

/** Whether `secret` is the one whose hash was kept, without telling by time how nearly. */
export function secretMatches(secret: string, hash: string): boolean {
  return equalInConstantTime(hashSecret(secret), hash)
}

function newToken(start: string, random: Uint8Array): NewToken {
  if (random.length !== SECRET_BYTES) throw new RangeError(`a secret takes ${SECRET_BYTES} random bytes`)
  const secret = toBase64url(random)
  return { text: start + secret, hash: hashSecret(secret) }
}

function bare(kind: 'network' | 'token' | 'join' | 'function', id: string): string {
  const start = `${ID_PREFIX[kind]}_`
  if (!id.startsWith(start)) throw new TypeError(`not the id of a ${kind}: ${id}`)
  return id.slice(start.length)
}
