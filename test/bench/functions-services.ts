/**
 * What the functions' benchmark talks to, at ADDRESS: 8000 an HTTP service, 7000 a source without end, 7001 a sink,
 * 7002 an echo, 7003 a bare WebSocket: to /source it sends without end, at /sink it takes, each message of 64 KB.
 * With `forward` as a second word: 7004, a WebSocket whose messages are what comes from 7000, or goes to 7001.
 */
import { createServer } from 'node:http'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

const address = process.argv[2]!
const CHUNK = Buffer.alloc(65_000, 1)
/** A thousand connections come at once. */
const BACKLOG = 4096
const HIGH_WATER = 1 << 20

const http = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end('{"order":42}')
})
http.keepAliveTimeout = 60_000

const source = createTcpServer((socket) => {
  quiet(socket)
  const more = (): void => {
    while (!socket.destroyed && socket.write(CHUNK));
  }
  socket.on('drain', more)
  more()
})
const sink = createTcpServer((socket) => {
  quiet(socket)
  socket.resume()
})
const echo = createTcpServer((socket) => {
  quiet(socket)
  socket.pipe(socket)
})

const bare = createServer()
const sockets = new WebSocketServer({ server: bare, perMessageDeflate: false })
sockets.on('connection', (socket: WebSocket, request) => {
  socket.on('error', () => socket.terminate())
  if (request.url !== '/source') return
  const more = (): void => {
    while (socket.readyState === socket.OPEN && socket.bufferedAmount < HIGH_WATER)
      socket.send(CHUNK, { binary: true }, more)
  }
  more()
})

function quiet(socket: Socket): void {
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
}

/** What a connector would be that knew nothing but bytes. */
const forwarder = createServer()
const forwarded = new WebSocketServer({ server: forwarder, perMessageDeflate: false })
forwarded.on('connection', (socket: WebSocket, request) => {
  const service = connect(request.url === '/source' ? 7000 : 7001, address)
  quiet(service)
  socket.on('error', () => service.destroy())
  socket.on('close', () => service.destroy())
  service.on('data', (chunk) => {
    socket.send(chunk, { binary: true }, () => service.resume())
    if (socket.bufferedAmount > HIGH_WATER) service.pause()
  })
  socket.on('message', (data: Buffer) => {
    if (service.write(data)) return
    socket.pause()
    service.once('drain', () => socket.resume())
  })
})

const services = [
  [http, 8000],
  [source, 7000],
  [sink, 7001],
  [echo, 7002],
  [bare, 7003],
] as const
const all = process.argv[3] === 'forward' ? ([[forwarder, 7004]] as const) : services
const listening = all.map(([server, port]) => {
  return new Promise<void>((resolve) => server.listen({ port, host: address, backlog: BACKLOG }, resolve))
})
await Promise.all(listening)
process.stdout.write('ready\n')
