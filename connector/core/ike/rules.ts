/**
 * Which payloads each message must and may hold (RFC 7296 section 1 and appendix C). Types that are not listed, vendor
 * IDs, notifications and certificates among them, may occur in any number and are ignored where they mean nothing.
 */
import type { Payload } from './wire/types.ts'

export type MessageKind =
  | 'init-request'
  | 'init-response'
  | 'auth-request'
  | 'auth-response'
  | 'child-request'
  | 'child-response'
  | 'rekey-ike-request'
  | 'rekey-ike-response'

/** Least and greatest number. */
type Rule = readonly [type: Payload['type'], least: number, most: number]

/** SA, TSi and TSr come together or not at all in IKE_AUTH, where a responder refuses the Child SA by notification. */
const RULES: Readonly<Record<MessageKind, readonly Rule[]>> = {
  'init-request': [
    ['SA', 1, 1],
    ['KE', 1, 1],
    ['NONCE', 1, 1],
  ],
  'init-response': [
    ['SA', 1, 1],
    ['KE', 1, 1],
    ['NONCE', 1, 1],
  ],
  'auth-request': [
    ['IDi', 1, 1],
    ['IDr', 0, 1],
    ['AUTH', 0, 1],
    ['SA', 0, 1],
    ['TSi', 0, 1],
    ['TSr', 0, 1],
  ],
  'auth-response': [
    ['IDr', 1, 1],
    ['AUTH', 1, 1],
    ['SA', 0, 1],
    ['TSi', 0, 1],
    ['TSr', 0, 1],
  ],
  'child-request': [
    ['SA', 1, 1],
    ['NONCE', 1, 1],
    ['KE', 0, 1],
    ['TSi', 1, 1],
    ['TSr', 1, 1],
  ],
  'child-response': [
    ['SA', 1, 1],
    ['NONCE', 1, 1],
    ['KE', 0, 1],
    ['TSi', 1, 1],
    ['TSr', 1, 1],
  ],
  'rekey-ike-request': [
    ['SA', 1, 1],
    ['NONCE', 1, 1],
    ['KE', 1, 1],
  ],
  'rekey-ike-response': [
    ['SA', 1, 1],
    ['NONCE', 1, 1],
    ['KE', 1, 1],
  ],
}

/** What breaks the rule, in words, or undefined. A request that does is answered with INVALID_SYNTAX. */
export function brokenRule(kind: MessageKind, payloads: readonly Payload[]): string | undefined {
  for (const [type, least, most] of RULES[kind]) {
    const count = payloads.filter((payload) => payload.type === type).length
    if (count < least) return `the ${kind} has no ${type} payload`
    if (count > most) return `the ${kind} has ${count} ${type} payloads`
  }
  return undefined
}
