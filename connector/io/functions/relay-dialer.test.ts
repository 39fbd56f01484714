import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { RelayDialer } from './relay-dialer.ts'

let server: Server
let refusing: number | undefined
let asked: (string | undefined)[]
let sockets: WebSocket[]
let used: WebSocket[]
let heard: string[]
let troubles: string[]
let room: boolean
let dialer: RelayDialer

beforeEach(async () => {
  refusing = undefined
  asked = []
  sockets = []
  used = []
  heard = []
  troubles = []
  room = true
  const relay = new WebSocketServer({ noServer: true })
  server = createServer()
  server.on('upgrade', (request, socket, head) => {
    asked.push(request.headers.authorization)
    if (refusing !== undefined) socket.end(`HTTP/1.1 ${refusing} No\r\nContent-Length: 0\r\n\r\n`)
    else relay.handleUpgrade(request, socket, head, (one) => sockets.push(one))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  let proofs = 0
  dialer = new RelayDialer({
    url: new URL(`ws://127.0.0.1:${port}/v1/networks/n/relay`),
    authorize: async () => `Isthmus ${++proofs}`,
    admit: () => room,
    onSocket: (socket) => {
      used.push(socket)
      socket.on('message', (data) => heard.push(String(data)))
    },
    onTrouble: (reason) => troubles.push(reason),
  })
})

afterEach(() => {
  dialer.stop()
  for (const socket of [...sockets, ...used]) socket.terminate()
  server.close()
  server.closeAllConnections()
})

const reach = (count: number) => vi.waitFor(() => expect(sockets).toHaveLength(count), { timeout: 10_000 })

it('keeps sockets waiting, each with a proof of its own, and hands over those that a function has', async () => {
  dialer.linked(2)
  await reach(2)
  expect([...asked].sort()).toEqual(['Isthmus 1', 'Isthmus 2'])
  sockets[0]!.send('{"type":"call"}')
  sockets[0]!.send(Buffer.from('first flight'))
  await reach(3)
  expect(used).toHaveLength(1)
  await vi.waitFor(() => expect(heard).toEqual(['first flight']))
  dialer.called(1)
  await reach(4)
})

it('turns a function away where there is no room', async () => {
  room = false
  dialer.linked(1)
  await reach(1)
  const closed = once(sockets[0]!, 'close')
  sockets[0]!.send('{"type":"call"}')
  expect((await closed)[0]).toBe(4429)
  expect(used).toEqual([])
})

it('leaves a relay that says something else, and comes again', async () => {
  dialer.linked(1)
  await reach(1)
  const closed = once(sockets[0]!, 'close')
  sockets[0]!.send('hello')
  await closed
  await reach(2)
  expect(used).toEqual([])
})

it('tells once that the relay does not want it, and asks less and less often', async () => {
  refusing = 403
  dialer.linked(3)
  await vi.waitFor(() => expect(troubles).toEqual(['the relay refused a socket with HTTP status 403']))
  await vi.waitFor(() => expect(asked).toHaveLength(3))
  expect(dialer.waiting).toBe(0)
})

it('drops what waits at the end', async () => {
  dialer.linked(2)
  await reach(2)
  const closed = sockets.map((socket) => once(socket, 'close'))
  dialer.stop()
  await Promise.all(closed)
})
