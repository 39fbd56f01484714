import { afterEach, describe, expect, it, test, vi } from 'vitest'
import { answerOf, ask } from './testing/http-client.ts'
import { codeOf, HttpWorld, http, mirror, mirrored } from './testing/http-world.ts'

const house = new HttpWorld()
afterEach(() => house.close())

describe('requests', () => {
  it('are made as the function wrote them', async () => {
    const client = await house.open([http(await house.serve(mirror))])
    const fields = [
      ['accept', 'application/json'],
      ['x-two', 'a'],
      ['x-two', 'b'],
    ] as const
    const got = await mirrored(client, { path: '/orders/42?full=1', fields, authority: 'ERP:80' })
    expect(got).toMatchObject({ method: 'GET', url: '/orders/42?full=1', body: '' })
    expect(got.headers.get('host')).toEqual(['ERP:80'])
    expect(got.headers.get('x-two')).toEqual(['a', 'b'])
    expect(got.headers.has('content-length')).toBe(false)
    expect(got.headers.has('transfer-encoding')).toBe(false)
    await vi.waitFor(() =>
      expect(house.lastRecord()).toMatchObject({
        kind: 'http',
        service: 'erp',
        request: 'GET /orders/42',
        status: 200,
        outcome: 'ok',
      }),
    )
    expect(JSON.stringify(house.lastRecord())).not.toContain('full=1')
  })

  it('have a length where it is known, chunks where it is not, and one of the two in any case', async () => {
    const client = await house.open([http(await house.serve(mirror))])
    const whole = await mirrored(client, { body: 'all of it' })
    expect(whole).toMatchObject({ method: 'POST', body: 'all of it' })
    expect(whole.headers.get('content-length')).toEqual(['9'])
    expect(whole.headers.has('transfer-encoding')).toBe(false)

    const said = await mirrored(client, { method: 'PUT', body: 'nine char', fields: [['content-length', '9']] })
    expect(said.headers.get('content-length')).toEqual(['9'])

    const none = await mirrored(client, { method: 'POST' })
    expect(none.headers.get('content-length')).toEqual(['0'])

    const streamed = ask(client, { body: 'open' })
    streamed.write(Buffer.from('first '))
    await vi.waitFor(() => expect(house.world.serving.admission.streams).toBe(1))
    await new Promise((resolve) => setImmediate(resolve))
    streamed.write(Buffer.from('second'))
    streamed.end()
    const got = JSON.parse(String((await answerOf(streamed)).body))
    expect(got.body).toBe('first second')
  })

  it('never pass on what belongs to a connection, or what the site sets itself', async () => {
    const service = http(await house.serve(mirror), {
      headers: [
        ['x-api-key', 'of the site'],
        ['x-more', 'too'],
      ],
      hostHeader: 'erp.corp:8443',
    })
    const client = await house.open([service])
    const got = await mirrored(client, {
      fields: [
        ['x-api-key', 'of the function'],
        ['te', 'trailers'],
        ['expect', '100-continue'],
        ['proxy-authorization', 'Basic eDp5'],
        ['authorization', 'Bearer function'],
        ['x-keep', 'this'],
      ],
    })
    expect(got.headers.get('x-api-key')).toEqual(['of the site'])
    expect(got.headers.get('x-more')).toEqual(['too'])
    expect(got.headers.get('host')).toEqual(['erp.corp:8443'])
    expect(got.headers.get('authorization')).toEqual(['Bearer function'])
    expect(got.headers.get('x-keep')).toEqual(['this'])
    for (const name of ['te', 'expect', 'proxy-authorization']) expect(got.headers.has(name)).toBe(false)
  })

  test.each([
    ['another host in the URL than in the stream', { authority: 'hr.internal' }],
    ['another port', { authority: 'erp:8001' }],
    ['a host field that differs', { authority: '', fields: [['host', 'hr.internal']] as const }],
    ['another scheme', { scheme: 'ftp' }],
    ['TRACE', { method: 'TRACE' }],
    ['OPTIONS of the server', { method: 'OPTIONS', path: '*' }],
  ])('with %s are refused, and nobody is asked', async (_, asking) => {
    let asked = 0
    const port = await house.serve((request, response) => {
      asked++
      mirror(request, response)
    })
    const client = await house.open([http(port)])
    expect(await codeOf(client, asking)).toBe('bad-request')
    expect(asked).toBe(0)
  })

  it('that are malformed are refused, in every piece of them', async () => {
    let asked = 0
    const port = await house.serve((_request, response) => {
      asked++
      response.end()
    })
    const client = await house.open([http(port)])
    for (const octets of [[0x07], [0x02, 0x00], [0x02, 0x03, 0x47, 0x45, 0x0a], [0x01], [0xff, 0xff]]) {
      const stream = client.open({ kind: 'http', host: 'erp', port: 80 })
      stream.write(Uint8Array.from(octets))
      stream.finish()
      expect(await stream.code()).toBe('bad-request')
    }
    expect(asked).toBe(0)
  })

  it('whose content breaks off or differs from its length reach no orderly end', async () => {
    const ends: string[] = []
    const port = await house.serve((request, response) => {
      request.resume()
      request.on('end', () => {
        ends.push('end')
        response.end()
      })
      request.on('error', () => ends.push('error'))
    })
    const client = await house.open([http(port)])
    const broken = ask(client, { body: 'open' })
    broken.write(Buffer.from('half'))
    broken.stream.finish()
    expect(await broken.stream.code()).toBe('bad-request')
    const short = ask(client, { body: 'open', fields: [['content-length', '10']] })
    short.write(Buffer.from('half'))
    await vi.waitFor(() => expect(ends.length).toBeGreaterThanOrEqual(0))
    short.stream.finish()
    expect(await short.stream.code()).toBe('bad-request')
    expect(ends).not.toContain('end')
  })

  it('end when the function gives up, and the service notices', async () => {
    const [asked, closed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const port = await house.serve((request, response) => {
      asked.resolve()
      response.on('close', () => closed.resolve())
      request.resume()
    })
    const client = await house.open([http(port)])
    const request = ask(client, {})
    await asked.promise
    request.stream.abort()
    await closed.promise
    await vi.waitFor(() => expect(house.lastRecord()?.outcome).toBe('reset'))
    expect(house.world.serving.admission).toMatchObject({ streams: 0, held: 0 })
  })
})
