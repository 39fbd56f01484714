/**
 * What the functions' benchmark talks to, at ADDRESS: 8000 an HTTP service, 7000 a source without end, 7001 a sink,
 * 7002 an echo, 7003 a bare WebSocket: to /source it sends without end, at /sink it takes, each message of 64 KB.
 */
import { createServer } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

const address = process.argv[2]!
const CHUNK = Buffer.alloc(65_000, 1)
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

const all = [
  [http, 8000],
  [source, 7000],
  [sink, 7001],
  [echo, 7002],
  [bare, 7003],
] as const
await Promise.all(all.map(([server, port]) => new Promise<void>((resolve) => server.listen(port, address, resolve))))
process.stdout.write('ready\n')
