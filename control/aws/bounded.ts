/** Answers up to a size: whatever stands at the endpoint, it does not fill our memory. */
import type { EC2Client } from '@aws-sdk/client-ec2'

/** Octets. A thousand VPN connections with their configuration documents come to about 15 million. */
export const MOST_ANSWER = 64 << 20

interface Answered {
  readonly response: unknown
}

/** As innermost of what reads answers: after it the whole body is there, as octets. */
export function boundAnswers(client: EC2Client, most = MOST_ANSWER): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      await collect((result as Answered).response as { body?: unknown }, most)
      return result
    },
    { step: 'deserialize', priority: 'low', name: 'boundedAnswer' },
  )
}

async function collect(response: { body?: unknown }, most: number): Promise<void> {
  const { body } = response
  // Without a body there is nothing to go through.
  if (typeof body !== 'object' || body === null || !(Symbol.asyncIterator in body)) return
  const chunks: Uint8Array[] = []
  let length = 0
  // Leaving the loop ends the connection.
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    length += chunk.length
    if (length > most) throw Object.assign(new Error(`more than ${most} octets`), { name: 'AnswerTooLarge' })
    chunks.push(chunk)
  }
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  response.body = whole
}
