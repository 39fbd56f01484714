import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { Server, Socket } from 'node:net'
import { afterEach, describe, expect, it, test, vi } from 'vitest'
import WebSocket from 'ws'
import { toBase64url } from '../../../protocol/control/base64url.ts'
import type { TargetService } from '../../core/functions/plan.ts'
import { closeReason } from './close.ts'
import { readOffer, STREAM_PROTOCOL } from './listener.ts'
import { HANDSHAKE_MS } from './session.ts'
import { makeAuthority, skipWithoutOpenssl } from './testing/certificates.ts'
import { closeServers, openGreeting } from './testing/greeting.ts'
import { crypto, type World, type WorldOptions } from './testing/world.ts'

let world: World
const servers: Server[] = []

afterEach(async () => {
  await world?.close()
  closeServers(servers)
})

let heard: string[]
let sockets: Socket[]
async function open(more: Partial<WorldOptions> = {}, changes: Partial<TargetService> = {}): Promise<number> {
  const opened = await openGreeting(servers, more, changes)
  ;({ world, heard, sockets } = opened)
  return opened.port
}

const db = (port: number) => ({ kind: 'tcp', host: 'db', port }) as const
const counts = () => world.serving.handshakes.counts
const codeOf = ({ reason }: { reason: string }) => (JSON.parse(reason) as { code: string }).code

describe('handshakes', () => {
  it('take what goes with the first flight, in the upgrade and as a message', async () => {
    const port = await open()
    for (const asMessage of [false, true]) {
      let stream: ReturnType<ReturnType<World['call']>['open']> | undefined
      const client = world.call({
        asMessage,
        early: (it) => {
          stream = it.open(db(port))
          stream.write('early')
        },
      })
      expect(await client.established).toMatchObject({ early: true, resumed: false })
      expect(String(await stream!.bytes(5))).toBe('hello')
    }
    expect(heard).toEqual(['early', 'early'])
    await vi.waitFor(() => expect(counts()).toEqual({ established: 2 }))
    expect(world.serving.admission.handshakes).toBe(0)
  })

  it('are resumed with a ticket, once', async () => {
    const port = await open()
    const first = world.call()
    await first.established
    expect(first.tickets).toHaveLength(2)
    const [ticket] = first.tickets
    const copy = { ...ticket!, secret: ticket!.secret.slice() }
    let stream: ReturnType<ReturnType<World['call']>['open']> | undefined
    const second = world.call({
      ticket: ticket!,
      early: (it) => {
        stream = it.open(db(port))
        stream.write('x')
      },
    })
    expect(await second.established).toMatchObject({ early: true, resumed: true })
    expect(await stream!.code()).toBe('ok')
    const again = world.call({ ticket: copy })
    const closed = await again.closed
    expect([closed.code, codeOf(closed)]).toEqual([4401, 'key-changed'])
    await vi.waitFor(() => expect(counts()).toEqual({ established: 1, resumed: 1, 'other-key': 1 }))
  })

  it('have no side effect twice when a first flight is sent again', async () => {
    const port = await open()
    const client = world.call({
      early: (it) => it.open(db(port)).write('charge the card'),
    })
    await client.established
    await vi.waitFor(() => expect(heard).toEqual(['charge the card']))
    const [flight] = client.flights
    const replays = Array.from({ length: 5 }, () => {
      return new WebSocket(world.url, [STREAM_PROTOCOL, `f.${toBase64url(flight!)}`])
    })
    await Promise.all(replays.map((socket) => once(socket, 'message')))
    // They stand, and come to nothing: nobody has the keys.
    await vi.waitFor(() => expect(world.serving.admission.handshakes).toBe(5))
    world.serving.look(performance.now() + HANDSHAKE_MS)
    await Promise.all(replays.map((socket) => once(socket, 'close')))
    expect(heard).toEqual(['charge the card'])
    expect(sockets).toHaveLength(1)
    expect(counts()).toMatchObject({ established: 1, timeout: 5 })
  })

  it('take no early data of a clock that is wrong; it comes again under fresh keys', async () => {
    const port = await open()
    for (const aheadMs of [-120_000, 60_000]) {
      let stream: ReturnType<ReturnType<World['call']>['open']> | undefined
      const early = (it: ReturnType<World['call']>) => {
        stream = it.open(db(port))
        stream.write('once')
      }
      const client = world.call({ aheadMs, early })
      expect(await client.established).toMatchObject({ early: false })
      expect(await stream!.code()).toBe('ok')
    }
    await vi.waitFor(() => expect(heard).toEqual(['once', 'once']))
  })

  it('take early data again after the clock of the control plane was set, and none from before', async () => {
    const port = await open()
    const early = (it: ReturnType<World['call']>) => {
      it.open(db(port)).write('x')
    }
    const first = world.call({ early })
    expect(await first.established).toMatchObject({ early: true })
    world.clockMs -= 3_600_000
    // Its memory is of times to come: nothing is taken early until it has begun anew.
    expect(await world.call({ early }).established).toMatchObject({ early: false })
    world.serving.look(performance.now())
    expect(await world.call({ early }).established).toMatchObject({ early: false })
    world.clockMs += 900
    await vi.waitFor(async () => expect(await world.call({ early }).established).toMatchObject({ early: true }), {
      timeout: 10_000,
      interval: 200,
    })
  })

  test.each([
    ['expired', { iat: 0, exp: 600_000 }, 'token-expired'],
    ['of another network', { network: 'net_11111111111111111111' }, 'token-refused'],
    ['for another site', { site: 'branch' }, 'token-refused'],
    ['for another key', { key: 'A'.repeat(43) }, 'token-refused'],
  ])('with a token that is %s are refused, and nothing of them is done', async (_, claims, code) => {
    const port = await open()
    const client = world.call({ claims, early: (it) => it.open(db(port)) })
    await client.closed
    expect(client.ended?.code).toBe(code)
    expect(sockets).toHaveLength(0)
    expect(counts()).toEqual({ refused: 1 })
    expect(world.serving.admission).toMatchObject({ sessions: 0, handshakes: 0, streams: 0 })
    const [warning] = world.events.filter(({ type }) => type === 'warning')
    expect(warning).toMatchObject({ code: 'handshake-refused' })
    expect(JSON.stringify(world.events)).not.toContain('eyJ')
  })

  it('for another key of the connector are told so', async () => {
    await open()
    const closed = await world.call({ responderKey: crypto.generateKeyPair().publicKey }).closed
    expect([closed.code, codeOf(closed)]).toEqual([4401, 'key-changed'])
  })

  test.each([
    ['nothing', new Uint8Array(0)],
    ['one octet', Uint8Array.of(1)],
    ['an unknown kind', Uint8Array.of(9, 9, 9)],
    ['a short flight', new Uint8Array(40).fill(1)],
    ['a ticket that is none', new Uint8Array(100).fill(2)],
    ['noise', new Uint8Array(2000).fill(1)],
  ])('that begin with %s come to nothing', async (_, flight) => {
    await open()
    const socket = new WebSocket(world.url, [STREAM_PROTOCOL])
    await once(socket, 'open')
    socket.send(flight)
    const [code] = await once(socket, 'close')
    expect([4400, 4401]).toContain(code)
    expect(world.serving.sessions.size).toBe(0)
    expect(world.serving.admission.handshakes).toBe(0)
  })

  it('have ten seconds', async () => {
    await open()
    const socket = new WebSocket(world.url, [STREAM_PROTOCOL])
    await once(socket, 'open')
    await vi.waitFor(() => expect(world.serving.sessions.size).toBe(1))
    world.serving.look(performance.now() + HANDSHAKE_MS - 1000)
    expect(world.serving.sessions.size).toBe(1)
    world.serving.look(performance.now() + HANDSHAKE_MS)
    expect((await once(socket, 'close'))[0]).toBe(4408)
    expect(counts()).toEqual({ timeout: 1 })
  })

  it('by the hundred hold no more than so many places, and leave room when they are gone', async () => {
    await open({ limits: { handshakes: 8 } })
    const sockets = Array.from({ length: 200 }, () => new WebSocket(world.url, [STREAM_PROTOCOL]))
    let refused = 0
    for (const socket of sockets) {
      socket
        .on('error', () => {})
        .on('close', (code) => {
          if (code === 4429) refused++
        })
    }
    await vi.waitFor(() => expect(refused).toBe(192))
    expect(world.serving.admission.handshakes).toBe(8)
    expect(world.serving.admission.shed).toEqual({ handshakes: 192 })
    // Of all of them there is one line in the log.
    expect(world.events.filter(({ type }) => type === 'warning')).toHaveLength(1)
    for (const socket of sockets) socket.terminate()
    await vi.waitFor(() => expect(world.serving.admission.handshakes).toBe(0))
    await world.call().established
  })

  it('leave room for other functions', async () => {
    await open({ limits: { sessionsPerFunction: 2, sessions: 3 } })
    const other = { function: 'fn_11111111111111111111', name: 'invoices' }
    await world.call().established
    const second = world.call()
    await second.established
    const third = world.call()
    await third.closed
    expect(third.ended?.code).toBe('overloaded')
    await world.call({ claims: other }).established
    second.vanish()
    await vi.waitFor(() => expect(world.serving.admission.sessions).toBe(2))
    await world.call().established
    expect(counts()).toMatchObject({ shed: 1 })
  })
})

describe('the listener', () => {
  it('takes WebSockets of functions and nothing else', async () => {
    await open()
    const { port } = new URL(world.url)
    const status = (headers: Record<string, string>) =>
      new Promise((resolve, reject) => {
        const request = httpRequest({ port, headers }, (response) => {
          response.resume()
          resolve(response.statusCode)
        })
        request.on('error', reject).end()
      })
    expect(await status({})).toBe(426)
    const upgrade = {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      'sec-websocket-version': '13',
    }
    expect(await status(upgrade)).toBe(400)
    expect(await status({ ...upgrade, 'sec-websocket-protocol': 'chat' })).toBe(400)
    expect(await status({ ...upgrade, 'sec-websocket-protocol': `${STREAM_PROTOCOL}, f.***` })).toBe(400)
    expect(world.serving.admission.handshakes).toBe(0)
  })

  it('reads the offer of a function', () => {
    expect(readOffer(undefined)).toBeUndefined()
    expect(readOffer(`${STREAM_PROTOCOL}`)).toEqual({ firstFlight: undefined })
    expect(readOffer(`${STREAM_PROTOCOL},f.AQI, t.a.b.c`)).toEqual({ firstFlight: Uint8Array.of(1, 2) })
    expect(readOffer(`${STREAM_PROTOCOL}, f.AQI, f.AQI`)).toBeUndefined()
    expect(readOffer(`${STREAM_PROTOCOL}, f.`)).toBeUndefined()
    expect(readOffer(`${STREAM_PROTOCOL}, f.${'A'.repeat(8004)}`)).toBeUndefined()
  })

  it.skipIf(skipWithoutOpenssl('TLS of the listener'))('speaks TLS with a certificate', async () => {
    const authority = makeAuthority()
    const port = await open({ tls: authority.issue('IP:127.0.0.1') })
    authority.remove()
    expect(await world.call().open(db(port)).code()).toBe('ok')
  })

  it('says why in as many bytes as a close has', () => {
    const reason = closeReason({ code: 'connect-refused', cause: 'ü€😀'.repeat(60) })
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123)
    expect(JSON.parse(reason)).toMatchObject({ code: 'connect-refused' })
    expect(reason).not.toContain('\ufffd')
  })
})
