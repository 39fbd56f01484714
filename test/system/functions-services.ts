/**
 * What stands on a site's private network: `functions-services.ts ADDRESS CA-FOLDER`. Prints `ready` when all listen.
 *
 *     8000  HTTP     GET /orders/<n>, /headers, /bytes/<n>, /drip (a chunk every 50 ms, without end), /silent,
 *                    /breaks (half of an answer), POST /hash, POST /count with a number; GET /counted: how many
 *                    numbers came, and how often one came again
 *     8443  HTTPS    the same, its certificate by a private CA
 *     7000  TCP      sends back what it gets, and its end
 *     7001  TCP      takes everything, answers with its SHA-256 when the other end has finished
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'

const [address, folder] = process.argv.slice(2)
const CHUNK = Buffer.alloc(65_536, 'isthmus ')
const counted = new Set<string>()
let twice = 0

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://erp')
  const [, what, argument] = url.pathname.split('/')
  switch (`${request.method} ${what}`) {
    case 'GET orders':
      return json(response, {
        order: Number(argument),
        secret: 'customer 4711 owes 12345.67',
        host: request.headers.host,
      })
    case 'GET headers':
      return json(response, request.headers)
    case 'GET bytes':
      return bytes(response, Number(argument))
    case 'GET drip':
      return drip(response)
    case 'GET silent':
      return
    case 'GET breaks':
      response.writeHead(200, { 'content-length': 1000 })
      response.write(Buffer.alloc(500))
      setTimeout(() => response.destroy(), 100)
      return
    case 'POST hash': {
      const hash = createHash('sha256')
      for await (const chunk of request) hash.update(chunk as Buffer)
      return json(response, { sha256: hash.digest('hex') })
    }
    case 'POST count': {
      const number = (await request.setEncoding('utf8').toArray()).join('')
      if (counted.has(number)) twice++
      counted.add(number)
      return json(response, { count: counted.size })
    }
    case 'GET counted':
      return json(response, { count: counted.size, twice })
    default:
      response.writeHead(404)
      response.end('nothing here')
  }
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

function bytes(response: ServerResponse, length: number): void {
  response.writeHead(200, { 'content-length': length })
  let left = length
  const more = (): void => {
    while (left > 0) {
      const part = CHUNK.subarray(0, Math.min(left, CHUNK.length))
      left -= part.length
      if (!response.write(part)) {
        response.once('drain', more)
        return
      }
    }
    response.end()
  }
  more()
}

function drip(response: ServerResponse): void {
  response.writeHead(200)
  const timer = setInterval(() => response.write('drip\n'), 50)
  response.on('close', () => clearInterval(timer))
}

function listens(
  server: { listen(port: number, host: string, then: () => void): unknown },
  port: number,
): Promise<void> {
  return new Promise((resolve) => {
    server.listen(port, address!, resolve)
  })
}

const tls = { key: readFileSync(join(folder!, 'erp.key')), cert: readFileSync(join(folder!, 'erp.pem')) }
const echo = createTcpServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => socket.destroy())
  socket.pipe(socket)
})
const digest = createTcpServer({ allowHalfOpen: true }, (socket) => {
  const hash = createHash('sha256')
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => hash.update(chunk))
  socket.on('end', () => socket.end(hash.digest('hex')))
})
await Promise.all([
  listens(createServer(answer), 8000),
  listens(createTlsServer(tls, answer), 8443),
  listens(echo, 7000),
  listens(digest, 7001),
])
process.stdout.write('ready\n')
