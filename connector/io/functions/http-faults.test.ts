import type { ServerResponse } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { afterEach, describe, expect, it, test, vi } from 'vitest'
import { TIMEOUTS } from '../../core/functions/testing.ts'
import { ask } from './testing/http-client.ts'
import { codeOf, HttpWorld, http } from './testing/http-world.ts'

const house = new HttpWorld()
afterEach(() => house.close())

describe('services that misbehave', () => {
  test.each([
    ['is no HTTP', 'SSH-2.0-OpenSSH\r\n', 'bad-response'],
    ['has two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 'bad-response'],
    [
      'has a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      'bad-response',
    ],
    [
      'changes the protocol',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
      'connection-reset',
    ],
    ['has a head without end', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(100_000)}`, 'bad-response'],
    ['has a line break in a field', 'HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n', 'bad-response'],
    ['says nothing', '', 'connection-reset'],
  ])('an answer that %s is refused', async (_, text, code) => {
    const client = await house.open([http(await house.say(text))])
    const got = await codeOf(client, { method: 'POST' })
    // The parser may give such a connection up by itself.
    expect([code, 'connection-reset']).toContain(got)
  })

  test.each([
    ['breaks off', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', 'connection-reset'],
    [
      'breaks off between chunks',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
      'connection-reset',
    ],
    [
      'has a chunk that is none',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n',
      'bad-response',
    ],
  ])('an answer that %s in the middle says why', async (_, text, code) => {
    const client = await house.open([http(await house.say(text))])
    const { stream } = ask(client, {})
    expect(await stream.code()).toBe('ok')
    expect(await stream.untilReset(), JSON.stringify(stream.reset)).toBe(code)
    await vi.waitFor(() => expect(house.lastRecord()).toMatchObject({ outcome: code, status: 200 }))
  })

  it('are waited for as long as they, or the function, are given', async () => {
    const port = await house.serve(() => {})
    const client = await house.open([
      http(port, { timeouts: { ...TIMEOUTS, response: 150 } }),
      http(port, { name: 'slow', hosts: [] }),
    ])
    expect(await codeOf(client)).toBe('timed-out')
    expect(await codeOf(client, { host: 'slow', timeoutMs: 150 })).toBe('timed-out')
  })

  it('may be silent in the middle for so long', async () => {
    const port = await house.serve((_request, response) => void response.write('first'))
    const client = await house.open([http(port, { timeouts: { ...TIMEOUTS, idle: 150 } })])
    const { stream } = ask(client, {})
    expect(await stream.code()).toBe('ok')
    expect(await stream.untilReset()).toBe('idle-timeout')
  })

  it('refuse connections: that is told, and nothing was done', async () => {
    const client = await house.open([http(1)])
    expect(await codeOf(client)).toBe('connect-refused')
    expect(house.lastRecord()).toMatchObject({ outcome: 'connect-refused', service: 'erp' })
  })

  it('close a connection just when it is used again: a safe request is made once more, another is not', async () => {
    const methods: string[] = []
    // Closes each connection at its second request.
    const port = await house.listen(
      createTcpServer((socket) => {
        let requests = 0
        socket.on('error', () => {})
        socket.on('data', (chunk) => {
          methods.push(String(chunk).split(' ')[0]!)
          if (++requests > 1) socket.resetAndDestroy()
          else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        })
      }),
    )
    const client = await house.open([http(port, { maxConnections: 1 })])
    expect(await codeOf(client)).toBe('ok')
    expect(await codeOf(client)).toBe('ok')
    expect(methods).toEqual(['GET', 'GET', 'GET'])
    expect(await codeOf(client, { method: 'POST' })).toBe('connection-reset')
    expect(methods.filter((method) => method === 'POST')).toHaveLength(1)
  })

  it('are not asked for more at once than they take', async () => {
    let most = 0
    let open_ = 0
    const pending: ServerResponse[] = []
    const port = await house.serve((_request, response) => {
      most = Math.max(most, ++open_)
      response.on('close', () => open_--)
      pending.push(response)
    })
    const client = await house.open([http(port, { maxConnections: 2 })])
    const requests = Array.from({ length: 5 }, () => codeOf(client))
    await vi.waitFor(() => expect(pending).toHaveLength(2))
    const last = await requests[4]
    expect(last).toBe('overloaded')
    const timer = setInterval(() => pending.splice(0).forEach((response) => void response.end('x')), 5)
    expect(await Promise.all(requests.slice(0, 4))).toEqual(['ok', 'ok', 'ok', 'ok'])
    clearInterval(timer)
    expect(most).toBe(2)
  })
})
