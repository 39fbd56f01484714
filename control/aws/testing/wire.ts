/** What a provider sends, and answers for it, without a network. */
import type { AwsProviderOptions } from '../provider.ts'

export interface Sent {
  readonly action: string
  /** Without Action and Version. */
  readonly params: ReadonlyMap<string, string>
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status?: number
  readonly body: string | AsyncIterable<Uint8Array>
}

interface Request {
  readonly headers: Record<string, string>
  readonly body?: unknown
}

/** `answer`: throws what the connection fails with. The list grows as requests come. */
export function wire(answer: (sent: Sent) => Answer | Promise<Answer>): {
  readonly sent: Sent[]
  readonly requestHandler: NonNullable<AwsProviderOptions['requestHandler']>
} {
  const sent: Sent[] = []
  const handle = async (request: Request) => {
    const body = typeof request.body === 'string' ? request.body : new TextDecoder().decode(request.body as Uint8Array)
    const params = new Map(new URLSearchParams(body))
    const action = params.get('Action') ?? ''
    params.delete('Action')
    params.delete('Version')
    const one = { action, params, body, headers: request.headers }
    sent.push(one)
    const { status = 200, body: text } = await answer(one)
    const octets = typeof text === 'string' ? new TextEncoder().encode(text) : text
    return { response: { statusCode: status, headers: { 'content-type': 'text/xml' }, body: octets } }
  }
  return { sent, requestHandler: { handle } as unknown as NonNullable<AwsProviderOptions['requestHandler']> }
}

/** An answer in which there is nothing. */
export function emptyAnswer({ action }: Sent): Answer {
  return {
    body: `<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId></${action}Response>`,
  }
}

export function errorAnswer(code: string, message: string, status = 400): Answer {
  const error = `<Error><Code>${code}</Code><Message>${message}</Message></Error>`
  return {
    status,
    body: `<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors>${error}</Errors><RequestID>r</RequestID></Response>`,
  }
}

export const KEYS = { accessKeyId: 'AKIAISTHMUSTEST00001', secretAccessKey: 'nobody-has-it' }
