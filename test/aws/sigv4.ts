/** Verifies AWS Signature Version 4 of a request (AWS General Reference, "Signing AWS API requests"). */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Ec2Error } from './ec2-error.ts'

export interface Credentials {
  readonly id: string
  readonly secret: string
  /** Of temporary credentials. */
  readonly token?: string
}

/** A clock that is further off is refused. */
const SKEW_MS = 5 * 60_000
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/ec2\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/

/** Throws Ec2Error; returns who has signed, and for which region. */
export function verifySignature<C extends Credentials>(
  request: IncomingMessage,
  body: string,
  known: readonly C[],
  now: number,
): { readonly region: string; readonly caller: C } {
  const { authorization, 'x-amz-date': date } = request.headers
  if (authorization === undefined)
    throw new Ec2Error('MissingAuthenticationToken', 'Request is missing Authentication Token', 403)
  const match = AUTHORIZATION.exec(authorization)
  if (match === null || typeof date !== 'string')
    throw new Ec2Error('IncompleteSignature', 'The request signature is incomplete', 400)
  const [, id, day, region, signed, signature] = match as unknown as [string, string, string, string, string, string]
  const credentials = known.find((each) => each.id === id)
  if (credentials === undefined || request.headers['x-amz-security-token'] !== credentials.token)
    throw new Ec2Error('AuthFailure', 'AWS was not able to validate the provided access credentials', 401)
  if (Math.abs(instantOf(date) - now) > SKEW_MS) throw new Ec2Error('RequestExpired', 'Request has expired.', 400)
  const [path, query = ''] = (request.url ?? '/').split('?')
  const headers = signed.split(';').map(
    (name) =>
      `${name}:${String(request.headers[name] ?? '')
        .trim()
        .replaceAll(/ +/g, ' ')}\n`,
  )
  const canonical = [request.method, path, query, headers.join(''), signed, sha256(body)].join('\n')
  const text = ['AWS4-HMAC-SHA256', date, `${day}/${region}/ec2/aws4_request`, sha256(canonical)].join('\n')
  const key = [day, region, 'ec2', 'aws4_request'].reduce<Buffer>(
    (last, part) => hmac(last, part),
    Buffer.from(`AWS4${credentials.secret}`),
  )
  if (!timingSafeEqual(hmac(key, text), Buffer.from(signature, 'hex'))) {
    throw new Ec2Error(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided.',
      403,
    )
  }
  return { region, caller: credentials }
}

/** `20261201T050000Z`. */
function instantOf(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
