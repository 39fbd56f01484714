import { afterEach, describe, expect, it, test, vi } from 'vitest'
import { answerOf, ask, decode } from './testing/http-client.ts'
import { get, HttpWorld, http } from './testing/http-world.ts'

const house = new HttpWorld()
afterEach(() => house.close())

describe('answers', () => {
  it('come as the service sent them: status, fields, content as it is encoded, trailers', async () => {
    const port = await house.serve((_request, response) => {
      response.writeHead(203, [
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
        ['Content-Encoding', 'gzip'],
        ['Trailer', 'X-Sum'],
        ['Connection', 'x-hop'],
        ['X-Hop', 'dropped'],
      ] as unknown as string[])
      response.write('not really gzip')
      response.addTrailers({ 'X-Sum': '15' })
      response.end()
    })
    const client = await house.open([http(port)])
    const got = await get(client)
    expect(got.status).toBe(203)
    expect(got.fields.filter(([name]) => name === 'set-cookie').map(([, value]) => value)).toEqual(['a=1', 'b=2'])
    expect(got.field('content-encoding')).toBe('gzip')
    expect(String(got.body)).toBe('not really gzip')
    expect(got.trailers).toEqual([['x-sum', '15']])
    for (const name of ['connection', 'x-hop', 'transfer-encoding', 'keep-alive']) {
      expect(got.field(name)).toBeUndefined()
    }
  })

  it('follow no redirect', async () => {
    const port = await house.serve((_request, response) => response.writeHead(302, { location: 'http://hr/' }).end())
    const got = await get(await house.open([http(port)]))
    expect([got.status, got.field('location')]).toEqual([302, 'http://hr/'])
  })

  it('pass informational ones on', async () => {
    const port = await house.serve((_request, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' })
      response.writeProcessing()
      response.end('ok')
    })
    const got = await get(await house.open([http(port)]))
    expect(got.informational.map(({ status }) => status)).toEqual([103, 102])
    expect([got.status, String(got.body)]).toEqual([200, 'ok'])
  })

  test.each([
    ['HEAD', 200, '11'],
    ['GET', 304, '11'],
    ['GET', 204, undefined],
  ])('%s with %i has no content, whatever its length says', async (method, status, length) => {
    const port = await house.serve((_request, response) => {
      response.writeHead(status, length === undefined ? {} : { 'content-length': length }).end()
    })
    const got = await get(await house.open([http(port)]), { method })
    expect([got.status, got.body.length, got.field('content-length')]).toEqual([status, 0, length])
  })

  it('stream: the first bytes are there before the last are made', async () => {
    let finish = () => {}
    const port = await house.serve((_request, response) => {
      response.write('first')
      finish = () => response.end(' last')
    })
    const client = await house.open([http(port)])
    const { stream } = ask(client, {})
    await stream.until(() => stream.length > 0 && String(stream.received).includes('first'))
    finish()
    expect(String(decode(await stream.all()).body)).toBe('first last')
  })

  it('may come before the request is whole', async () => {
    const port = await house.serve((_request, response) => response.writeHead(413).end('too much'))
    const client = await house.open([http(port)])
    const request = ask(client, { body: 'open' })
    request.write(new Uint8Array(100_000))
    const got = await answerOf(request)
    expect([got.status, String(got.body)]).toEqual([413, 'too much'])
    await vi.waitFor(() => expect(house.world.serving.admission.held).toBe(0))
  })

  it('hold the service back where the function does not read', async () => {
    let written = 0
    const size = 64 << 20
    const port = await house.serve((_request, response) => {
      const chunk = Buffer.alloc(1 << 16)
      const more = () => {
        while (written < size) {
          written += chunk.length
          if (!response.write(chunk)) return
        }
        response.end()
      }
      response.on('drain', more)
      more()
    })
    const client = await house.open([http(port)])
    const { stream } = ask(client, {})
    stream.slow = true
    await stream.bytes(200 << 10)
    let before = -1
    await vi.waitFor(
      () => {
        const stuck = before === written
        before = written
        expect(stuck).toBe(true)
      },
      { interval: 200 },
    )
    expect(written).toBeLessThan(size)
    expect(house.world.serving.admission.held).toBeLessThan(1 << 20)
    stream.consume()
    expect(decode(await stream.all()).body.length).toBe(size)
  })

  it('hold the function back where the service does not read', async () => {
    const size = 16 << 20
    let got = 0
    let release = () => {}
    const port = await house.serve((request, response) => {
      release = () => {
        request.on('data', (chunk: Buffer) => {
          got += chunk.length
        })
        request.on('end', () => response.end(String(got)))
      }
    })
    const client = await house.open([http(port)])
    const request = ask(client, { body: 'open' })
    let sent = 0
    const chunk = new Uint8Array(1 << 16)
    const writing = (async () => {
      while (sent < size) {
        await request.stream.room()
        request.write(chunk)
        sent += chunk.length
      }
      request.end()
    })()
    let before = -1
    await vi.waitFor(
      () => {
        const stuck = before === sent && sent > 0
        before = sent
        expect(stuck).toBe(true)
      },
      { interval: 200 },
    )
    expect(house.world.serving.admission.held).toBeLessThanOrEqual((4 << 20) + (1 << 18))
    release()
    await writing
    expect(String((await answerOf(request)).body)).toBe(String(size))
    await vi.waitFor(() => expect(house.world.serving.admission.held).toBe(0))
  })
})
