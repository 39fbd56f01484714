/** From what the SDK throws to a failure that says what is the matter and what to do, without a secret in it. */
import { CloudFailure } from '../domain/cloud/provider.ts'
import { BROKEN, CREDENTIALS, LOST, type Meaning, meaningOf } from './failure-codes.ts'

/** They begin so, as names or codes, where a request or its answer did not get through. */
const LOST_AS = [
  'TimeoutError',
  'AbortError',
  'NetworkingError',
  ...['ECONN', 'EPIPE', 'EHOST', 'ENET', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_', 'EPROTO', 'ERR_', 'UND_ERR'],
  ...['CERT_', 'DEPTH_', 'SELF_SIGNED', 'UNABLE_TO'],
]
const POLICY = 'infra/aws/control-policy.json has all that is needed.'
const MOST_TEXT = 300

export interface Concerned {
  /** As the API names it. */
  readonly action: string
  /** Whether it may have been carried out where the answer was lost. */
  readonly mutating: boolean
  /** What must not be told on, whoever quotes it. */
  readonly secrets: readonly string[]
}

/** `error`: whatever was thrown. */
export function failureOf(error: unknown, { action, mutating, secrets }: Concerned): CloudFailure {
  if (error instanceof CloudFailure) return error
  const thrown: Thrown = typeof error === 'object' && error !== null ? error : {}
  const code = codeOf(thrown)
  const said = cleaned(thrown.message, secrets)
  const meaning = whatIsMeant(thrown, code, said)
  const { kind, remedy } = meaning
  // Nothing is left open by a read that was lost.
  const certain = kind === 'unknown' && !mutating ? 'later' : kind
  const cause = causeOf(meaning, action, code, said)
  if (certain !== 'forbidden') return new CloudFailure(certain, code, cause, remedy)
  const iamAction = /perform: ([a-z0-9-]{1,32}:\w{1,64})/.exec(said)?.[1] ?? `ec2:${action}`
  return new CloudFailure(certain, code, cause, `Allow ${iamAction}: ${POLICY}`, iamAction)
}

interface Thrown {
  readonly name?: unknown
  readonly message?: unknown
  readonly code?: unknown
  /** What the SDK adds to errors about an answer. */
  readonly $metadata?: { readonly httpStatusCode?: number }
  /** Only errors that the service itself has worded. */
  readonly $fault?: unknown
}

/** A word of limited length: it goes into journals and logs. */
function codeOf({ name, code }: Thrown): string {
  return wordOf(name === 'Error' || name === 'TypeError' ? code : name) || wordOf(code) || 'Error'
}

function wordOf(value: unknown): string {
  return typeof value === 'string' ? value.replaceAll(/[^\w.-]/g, '').slice(0, 64) : ''
}

function whatIsMeant(thrown: Thrown, code: string, said: string): Meaning {
  const known = meaningOf(code)
  if (known !== undefined) return known
  if (/credential/i.test(code) || (thrown.$fault === undefined && /credential/i.test(said))) {
    return { kind: 'credentials', remedy: CREDENTIALS }
  }
  const words = [code, typeof thrown.code === 'string' ? thrown.code : '']
  if (LOST_AS.some((start) => words.some((word) => word.startsWith(start)))) return LOST
  if (thrown.$fault === undefined && thrown.$metadata !== undefined) return BROKEN
  return { kind: 'unknown', remedy: LOST.remedy }
}

function cleaned(message: unknown, secrets: readonly string[]): string {
  const text = typeof message === 'string' ? message : ''
  const open = secrets.reduce((all, secret) => (secret === '' ? all : all.replaceAll(secret, '(a key)')), text)
  return open
    .replaceAll(/\s+/g, ' ')
    .replace(/ ?Encoded authorization failure message:.*/, '')
    .replace(/ ?Deserialization error: to see the raw response.*/, '')
    .slice(0, MOST_TEXT)
}

function causeOf(meaning: Meaning, action: string, code: string, said: string): string {
  if (meaning === LOST) return `AWS did not answer ${action} (${code}): ${said}`
  if (meaning === BROKEN) return `What answered ${action} was not EC2 (${code}): ${said}`
  if (meaning.kind === 'forbidden') return `AWS does not allow ${action} with these credentials.`
  if (meaning.kind === 'credentials') return `AWS did not take the credentials for ${action} (${code}).`
  return `AWS answered ${action} with ${code}: ${said}`
}
