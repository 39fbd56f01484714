/** What services and API refuse, besides the domain, in one table: the reference lists it, programs switch on codes. */
import { DOMAIN_REFUSALS, Refusal, type RefusalFields } from '../domain/refusal.ts'

export interface RefusalKind {
  readonly status: number
  readonly title: string
  readonly remedy?: string
}

const SERVICE_REFUSALS = {
  malformed: {
    status: 400,
    title: 'The request cannot be read',
    remedy: 'Send one JSON document in UTF-8 that fits the schema of the operation.',
  },
  'no-credentials': {
    status: 401,
    title: 'Credentials are missing',
    remedy: 'Send Authorization: Bearer with an API token of this network.',
  },
  'bad-credentials': {
    status: 401,
    title: 'The credentials are not valid',
    remedy: 'Use a token of this installation, as it was shown when it was made.',
  },
  'token-expired': { status: 401, title: 'The token has expired', remedy: 'Make a new token.' },
  'token-revoked': { status: 401, title: 'The token was revoked', remedy: 'Make a new token.' },
  'connector-revoked': {
    status: 401,
    title: 'The connector was revoked',
    remedy: 'Remove the state of the connector, and join again with a new join token.',
  },
  'clock-skew': {
    status: 401,
    title: 'The clock is wrong',
    remedy: 'Set the clock, best by NTP; the Date of this answer is the time here.',
  },
  'proof-replayed': {
    status: 401,
    title: 'The proof was used before',
    remedy: 'Sign a new proof for each request. Do not run two connectors with one identity.',
  },
  'join-token-unknown': { status: 401, title: 'There is no such join token', remedy: 'Make a new join token.' },
  forbidden: { status: 403, title: 'The credentials do not allow it', remedy: 'Use a token whose role allows it.' },
  'foreign-network': {
    status: 403,
    title: 'The credentials belong to another network',
    remedy: 'Use a token of this network.',
  },
  'cloud-not-enabled': {
    status: 403,
    title: 'The cloud is not enabled for this network',
    remedy: 'Whoever runs the control plane enables it: isthmus control --aws <network>. See docs/aws.md.',
  },
  'unknown-site': {
    status: 404,
    title: 'There is no such site for this function',
    remedy: 'Name a site that it may reach: isthmus function show tells them, isthmus function allow adds one.',
  },
  'method-not-allowed': { status: 405, title: 'The method does not apply here' },
  'site-has-connector': {
    status: 409,
    title: 'The site has as many connectors as it may have',
    remedy: 'Revoke one of its connectors, then join again.',
  },
  'function-revoked': { status: 409, title: 'The function was revoked', remedy: 'Make another function.' },
  'identity-in-use': {
    status: 409,
    title: 'Another connector has this identity',
    remedy: 'Remove the state that was copied from the other connector, and join with a key of its own.',
  },
  'network-in-use': {
    status: 409,
    title: 'The network is in use',
    remedy: 'Remove its tunnels, its connections to clouds and its sites first.',
  },
  'nothing-to-rotate': {
    status: 409,
    title: 'There is nothing to rotate',
    remedy: 'Choose tunnels that have a key and no rotation under way.',
  },
  'nothing-to-roll-out': {
    status: 409,
    title: 'There is nothing to roll out',
    remedy: 'The network is like that already.',
  },
  'plan-blocked': {
    status: 409,
    title: 'The change would do harm',
    remedy: 'Look at all of it with isthmus plan; if it is meant, say force.',
  },
  'rollout-under-way': {
    status: 409,
    title: 'A rollout is under way',
    remedy: 'Wait until it has ended, or end it: isthmus rollout abort.',
  },
  'rollout-superseded': {
    status: 409,
    title: 'The intent has changed since',
    remedy: 'Name the version to go back to: isthmus rollback --to <version>.',
  },
  'run-finished': { status: 409, title: 'The run has ended already' },
  'cloud-run-under-way': {
    status: 409,
    title: 'A run of this connection is under way',
    remedy: 'Wait until it has ended, or end it: isthmus cloud aws abort.',
  },
  'cloud-built': {
    status: 409,
    title: 'That cannot be changed while the connection is there',
    remedy: 'Destroy it, and apply it anew: isthmus cloud aws destroy.',
  },
  'cloud-in-use': {
    status: 409,
    title: 'The connection is there yet',
    remedy: 'Destroy it first: isthmus cloud aws destroy.',
  },
  'cloud-credentials': {
    status: 409,
    title: 'The cloud does not take the credentials',
    remedy: 'Give the control plane credentials that are valid. See docs/aws.md.',
  },
  'cloud-forbidden': {
    status: 409,
    title: 'The credentials lack a permission',
    remedy: 'Add the permission: infra/aws/control-policy.json has all that are needed.',
  },
  'cloud-quota': {
    status: 409,
    title: 'A quota of the cloud is used up',
    remedy: 'Have the quota raised, or remove what is not needed.',
  },
  'cloud-refused': {
    status: 409,
    title: 'The cloud refuses it',
    remedy: 'Correct what the detail names.',
  },
  'document-from-the-future': {
    status: 409,
    title: 'That document was never given out',
    remedy: 'The store is older than the connector knows: restore a newer backup, or join the connector again.',
  },
  'join-token-used': {
    status: 409,
    title: 'The join token was used',
    remedy: 'Make a new join token; if it was not you who used this one, revoke the connector that did.',
  },
  'join-token-expired': { status: 410, title: 'The join token has expired', remedy: 'Make a new join token.' },
  'join-token-revoked': { status: 410, title: 'The join token was revoked', remedy: 'Make a new join token.' },
  'too-large': { status: 413, title: 'The body is too large', remedy: 'Split the request.' },
  'unsupported-media': {
    status: 415,
    title: 'The body is of the wrong type',
    remedy: 'Send Content-Type: application/json.',
  },
  'bad-signature': {
    status: 422,
    title: 'A signature does not verify',
    remedy: 'Sign with the private half of the key that is named, for this network.',
  },
  'idempotency-key-reused': {
    status: 422,
    title: 'The key came with another request',
    remedy: 'Use a new key for a new request.',
  },
  'websocket-required': {
    status: 426,
    title: 'A WebSocket is required',
    remedy: 'Open it as a WebSocket, or use the document and the report by plain HTTP.',
  },
  'precondition-required': {
    status: 428,
    title: 'If-Match is missing',
    remedy: 'Read the resource, and send its ETag as If-Match.',
  },
  'rate-limited': { status: 429, title: 'Too many requests', remedy: 'Wait as long as Retry-After says.' },
  internal: {
    status: 500,
    title: 'The control plane failed',
    remedy:
      'Look into the log of the control plane for the request id; repeat the request with the same Idempotency-Key.',
  },
  unavailable: {
    status: 503,
    title: 'The control plane cannot serve this now',
    remedy: 'Repeat the request after a while.',
  },
  'cloud-unavailable': {
    status: 503,
    title: 'The cloud does not answer now',
    remedy: 'Repeat the request after a while.',
  },
  'store-full': { status: 507, title: 'The store is full', remedy: 'Free space on its disk; nothing is lost.' },
} as const satisfies Record<string, RefusalKind>

export const REFUSALS = { ...DOMAIN_REFUSALS, ...SERVICE_REFUSALS } as const
export type RefusalCode = keyof typeof REFUSALS

export type RefusalOptions = Pick<RefusalFields, 'remedy' | 'errors'>

/** A refusal of the table; `detail` says what is special about this case. */
export function refusal(code: RefusalCode, detail: string, options: RefusalOptions = {}): Refusal {
  return new Refusal({ code, ...REFUSALS[code], detail, ...options })
}

/** A refusal that passes by itself. */
export class Later extends Refusal {
  /** Seconds. */
  readonly retryAfter: number

  constructor(code: 'rate-limited' | 'unavailable' | 'cloud-unavailable', detail: string, retryAfter: number) {
    super({ code, ...REFUSALS[code], detail })
    this.retryAfter = retryAfter
  }
}
