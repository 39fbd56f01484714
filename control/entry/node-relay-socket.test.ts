import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import { NodeSocket } from './node-relay-socket.ts'

/** As much of a `ws` as a socket of the relay needs; what is sent waits until `flush`. */
class FakeWs extends EventEmitter {
  readonly OPEN = 1
  readyState = 1
  isPaused = false
  bufferedAmount = 0
  readonly did: string[] = []
  readonly #written: (() => void)[] = []

  send(data: Uint8Array, _options: object, written: () => void): void {
    this.bufferedAmount += data.length
    this.#written.push(written)
  }
  /** One message goes out, of `bytes`. */
  flush(bytes: number): void {
    this.bufferedAmount -= bytes
    this.#written.shift()!()
  }
  ping(): void {
    this.did.push('ping')
  }
  terminate(): void {
    this.did.push('terminate')
  }
  close(code: number): void {
    this.did.push(`close ${code}`)
  }
  pause(): void {
    this.isPaused = true
  }
  resume(): void {
    this.isPaused = false
  }
}

function held() {
  const ws = new FakeWs()
  const told: string[] = []
  const socket = new NodeSocket(ws as unknown as WebSocket, () => told.push('gone'))
  socket.held = {
    message: () => told.push('message'),
    misfit: () => told.push('misfit'),
    closed: (code) => told.push(`closed ${code}`),
    full: () => told.push('full'),
    drained: () => told.push('drained'),
  }
  const start = Date.now()
  /** The sweep, so many seconds after the start. */
  const at = (seconds: number) => {
    ws.did.length = 0
    socket.look(start + seconds * 1000)
    return [...ws.did]
  }
  return { ws, told, socket, at }
}

const KB = new Uint8Array(1024)
const send = (socket: NodeSocket, count: number) => {
  for (let n = 0; n < count; n++) socket.send(KB)
}

test('one that is silent is pinged once, and ended when it stays so', () => {
  const { at } = held()
  expect([at(20), at(26), at(40), at(74), at(77)]).toEqual([[], ['ping'], [], [], ['terminate']])
})

test.each(['message', 'ping', 'pong'])('a %s is a sign of life', (event) => {
  const { ws, at } = held()
  for (let seconds = 0; seconds <= 600; seconds += 30) {
    expect(at(seconds)).not.toContain('terminate')
    ws.emit(event, Buffer.alloc(0), true)
  }
})

test('full is told once, drained when nearly all of it went out', () => {
  const { ws, told, socket } = held()
  send(socket, 128)
  expect(told).toEqual([])
  send(socket, 3)
  expect(told).toEqual(['full'])
  for (let n = 0; n < 98; n++) ws.flush(1024)
  expect(told).toEqual(['full'])
  ws.flush(1024)
  expect(told).toEqual(['full', 'drained'])
  send(socket, 130)
  expect(told.at(-1)).toBe('full')
})

test('one that is not read is not called silent, and has its time anew when it is read again', () => {
  const { socket, at } = held()
  socket.pause()
  expect([at(30), at(80), at(200)]).toEqual([[], [], []])
  socket.resume()
  expect([at(220), at(226), at(276)]).toEqual([[], ['ping'], ['terminate']])
})

test('one that takes nothing any more is ended, also while it is not read itself', () => {
  const { socket, at } = held()
  send(socket, 200)
  socket.pause()
  expect([at(70), at(76)]).toEqual([[], ['terminate']])
})

test('one that takes what is sent slowly stays', () => {
  const { ws, socket, at } = held()
  send(socket, 200)
  for (let seconds = 0; seconds < 40 * 60; seconds += 60) {
    expect(at(seconds)).not.toContain('terminate')
    ws.flush(1024)
  }
})

test('one that does not close its end is ended, later where something is left to be sent', () => {
  const [idle, busy] = [held(), held()]
  send(busy.socket, 1)
  for (const { socket } of [idle, busy]) socket.close(1000, '')
  expect([idle.at(1), idle.at(3)]).toEqual([[], ['terminate']])
  expect([busy.at(3), busy.at(9), busy.at(11)]).toEqual([[], [], ['terminate']])
})

test('nothing is sent on one that closes', () => {
  const { ws, socket } = held()
  ws.readyState = 2
  send(socket, 1)
  expect(ws.bufferedAmount).toBe(0)
})

test('what is told is what came', () => {
  const { ws, told } = held()
  ws.emit('message', Buffer.alloc(1), true)
  ws.emit('message', Buffer.alloc(1), false)
  ws.emit('error', new Error('too long'))
  ws.emit('close', 1009, Buffer.alloc(0))
  expect(told).toEqual(['message', 'misfit', 'gone', 'closed 1009'])
  expect(ws.did).toEqual(['terminate'])
})
