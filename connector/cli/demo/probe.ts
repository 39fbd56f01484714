/**
 * What runs on the demo's hosts, one program per verb; each prints one JSON line when it is done.
 *
 *     serve ADDRESS PORT BYTES        an HTTP server of BYTES pseudo-random bytes; prints their sha256 when ready
 *     download URL                    fetches, hashes and times
 *     ping ADDRESS COUNT INTERVAL_MS  ICMP echo; prints a line more at the first answer
 *     erp ADDRESS PORT                an HTTP server of orders: GET /orders/<number>
 *     get URL                         fetches; prints status, text and milliseconds
 */
import { createCipheriv, createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { type Address, address } from '../../../protocol/net.ts'
import { type PingSummary, pingHost } from '../../io/ping.ts'

const [verb, ...args] = process.argv.slice(2)
switch (verb) {
  case 'serve':
    serve(args[0]!, Number(args[1]), Number(args[2]))
    break
  case 'download':
    print(await download(args[0]!))
    break
  case 'ping':
    print(await ping(address(args[0]!), Number(args[1]), Number(args[2])))
    break
  case 'erp':
    erp(args[0]!, Number(args[1]))
    break
  case 'get':
    print(await get(args[0]!))
    break
  default:
    throw new Error(`unknown verb ${verb}`)
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

function ping(to: Address, count: number, intervalMs: number): Promise<PingSummary> {
  let isAnswered = false
  const onReply = (): void => {
    if (!isAnswered) print({ answered: true })
    isAnswered = true
  }
  return pingHost(to, { count, intervalMs, timeoutMs: 2000, onReply })
}

function serve(host: string, port: number, bytes: number): void {
  const body = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16)).update(Buffer.alloc(bytes))
  const sha256 = createHash('sha256').update(body).digest('hex')
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length })
    response.end(body)
  })
  server.listen(port, host, () => print({ ready: true, sha256 }))
}

async function download(url: string): Promise<{ bytes: number; sha256: string; seconds: number }> {
  const start = performance.now()
  const response = await fetch(url, { signal: AbortSignal.timeout(60_000) })
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { bytes, sha256: hash.digest('hex'), seconds: (performance.now() - start) / 1000 }
}

function erp(host: string, port: number): void {
  const server = createServer((request, response) => {
    const number = request.url?.match(/^\/orders\/(\d+)$/)?.[1]
    const asker = request.socket.remoteAddress
    response.writeHead(number === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify(number === undefined ? { error: 'no such order' } : { order: Number(number), from: host, asker }),
    )
  })
  server.listen(port, host, () => print({ ready: true }))
}

async function get(url: string): Promise<{ status: number; text: string; ms: number }> {
  const start = performance.now()
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) })
  return { status: response.status, text: await response.text(), ms: performance.now() - start }
}
