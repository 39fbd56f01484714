import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { prefix } from '../../../protocol/net.ts'
import { networkService } from '../../core/functions/testing.ts'
import { type Authority, type Issued, makeAuthority, skipWithoutOpenssl } from './testing/certificates.ts'
import { codeOf, HttpWorld, http, mirror, mirrored } from './testing/http-world.ts'

const house = new HttpWorld()
afterEach(() => house.close())

let authority: Authority
let issued: Issued

describe.skipIf(skipWithoutOpenssl('HTTPS to services'))('connections', () => {
  beforeAll(() => {
    authority = makeAuthority()
    issued = authority.issue('DNS:erp.corp,IP:127.0.0.1')
  })
  afterAll(() => authority.remove())

  it('are kept, and shared by functions and names of the service', async () => {
    const sockets = new Set<Socket>()
    const port = await house.serve((request, response) => {
      sockets.add(request.socket)
      response.end()
    })
    const client = await house.open([http(port)])
    for (const host of ['erp', 'erp.internal', 'erp.corp.example', 'erp'])
      expect(await codeOf(client, { host })).toBe('ok')
    expect(await codeOf(house.world.call({}))).toBe('ok')
    expect(sockets.size).toBe(1)
  })

  it('stand ready before anybody asks, TLS done, and are replaced when they are used or closed', async () => {
    const secured: Socket[] = []
    const server = createTlsServer({ cert: issued.certificate, key: issued.key }, (_request, response) =>
      response.end('x'),
    )
    server.on('secureConnection', (socket: Socket) => secured.push(socket))
    const port = await house.listen(server)
    const service = http(port, { kind: 'https', warm: 1, tls: { ca: authority.ca } })
    const client = await house.open([service])
    await vi.waitFor(() => expect(house.world.serving.pools.ready('erp')).toBe(1))
    expect(secured).toHaveLength(1)
    expect(await codeOf(client)).toBe('ok')
    // The one that was ready was used, another one stands ready.
    await vi.waitFor(() => expect(secured).toHaveLength(2))
    await vi.waitFor(() => expect(house.world.serving.pools.ready('erp')).toBe(1))
    secured[1]!.destroy()
    await vi.waitFor(() => expect(house.world.serving.pools.ready('erp')).toBe(0))
    await vi.waitFor(() => expect(house.world.serving.pools.ready('erp')).toBe(1), { timeout: 5000 })
  })

  it('present our certificate where the service asks for one, and refuse its own where it does not fit', async () => {
    const names: string[] = []
    const options = {
      cert: issued.certificate,
      key: issued.key,
      ca: authority.ca,
      requestCert: true,
      rejectUnauthorized: true,
    }
    const server = createTlsServer(options, (request, response) => {
      names.push((request.socket as import('node:tls').TLSSocket).getPeerCertificate().subject.CN as string)
      response.end()
    })
    const port = await house.listen(server)
    const own = authority.issue('DNS:connector')
    const tls = { ca: authority.ca, certificate: own.certificate, key: own.key }
    const client = await house.open([
      http(port, { kind: 'https', tls }),
      http(port, { name: 'nobody', kind: 'https', hosts: [], tls: { ca: authority.ca } }),
      http(port, { name: 'stranger', kind: 'https', hosts: [], tls: {} }),
      http(port, { name: 'other', kind: 'https', hosts: [], tls: { ...tls, serverName: 'else.corp' } }),
    ])
    expect(await codeOf(client, { scheme: 'https', port: 443 })).toBe('ok')
    expect(names).toHaveLength(1)
    expect(await codeOf(client, { host: 'stranger' })).toBe('tls-failed')
    expect(await codeOf(client, { host: 'other' })).toBe('tls-failed')
    expect(['tls-failed', 'connection-reset']).toContain(await codeOf(client, { host: 'nobody' }))
  })

  it('reach hosts of networks, those with https too, and belong to those who may', async () => {
    const server = createTlsServer({ cert: issued.certificate, key: issued.key }, mirror)
    const securePort = await house.listen(server)
    const port = await house.serve(mirror)
    const lan = networkService({
      networks: [prefix('127.0.0.1/32')],
      ports: [{ start: Math.min(port, securePort), end: Math.max(port, securePort) }],
      tls: { ca: authority.ca },
    })
    const client = await house.open([lan], { lookup: async () => ['127.0.0.1'] })
    const plain = await mirrored(client, { host: '127.0.0.1', port, authority: `127.0.0.1:${port}` })
    expect(plain.headers.get('host')).toEqual([`127.0.0.1:${port}`])
    const secure = await mirrored(client, {
      host: 'erp.corp',
      port: securePort,
      scheme: 'https',
      authority: `erp.corp:${securePort}`,
    })
    expect(secure.headers.get('host')).toEqual([`erp.corp:${securePort}`])
    const stranger = house.world.call({ claims: { name: 'stranger' } })
    expect(await codeOf(stranger, { host: '127.0.0.1', port, authority: `127.0.0.1:${port}` })).toBe(
      'service-not-allowed',
    )
  })
})
