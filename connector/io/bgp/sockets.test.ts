/** On loopback: what the kernel does for BGP and BFD. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { address } from '../../../protocol/net.ts'
import type { BfdDatagram } from '../../core/bfd/endpoint.ts'
import type { SpeakerInput } from '../../core/bgp/speaker-types.ts'
import { freePort } from '../testing/free-port.ts'
import { BfdSockets } from './bfd-sockets.ts'
import { openSocket, SocketRefused } from './signed-socket.ts'
import { BgpTcp } from './tcp.ts'

const HERE = address('127.0.0.1')
const THERE = address('127.0.0.2')
const close: (() => unknown)[] = []

afterEach(async () => {
  for (const step of close.splice(0)) await step()
})

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000 && !holds(); turn++) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(holds()).toBe(true)
}

/** Two ends of one neighbourship; what each hears. */
async function pair(keys: readonly [string | undefined, string | undefined], gtsmHops?: number) {
  const port = await freePort()
  const ends = [HERE, THERE].map((local, side) => {
    const heard: SpeakerInput[] = []
    const troubles: unknown[] = []
    const key = keys[side]
    const transport = {
      port,
      ...(key === undefined ? {} : { md5Key: 'k' }),
      ...(gtsmHops === undefined ? {} : { gtsmHops }),
    }
    const remote = side === 0 ? THERE : HERE
    const tcp = new BgpTcp({
      post: (input) => heard.push(input.type === 'bytes' ? { ...input, bytes: Uint8Array.from(input.bytes) } : input),
      md5Keys: new Map(key === undefined ? [] : [['k', new TextEncoder().encode(key)]]),
      ends: [{ neighbour: 'n', local, remote, transport }],
      onTrouble: (_, error) => troubles.push(error),
    })
    tcp.listen()
    tcp.setWelcome('n', true)
    close.push(() => tcp.stop(0))
    return { tcp, heard, troubles, transport: { ...transport, local, remote } }
  })
  return ends as [(typeof ends)[number], (typeof ends)[number]]
}

describe('TCP', () => {
  it('a stop waits until the other end has read what it was told last, but not for ever', async () => {
    const server = createServer({ allowHalfOpen: true }).listen(0, THERE)
    close.push(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const heard: SpeakerInput[] = []
    const transport = { port, local: HERE, remote: THERE }
    const tcp = new BgpTcp({
      post: (input) => heard.push(input),
      md5Keys: new Map(),
      ends: [{ neighbour: 'n', local: HERE, remote: THERE, transport: { port } }],
      onTrouble: () => {},
    })
    const connectAndEnd = async () => {
      const accepted = once(server, 'connection') as Promise<[Socket]>
      tcp.connect('n', 'out', transport)
      const [socket] = await accepted
      close.push(() => socket.destroy())
      await until(() => heard.some(({ type }) => type === 'connected'))
      heard.length = 0
      tcp.send('n', 'out', new Uint8Array(19))
      tcp.close('n', 'out')
      return socket
    }
    const reader = await connectAndEnd()
    let isOver = false
    const stopped = tcp.stop(60_000).then(() => {
      isOver = true
    })
    reader.resume()
    await once(reader, 'end')
    expect(isOver).toBe(false)
    reader.end()
    await stopped
    await connectAndEnd()
    await tcp.stop(20)
  })

  it.each([
    ['plain', undefined, undefined],
    ['signed', 'a key', undefined],
    ['with TTL security', undefined, 1],
  ] as const)('%s: octets go both ways, each is told, and a close comes after what was sent', async (_, key, hops) => {
    const [a, b] = await pair([key, key], hops)
    a.tcp.connect('n', 'out-1', a.transport)
    await until(() => b.heard.some(({ type }) => type === 'incoming'))
    await until(() => a.heard.some(({ type }) => type === 'connected'))
    a.tcp.send('n', 'out-1', Uint8Array.of(1, 2, 3))
    await until(() => b.heard.some(({ type }) => type === 'bytes'))
    expect(b.heard.find(({ type }) => type === 'bytes')).toMatchObject({
      connection: 'in-1',
      bytes: Uint8Array.of(1, 2, 3),
    })
    b.tcp.send('n', 'in-1', new Uint8Array(100_000))
    b.tcp.close('n', 'in-1')
    await until(() => a.heard.at(-1)?.type === 'closed')
    const octets = a.heard.map((input) => (input.type === 'bytes' ? input.bytes.length : 0)).reduce((x, y) => x + y, 0)
    expect(octets).toBe(100_000)
    expect(a.heard.filter(({ type }) => type === 'sent')).toEqual([
      { type: 'sent', neighbour: 'n', connection: 'out-1', octets: 3 },
    ])
    // Whoever closed hears nothing more of it.
    expect(b.heard.some(({ type }) => type === 'closed')).toBe(false)
  })

  it('nobody else is let in, and the neighbour not while it is not welcome', async () => {
    const [a, b] = await pair([undefined, undefined])
    b.tcp.setWelcome('n', false)
    a.tcp.connect('n', 'out-1', a.transport)
    await until(() => a.heard.some(({ type }) => type === 'closed'))
    const stranger = openSocketFrom('127.0.0.3', THERE, a.transport.port)
    await once(stranger, 'close')
    expect(b.heard).toEqual([])
  })

  it('an address that is not ours is told, and the session hears of a connection that ended', async () => {
    const [a] = await pair([undefined, undefined])
    a.tcp.connect('n', 'out-1', { ...a.transport, local: address('192.0.2.77') })
    await until(() => a.heard.length > 0)
    expect(a.heard).toEqual([{ type: 'closed', neighbour: 'n', connection: 'out-1' }])
    expect(a.troubles).toMatchObject([{ name: 'SocketRefused', code: 'EADDRNOTAVAIL' }])
    expect(() => openSocket({ address: address('192.0.2.77'), port: 0 }, undefined, [])).toThrow(SocketRefused)
  })
})

describe('BFD', () => {
  it('a datagram is heard with a TTL of 255 only, and what we send has it', async () => {
    const heard: BfdDatagram[] = []
    const troubles: unknown[] = []
    const sockets = new BfdSockets({
      hear: (datagram) => heard.push({ ...datagram, bytes: Uint8Array.from(datagram.bytes) }),
      onTrouble: (error) => troubles.push(error),
    })
    sockets.listen([HERE, HERE])
    close.push(() => sockets.close())
    const far = createSocket('udp4')
    close.push(() => far.close())
    far.bind(0, '127.0.0.2')
    await once(far, 'listening')
    far.setTTL(254)
    const send = (byte: number) =>
      new Promise((resolve) => far.send(Uint8Array.of(byte), 3784, '127.0.0.1', () => resolve(undefined)))
    await send(1)
    far.setTTL(255)
    await send(2)
    await until(() => heard.length > 0)
    const from = { address: HERE, port: 49_152 + Math.floor((performance.now() * 7) % 16_000) }
    sockets.send({ kind: 'send', id: 'n', from, to: { address: HERE, port: 3784 }, bytes: Uint8Array.of(3) })
    await until(() => heard.length > 1)
    expect(heard.map(({ bytes }) => bytes[0])).toEqual([2, 3])
    expect(heard[1]).toMatchObject({ from, to: HERE, ttl: 255 })
    expect(troubles).toEqual([])
  })
})

function openSocketFrom(local: string, remote: string, port: number): Socket {
  const socket = connect({ host: remote, port, localAddress: local })
  socket.on('error', () => {})
  socket.resume()
  return socket
}
