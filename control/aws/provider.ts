/** AWS as a provider of VPN gateways, by the EC2 API. */
import { EC2Client, type EC2ClientConfig } from '@aws-sdk/client-ec2'
import type { CloudProvider, Seen, Subject } from '../domain/cloud/provider.ts'
import { Calls } from './calls.ts'
import { lookAt } from './look.ts'
import { Pacing, type PacingParts, type Rates } from './pacing.ts'
import { performAction } from './perform.ts'

export interface AwsOptions extends Partial<PacingParts> {
  /** Absent: the SDK's usual chain, which has no place on Workers. */
  readonly credentials?: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  }
  /** Absent: AWS's own, or as AWS_ENDPOINT_URL_EC2 says. */
  readonly endpoint?: string
  readonly rates?: Rates
  /** For other platforms than Node. */
  readonly requestHandler?: NonNullable<EC2ClientConfig['requestHandler']>
}

export function createAwsProvider(options: AwsOptions = {}): CloudProvider {
  const regions = new Map<string, Calls>()
  const callsOf = (region: string): Calls => {
    const known =
      regions.get(region) ?? new Calls(clientOf(region, options), new Pacing(partsOf(options), options.rates))
    regions.set(region, known)
    return known
  }
  return {
    async look(subjects) {
      const seen = new Map<Subject, Seen>()
      const groups = Map.groupBy(subjects, ({ region }) => region)
      await Promise.all(
        [...groups].map(async ([region, own]) => {
          const each = await lookAt(callsOf(region), own)
          for (const [index, subject] of own.entries()) seen.set(subject, each[index]!)
        }),
      )
      return subjects.map((subject) => seen.get(subject)!)
    },
    perform: (region, action, secrets) => performAction(callsOf(region), action, secrets),
  }
}

function clientOf(region: string, { credentials, endpoint, requestHandler }: AwsOptions): EC2Client {
  return new EC2Client({
    region,
    // What may be repeated, `Calls` knows.
    maxAttempts: 1,
    ...(credentials === undefined ? {} : { credentials }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(requestHandler === undefined ? {} : { requestHandler }),
  })
}

function partsOf({ now, sleep, random }: AwsOptions): PacingParts {
  return {
    now: now ?? Date.now,
    sleep: sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms))),
    random: random ?? ((length) => crypto.getRandomValues(new Uint8Array(length))),
  }
}
