/** One call of the EC2 API: paced, repeated where that is safe, its errors in our words. */
import type { EC2Client } from '@aws-sdk/client-ec2'
import type { CloudFailure } from '../domain/cloud/provider.ts'
import { failureOf } from './failures.ts'
import type { Pacing } from './pacing.ts'

/** Any of the SDK's commands; which one it is tells what it answers. */
interface Command {
  readonly input: object
}

/** Times that a read, or what AWS surely did not do, is tried. */
const MOST_ATTEMPTS = 6

export class Calls {
  readonly #client: EC2Client
  readonly #pacing: Pacing

  constructor(client: EC2Client, pacing: Pacing) {
    this.#client = client
    this.#pacing = pacing
  }

  /** Throws a CloudFailure. */
  read<T>(command: Command): Promise<T> {
    return this.#call<T>('read', command, MOST_ATTEMPTS)
  }

  /** Repeated only where AWS said that it was too much: then nothing was done. Throws a CloudFailure. */
  write<T>(command: Command): Promise<T> {
    return this.#call<T>('write', command, MOST_ATTEMPTS)
  }

  async #call<T>(kind: 'read' | 'write', command: Command, attempts: number): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      await this.#pacing.turn(kind)
      try {
        return (await this.#client.send(command as never)) as T
      } catch (error) {
        const failure = failureOf(error, nameOf(command), kind === 'write')
        if (attempt === attempts || !isPassing(failure, kind)) throw failure
        await this.#pacing.backOff(kind, attempt)
      }
    }
  }
}

/** What is not in the right state yet is for whoever decides, who looks again first. */
function isPassing({ kind, code }: CloudFailure, call: 'read' | 'write'): boolean {
  return kind === 'later' && (call === 'read' || /Limit|Throttl|TooMany/.test(code))
}

function nameOf(command: Command): string {
  return command.constructor.name.replace(/Command$/, '')
}
