import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Authority, makeAuthority, skipWithoutOpenssl } from './testing/certificates.ts'
import { TcpWorld, tcp } from './testing/tcp-world.ts'

const house = new TcpWorld()
afterEach(() => house.close())

let authority: Authority

describe.skipIf(skipWithoutOpenssl('TLS to services'))('TLS', () => {
  beforeAll(() => {
    authority = makeAuthority()
  })
  afterAll(() => authority.remove())

  const echo = (socket: Socket) => socket.on('data', (chunk) => socket.write(chunk)).on('end', () => socket.end())

  it('is spoken by the connector where the function asks, with the CA of the service', async () => {
    const port = await house.serve(echo, authority.issue('DNS:db.corp'))
    await house.open([tcp(port, { tls: { ca: authority.ca, serverName: 'db.corp' } })])
    const { stream: it } = house.stream(port, { tls: true })
    it.write('ping')
    it.finish()
    expect(String(await it.all())).toBe('ping')
  })

  it.each([
    ['an unknown CA', { serverName: 'db.corp' }],
    ['another name', { serverName: 'other.corp' }],
    ['an address that it is not for', {}],
  ])('is refused with %s', async (_, tls) => {
    const port = await house.serve(echo, authority.issue('DNS:db.corp'))
    const ca = _ === 'an unknown CA' ? {} : { ca: authority.ca }
    await house.open([tcp(port, { tls: { ...tls, ...ca } })])
    const { stream: it } = house.stream(port, { tls: true })
    const answer = await it.answer()
    expect(answer).toMatchObject({ ok: false, problem: { code: 'tls-failed' } })
    expect(JSON.stringify(answer)).not.toMatch(/db\.corp|127\.0/)
  })

  it.each([
    ['has answered', 'S'],
    ['needs no answer', ''],
  ])(
    'begins on a stream that is open, when its last bytes in the clear have gone out; the service %s',
    async (_, say) => {
      const issued = authority.issue('DNS:db.corp')
      const clear: string[] = []
      const port = await house.serve((socket) => {
        socket.on('data', (chunk: Buffer) => {
          const missing = 8 - clear.join('').length
          clear.push(String(chunk.subarray(0, missing)))
          if (chunk.length < missing) return
          socket.removeAllListeners('data').pause()
          socket.unshift(chunk.subarray(missing))
          if (say !== '') socket.write(say)
          const secure = new TLSSocket(socket, { isServer: true, cert: issued.certificate, key: issued.key })
          echo(secure.on('error', () => {}))
        })
      })
      await house.open([tcp(port, { tls: { ca: authority.ca } })])
      const { client, stream: before } = house.stream(port)
      before.write('REQ')
      if (say !== '') before.write('STTLS')
      await before.bytes(say.length)
      const after = client.open({ kind: 'start-tls', of: before.id, after: 8, serverName: 'db.corp' })
      if (say === '') before.write('STTLS')
      expect(await after.code()).toBe('ok')
      expect(String(await before.all())).toBe(say)
      before.finish()
      after.write('secret')
      after.finish()
      expect(String(await after.all())).toBe('secret')
      expect(clear.join('')).toBe('REQSTTLS')
      await vi.waitFor(() =>
        expect(house.world.records.records.map(({ kind, outcome }) => [kind, outcome])).toEqual([
          ['tcp', 'ok'],
          ['start-tls', 'ok'],
        ]),
      )
      expect(house.lastRecord()).toMatchObject({ service: 'db', host: 'db', port })
      expect(house.world.serving.places.taken('db')).toBe(0)
    },
  )

  it('does not begin on what is not there, twice, or behind more than was said', async () => {
    const port = await house.serve(() => {})
    await house.open([tcp(port)])
    const { client, stream: it } = house.stream(port)
    const begin = (of: number, after: number) => client.open({ kind: 'start-tls', of, after })
    await it.answer()
    expect(await begin(99, 0).code()).toBe('bad-request')
    it.write('12345')
    const first = begin(it.id, 10)
    const second = begin(it.id, 10)
    expect(await second.code()).toBe('bad-request')
    it.write('6789012')
    expect(await first.code()).toBe('bad-request')
    expect(await it.untilReset()).toBe('bad-request')
  })
})
