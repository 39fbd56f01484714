/** What AWS's errors mean for a run: EC2 API reference, "Error codes for the Amazon EC2 API". */
import { CloudFailure, type CloudFailureKind } from '../domain/cloud/provider.ts'

interface Meaning {
  readonly kind: CloudFailureKind
  readonly remedy: string
}

const AGAIN = 'It is tried again by itself.'
const LIMITS = 'Have the limit raised with Service Quotas, or remove what is not needed.'
const CREDENTIALS =
  'Give the control plane credentials of AWS: environment, profile, or the role of its instance or function.'

/** By exact code. */
const CODES: Readonly<Record<string, Meaning>> = {
  RequestLimitExceeded: { kind: 'later', remedy: AGAIN },
  Throttling: { kind: 'later', remedy: AGAIN },
  ThrottlingException: { kind: 'later', remedy: AGAIN },
  EC2ThrottledException: { kind: 'later', remedy: AGAIN },
  TooManyRequestsException: { kind: 'later', remedy: AGAIN },
  ServiceUnavailable: { kind: 'unknown', remedy: AGAIN },
  Unavailable: { kind: 'unknown', remedy: AGAIN },
  InternalError: { kind: 'unknown', remedy: AGAIN },
  InternalFailure: { kind: 'unknown', remedy: AGAIN },
  AuthFailure: { kind: 'credentials', remedy: CREDENTIALS },
  UnrecognizedClientException: { kind: 'credentials', remedy: CREDENTIALS },
  InvalidClientTokenId: { kind: 'credentials', remedy: CREDENTIALS },
  SignatureDoesNotMatch: { kind: 'credentials', remedy: `${CREDENTIALS} The secret does not fit the access key.` },
  ExpiredToken: { kind: 'credentials', remedy: `${CREDENTIALS} The present ones have expired.` },
  RequestExpired: { kind: 'credentials', remedy: 'Set the clock of the control plane, best by NTP.' },
  MissingAuthenticationToken: { kind: 'credentials', remedy: CREDENTIALS },
  OptInRequired: { kind: 'credentials', remedy: 'Enable the region for the account.' },
  CredentialsProviderError: { kind: 'credentials', remedy: CREDENTIALS },
  UnauthorizedOperation: { kind: 'forbidden', remedy: '' },
  AccessDenied: { kind: 'forbidden', remedy: '' },
  AccessDeniedException: { kind: 'forbidden', remedy: '' },
  VpnConnectionLimitExceeded: { kind: 'quota', remedy: LIMITS },
  CustomerGatewayLimitExceeded: { kind: 'quota', remedy: LIMITS },
  VpnGatewayLimitExceeded: { kind: 'quota', remedy: LIMITS },
  VpnGatewayAttachmentLimitExceeded: {
    kind: 'quota',
    remedy: 'A VPC has one virtual private gateway: name it in vpnGateway.',
  },
  RouteLimitExceeded: { kind: 'quota', remedy: LIMITS },
  DependencyViolation: { kind: 'in-use', remedy: 'Remove what uses it first.' },
  IncorrectState: { kind: 'later', remedy: AGAIN },
  'OperationNotPermitted.TooManyConcurrentModifications': { kind: 'later', remedy: AGAIN },
  RouteAlreadyExists: { kind: 'exists', remedy: '' },
  VpnGatewayAlreadyAttached: { kind: 'exists', remedy: '' },
  UnsupportedOperation: { kind: 'unsupported', remedy: 'Choose what AWS offers in this region.' },
  Unsupported: { kind: 'unsupported', remedy: 'Choose what AWS offers in this region.' },
  OperationNotPermitted: { kind: 'unsupported', remedy: 'See what AWS says of it.' },
}

/** Their names begin so when the request, or our own connection, never came to an end. */
const LOST = [
  'TimeoutError',
  'AbortError',
  'NetworkingError',
  'ECONN',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_',
  'ERR_',
]
const MOST_TEXT = 300

/** `command`: the EC2 action. `mutating`: whether it may have been carried out where the answer was lost. */
export function failureOf(error: unknown, command: string, mutating: boolean): CloudFailure {
  if (error instanceof CloudFailure) return error
  const { name, message, code } = error as { name?: string; message?: string; code?: string }
  const word = name === undefined || name === 'Error' ? (code ?? 'Error') : name
  const { kind, remedy } = meaningOf(word, code, message ?? '')
  const iamAction = kind === 'forbidden' ? `ec2:${command}` : undefined
  const certain = kind === 'unknown' && !mutating ? 'later' : kind
  const cause = causeOf(certain, command, word, message ?? '')
  const what =
    iamAction === undefined ? remedy : `Allow ${iamAction}: infra/aws/control-policy.json has all that is needed.`
  return new CloudFailure(certain, word, cause, what, iamAction)
}

function meaningOf(word: string, code: string | undefined, message: string): Meaning {
  const known = CODES[word]
  if (known !== undefined) return known
  if (word.endsWith('.NotFound') || word.endsWith('NotFound')) return { kind: 'gone', remedy: 'See its drift.' }
  if (word.endsWith('.Duplicate') || word.endsWith('.Conflict')) return { kind: 'exists', remedy: '' }
  if (word.endsWith('LimitExceeded') || word.endsWith('QuotaExceeded')) return { kind: 'quota', remedy: LIMITS }
  if (/^(Invalid|Missing|Malformed|Unknown)/.test(word)) return { kind: 'invalid', remedy: 'Correct the connection.' }
  if (/credential/i.test(word) || /credential|Region is missing/i.test(message))
    return { kind: 'credentials', remedy: CREDENTIALS }
  if (LOST.some((start) => word.startsWith(start) || code?.startsWith(start) === true)) {
    return { kind: 'unknown', remedy: 'See whether the control plane reaches AWS; it is tried again by itself.' }
  }
  return { kind: 'unknown', remedy: AGAIN }
}

function causeOf(kind: CloudFailureKind, command: string, word: string, message: string): string {
  const said = message.replaceAll(/\s+/g, ' ').slice(0, MOST_TEXT)
  if (kind === 'forbidden') return `AWS does not allow ${command} with these credentials.`
  if (kind === 'credentials') return `AWS did not take the credentials for ${command} (${word}).`
  return `AWS answered ${command} with ${word}: ${said}`
}
