/** One call of the EC2 API: paced, bounded in time and size, repeated where that is safe, its errors in our words. */
import type { EC2Client } from '@aws-sdk/client-ec2'
import { CloudFailure } from '../domain/cloud/provider.ts'
import { failureOf } from './failures.ts'
import type { Pacing } from './pacing.ts'

/** Any of the SDK's commands; which one it is tells what it answers. */
export interface Command {
  readonly input: object
}

/** One attempt of a call, for counting. */
export interface AwsCall {
  readonly region: string
  /** As the API names it: `DescribeVpcs`. */
  readonly action: string
  /** `ok`, or the kind of the failure. */
  readonly outcome: string
  /** AWS's code, of a failure. */
  readonly code?: string
}

/** All attempts of a change and the waiting between them: whoever asks has not given it up by then. */
const CALL_MS = 30_000
/** Attempts, where AWS says that it is too much, and where it did not answer a read. */
const MOST_THROTTLED = 6
const MOST_LOST = 3

interface Parts {
  readonly region: string
  readonly client: EC2Client
  readonly pacing: Pacing
  readonly now: () => number
  /** Milliseconds for one attempt. */
  readonly attemptMs: number
  readonly onCall?: (call: AwsCall) => void
}

export class Calls {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Throws a CloudFailure. */
  read<T>(command: Command): Promise<T> {
    return this.#call<T>('read', command, [])
  }

  /**
   * Repeated only where AWS said that it was too much: then nothing was done. What has not begun in time never begins.
   * Throws a CloudFailure, with none of the secrets in it.
   */
  write<T>(command: Command, secrets: readonly string[]): Promise<T> {
    return this.#call<T>('write', command, secrets)
  }

  async #call<T>(kind: 'read' | 'write', command: Command, secrets: readonly string[]): Promise<T> {
    const { region, client, pacing, now, attemptMs, onCall } = this.#parts
    const action = actionOf(command)
    const until = now() + CALL_MS
    for (let attempt = 1; ; attempt++) {
      if (!(await pacing.turn(kind, until - now()))) throw tooMuch(action)
      try {
        const answer = (await client.send(command as never, { abortSignal: AbortSignal.timeout(attemptMs) })) as T
        onCall?.({ region, action, outcome: 'ok' })
        return answer
      } catch (error) {
        const failure = failureOf(error, { action, mutating: kind === 'write', secrets })
        onCall?.({ region, action, outcome: failure.kind, code: failure.code })
        if (attempt >= mostAttempts(kind, failure)) throw failure
        if (!(await pacing.backOff(kind, attempt, until - now()))) throw failure
      }
    }
  }
}

/** What is not in the right state yet is for whoever decides, who looks again first. */
function mostAttempts(call: 'read' | 'write', { kind, code }: CloudFailure): number {
  if (kind !== 'later') return 1
  if (isThrottling(code)) return MOST_THROTTLED
  return call === 'read' ? MOST_LOST : 1
}

function isThrottling(code: string): boolean {
  return /RequestLimit|Throttl|TooMany/.test(code)
}

function tooMuch(action: string): CloudFailure {
  const cause = `${action} has to wait: there are more calls than AWS's rates allow.`
  return new CloudFailure('later', 'OwnRateLimit', cause, 'Nothing: it is tried again.')
}

/** As the API and IAM name it. */
export function actionOf(command: Command): string {
  return command.constructor.name.replace(/Command$/, '')
}
