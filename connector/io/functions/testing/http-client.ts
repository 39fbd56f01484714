/** HTTP requests of a function over one stream: for tests. */
import {
  type FieldLine,
  RequestEncoder,
  type RequestHead,
  ResponseDecoder,
  type ResponseHead,
} from '../../../../protocol/binary-http.ts'
import type { ClientStream, FunctionClient } from './function-client.ts'

export interface Asking extends Partial<RequestHead> {
  readonly host?: string
  readonly port?: number
  readonly timeoutMs?: number
  /** Sent whole, with the end behind it. Absent: no content. `open`: the test goes on by itself. */
  readonly body?: string | Uint8Array | 'open'
}

export interface Got {
  readonly informational: readonly ResponseHead[]
  readonly status: number
  readonly fields: readonly FieldLine[]
  readonly trailers: readonly FieldLine[]
  readonly body: Buffer
  field(name: string): string | undefined
}

export interface Request {
  readonly stream: ClientStream
  readonly encoder: RequestEncoder
  write(bytes: Uint8Array): void
  end(): void
}

export function ask(client: FunctionClient, asking: Asking): Request {
  const { host = 'erp', port = 80, timeoutMs, body } = asking
  const { method = body === undefined ? 'GET' : 'POST', scheme = 'http', path = '/', fields = [] } = asking
  const stream = client.open({ kind: 'http', host, port, ...(timeoutMs !== undefined && { timeoutMs }) })
  const encoder = new RequestEncoder()
  const request: Request = {
    stream,
    encoder,
    write: (bytes) => {
      for (const part of encoder.data(bytes)) stream.write(part)
    },
    end: () => {
      stream.write(encoder.end())
      stream.finish()
    },
  }
  stream.write(encoder.head({ method, scheme, authority: asking.authority ?? host, path, fields }))
  if (body === 'open') return request
  if (body !== undefined) request.write(typeof body === 'string' ? new TextEncoder().encode(body) : body)
  request.end()
  return request
}

/** The whole answer. Rejects with the code of what went wrong. */
export async function answerOf({ stream }: Request, toHead = false): Promise<Got> {
  const answer = await stream.answer()
  if (!answer.ok) throw Object.assign(new Error(answer.problem.code), { problem: answer.problem })
  return decode(await stream.all(), toHead)
}

export function decode(bytes: Uint8Array, toHead = false): Got {
  const decoder = new ResponseDecoder({ toHead })
  const informational: ResponseHead[] = []
  const content: Uint8Array[] = []
  let head: ResponseHead | undefined
  let trailers: readonly FieldLine[] = []
  for (const event of [...decoder.push(bytes), ...decoder.finish()]) {
    if (event.type === 'informational') informational.push(event.head)
    else if (event.type === 'head') head = event.head
    else if (event.type === 'data') content.push(event.bytes)
    else if (event.type === 'trailers') trailers = event.fields
    else if (event.type === 'fault') throw new Error(`fault: ${event.cause}`)
  }
  const { status, fields } = head!
  const field = (name: string) => fields.find(([known]) => known === name)?.[1]
  return { informational, status, fields, trailers, body: Buffer.concat(content), field }
}
