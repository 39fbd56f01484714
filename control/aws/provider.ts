/** AWS as a provider of VPN gateways, by the EC2 API. */
import { EC2Client, type EC2ClientConfig } from '@aws-sdk/client-ec2'
import type { CloudProvider, Seen, Subject } from '../domain/cloud/provider.ts'
import { boundAnswers } from './bounded.ts'
import { type AwsCall, Calls } from './calls.ts'
import { lookAt } from './look.ts'
import { Looks } from './looks.ts'
import { Pacing, type PacingParts, type Rates } from './pacing.ts'
import { performAction } from './perform.ts'

export interface AwsProviderOptions extends Partial<PacingParts> {
  /** Absent: the SDK's usual chain, of which nothing works on Workers. */
  readonly credentials?: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  }
  /** Absent: AWS's own, or on Node as AWS_ENDPOINT_URL_EC2 or AWS_ENDPOINT_URL say. */
  readonly endpoint?: string
  readonly rates?: Rates
  /** For one attempt of a call, from its first octet to the last of the answer. */
  readonly attemptMs?: number
  /** Told of every call, also of those that are repeated. */
  readonly onCall?: (call: AwsCall) => void
  readonly requestHandler?: NonNullable<EC2ClientConfig['requestHandler']>
}

const CONNECT_MS = 5_000
const ATTEMPT_MS = 15_000
/** More than AWS has: names of regions come from requests. */
const MOST_REGIONS = 64

interface Region {
  readonly calls: Calls
  readonly looks: Looks
}

export function createAwsProvider(options: AwsProviderOptions = {}): CloudProvider {
  const regions = new Map<string, Region>()
  const regionOf = (name: string): Region => {
    const known = regions.get(name) ?? openRegion(name, options)
    // The one that was used last stands last.
    regions.delete(name)
    regions.set(name, known)
    for (const oldest of regions.keys()) {
      if (regions.size <= MOST_REGIONS) break
      regions.delete(oldest)
    }
    return known
  }
  return {
    async look(subjects) {
      const seen = new Map<Subject, Seen>()
      const groups = Map.groupBy(subjects, ({ region }) => region)
      await Promise.all(
        [...groups].map(async ([region, own]) => {
          const each = await regionOf(region).looks.at(own)
          for (const [index, subject] of own.entries()) seen.set(subject, each[index]!)
        }),
      )
      return subjects.map((subject) => seen.get(subject)!)
    },
    perform: (region, action, secrets) => performAction(regionOf(region).calls, action, secrets),
  }
}

function openRegion(region: string, options: AwsProviderOptions): Region {
  const { rates, onCall, attemptMs = ATTEMPT_MS } = options
  const parts = partsOf(options)
  const calls = new Calls({
    region,
    client: clientOf(region, options),
    pacing: new Pacing(parts, rates),
    now: parts.now,
    attemptMs,
    ...(onCall === undefined ? {} : { onCall }),
  })
  return { calls, looks: new Looks((subjects) => lookAt(calls, subjects)) }
}

function clientOf(region: string, { credentials, endpoint, requestHandler }: AwsProviderOptions): EC2Client {
  const client = new EC2Client({
    region,
    // What may be repeated, `Calls` knows.
    maxAttempts: 1,
    requestHandler: requestHandler ?? { connectionTimeout: CONNECT_MS },
    ...(credentials === undefined ? {} : { credentials }),
    ...(endpoint === undefined ? {} : { endpoint }),
  })
  boundAnswers(client)
  return client
}

function partsOf({ now, sleep, random }: AwsProviderOptions): PacingParts {
  return {
    now: now ?? (() => performance.now()),
    sleep: sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms))),
    random: random ?? ((length) => crypto.getRandomValues(new Uint8Array(length))),
  }
}
