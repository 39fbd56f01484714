/**
 * What EC2's error codes mean for a run: EC2 API reference, "Error codes for the Amazon EC2 API"; names of quotas as
 * Service Quotas and the user guide of site-to-site VPN have them.
 */
import type { CloudFailureKind } from '../domain/cloud/provider.ts'

export interface Meaning {
  readonly kind: CloudFailureKind
  readonly remedy: string
}

const NOTHING = 'Nothing: it is tried again.'
const later: Meaning = { kind: 'later', remedy: NOTHING }
/** It may have been carried out. */
const unknown: Meaning = { kind: 'unknown', remedy: NOTHING }
const exists: Meaning = { kind: 'exists', remedy: NOTHING }
const gone: Meaning = { kind: 'gone', remedy: 'Look at its drift.' }
const invalid: Meaning = { kind: 'invalid', remedy: 'Correct the connection.' }
const unsupported: Meaning = { kind: 'unsupported', remedy: 'Choose what AWS offers in this region.' }
/** The IAM action is said by whoever knows it. */
const forbidden: Meaning = { kind: 'forbidden', remedy: '' }

export const CREDENTIALS =
  'Give the control plane credentials of AWS: environment, profile, or the role of its instance or function.'
export const LOST: Meaning = {
  kind: 'unknown',
  remedy: 'See whether the control plane reaches AWS, and whether the region is right; it is tried again.',
}
export const BROKEN: Meaning = {
  kind: 'unknown',
  remedy: 'See what stands between the control plane and AWS: this is no answer of EC2.',
}

function credentials(more = ''): Meaning {
  return { kind: 'credentials', remedy: `${CREDENTIALS} ${more}`.trim() }
}

function quota(name: string): Meaning {
  return { kind: 'quota', remedy: `Raise the quota "${name}" with Service Quotas, or remove what is not needed.` }
}

const CODES: Readonly<Record<string, Meaning>> = {
  RequestLimitExceeded: later,
  Throttling: later,
  ThrottlingException: later,
  ThrottledException: later,
  RequestThrottled: later,
  EC2ThrottledException: later,
  TooManyRequestsException: later,
  'OperationNotPermitted.TooManyConcurrentModifications': later,
  // The state that a call needs comes with time: gateways become available, modifications end.
  IncorrectState: later,
  InvalidState: later,
  'InvalidVpnConnection.InvalidState': later,
  InvalidVpnGatewayState: later,
  'Gateway.NotAttached': later,

  ServiceUnavailable: unknown,
  Unavailable: unknown,
  InternalError: unknown,
  InternalFailure: unknown,
  RequestTimeout: unknown,

  AuthFailure: credentials(),
  UnrecognizedClientException: credentials(),
  InvalidClientTokenId: credentials(),
  IncompleteSignature: credentials(),
  MissingAuthenticationToken: credentials(),
  CredentialsProviderError: credentials(),
  TokenProviderError: credentials(),
  SignatureDoesNotMatch: credentials('The secret does not fit the access key.'),
  ExpiredToken: credentials('The present ones have expired.'),
  ExpiredTokenException: credentials('The present ones have expired.'),
  RequestExpired: { kind: 'credentials', remedy: 'Set the clock of the control plane, best by NTP.' },
  RequestTimeTooSkewed: { kind: 'credentials', remedy: 'Set the clock of the control plane, best by NTP.' },
  OptInRequired: { kind: 'credentials', remedy: 'Enable the region for the account.' },
  Blocked: { kind: 'credentials', remedy: 'Ask AWS Support: the account is blocked.' },
  PendingVerification: { kind: 'credentials', remedy: 'Wait for AWS: the account is being verified.' },

  UnauthorizedOperation: forbidden,
  AccessDenied: forbidden,
  AccessDeniedException: forbidden,

  VpnConnectionLimitExceeded: quota('Site-to-Site VPN connections per Region'),
  CustomerGatewayLimitExceeded: quota('Customer gateways per Region'),
  VpnGatewayLimitExceeded: quota('Virtual private gateways per Region'),
  VpnGatewayAttachmentLimitExceeded: {
    kind: 'quota',
    remedy: 'A VPC has one virtual private gateway: name it in the target as vpnGateway.',
  },
  RouteLimitExceeded: quota('Routes per route table'),
  TagLimitExceeded: { kind: 'quota', remedy: 'Remove tags: a resource has 50 at most.' },
  ResourceLimitExceeded: quota('of the resource that AWS names'),

  DependencyViolation: { kind: 'in-use', remedy: 'Remove what uses it first.' },
  CannotDelete: { kind: 'in-use', remedy: 'Remove what uses it first.' },

  RouteAlreadyExists: exists,
  VpnGatewayAlreadyAttached: exists,
  VpnConnectionRouteAlreadyExists: exists,
  'InvalidCustomerGateway.DuplicateIpAddress': {
    kind: 'exists',
    remedy: 'Remove the customer gateway that has this address already, or give the site another one.',
  },

  UnsupportedOperation: unsupported,
  Unsupported: unsupported,
  OperationNotPermitted: { kind: 'unsupported', remedy: 'See what AWS says of it.' },

  AnswerTooLarge: BROKEN,
}

/** By exact code, then by how the codes of a family are built; undefined for a code of no known family. */
export function meaningOf(code: string): Meaning | undefined {
  if (Object.hasOwn(CODES, code)) return CODES[code]
  if (code.endsWith('NotFound')) return gone
  if (code.endsWith('.Duplicate') || code.endsWith('.Conflict') || code.endsWith('AlreadyExists')) return exists
  if (code.endsWith('LimitExceeded') || code.endsWith('QuotaExceeded')) return quota(`behind ${code}`)
  if (code.endsWith('.InUse')) return { kind: 'in-use', remedy: 'Remove what uses it first.' }
  if (/^(Invalid|Missing|Malformed|Unknown[A-Z]|Validation)/.test(code)) return invalid
  return undefined
}

/** For the test that goes through all of them. */
export const KNOWN_CODES = Object.keys(CODES)
