import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Caller, emptyReport, proofOf } from '../testing/caller.ts'
import type { TestConnector } from '../testing/connector.ts'
import { makeNetwork, makePair, must, type TestNetwork } from '../testing/network.ts'
import { type ControlPlane, type NodeOptions, startControl } from './node.ts'
import { NodeLink, nodeCaller, type Running, startProcess } from './testing/node-world.ts'

const SILENT = { info() {}, warn() {}, error() {} }
let directory: string
let options: NodeOptions
const planes: ControlPlane[] = []
const processes: Running[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-control-'))
  options = { directory, host: '127.0.0.1', port: 0, log: SILENT, version: '1.2.3' }
})
afterEach(async () => {
  await Promise.all(planes.splice(0).map((plane) => plane.close()))
  await Promise.all(processes.splice(0).map((running) => running.kill()))
  rmSync(directory, { recursive: true, force: true })
})

async function start(more: Partial<NodeOptions> = {}): Promise<ControlPlane> {
  const plane = await startControl({ ...options, ...more })
  planes.push(plane)
  return plane
}

async function furnished() {
  const plane = await start()
  const caller = nodeCaller(() => plane.url, plane.adminToken!)
  const network = await makeNetwork(caller)
  const pair = await makePair(caller, network)
  while ((await pair.left.follow()) || (await pair.right.follow()));
  return { plane, caller, network, ...pair }
}

async function linked(url: string, caller: Caller, connector: TestConnector): Promise<NodeLink> {
  const link = await NodeLink.open(url, caller, connector.joined)
  link.send({ type: 'hello', protocol: 1, report: emptyReport(caller, connector.document.version) })
  await link.next('welcome')
  return link
}

async function movePrefix(network: TestNetwork, prefix: string): Promise<void> {
  const { items } = must(await network.ask('GET', '/sites'), 200).body
  const { id } = items.find(({ name }: { name: string }) => name === 'branch')
  const before = must(await network.ask('GET', `/sites/${id}`), 200)
  const { id: _, ...site } = before.body
  const headers = { 'if-match': before.headers.get('etag')! }
  must(await network.ask('PUT', `/sites/${id}`, { body: { ...site, prefixes: [prefix] }, headers }), 200)
}

describe('the first start', () => {
  test('makes a store and a key for their owner only, and gives the admin token once', async () => {
    const first = await start()
    expect(first.adminToken).toMatch(/^ist_admin_/)
    expect(statSync(join(directory, 'kek')).mode & 0o777).toBe(0o600)
    expect(statSync(join(directory, 'control.sqlite')).mode & 0o777).toBe(0o600)
    const key = readFileSync(join(directory, 'kek'), 'utf8')
    await first.close()
    expect((await start()).adminToken).toBeUndefined()
    expect(readFileSync(join(directory, 'kek'), 'utf8')).toBe(key)
  })

  test('a store that is in use is not opened with another key than its own', async () => {
    await (await start()).close()
    rmSync(join(directory, 'kek'))
    await expect(start()).rejects.toMatchObject({ name: 'StoreFailure', code: 'sealed' })
  })

  test('a port that is taken is told, and the store is free again', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    await expect(start({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    other.close()
    expect((await start()).url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  })
})

describe('links', () => {
  test('a change of a site reaches the connector of its peer', async () => {
    const { plane, caller, network, left } = await furnished()
    const link = await linked(plane.url, caller, left)
    expect(plane.links()).toBe(1)
    await movePrefix(network, '10.3.0.0/16')
    expect((await link.next('document')).document.tunnels[0]?.peer.prefixes).toEqual(['10.3.0.0/16'])
  })

  test('a connector that is revoked is cut off, and does not come back', async () => {
    const { plane, caller, network, left } = await furnished()
    const link = await linked(plane.url, caller, left)
    must(await network.ask('POST', `/connectors/${left.joined.connector}/revoke`), 200)
    expect((await link.next('bye')).code).toBe('revoked')
    await link.closed
    await expect.poll(() => plane.links()).toBe(0)
    await expect(NodeLink.open(plane.url, caller, left.joined)).rejects.toThrow(/401/)
  })

  test('of two links of one connector the later one stays', async () => {
    const { plane, caller, network, left } = await furnished()
    const first = await linked(plane.url, caller, left)
    const second = await linked(plane.url, caller, left)
    expect((await first.next('bye')).code).toBe('replaced')
    await first.closed
    await movePrefix(network, '10.4.0.0/16')
    await second.next('document')
    expect(plane.links()).toBe(1)
  })

  test('a link that the connector closes is gone', async () => {
    const { plane, caller, left, network } = await furnished()
    const link = await linked(plane.url, caller, left)
    link.socket.close()
    await link.closed
    await expect.poll(() => plane.links()).toBe(0)
    const shown = must(await network.ask('GET', `/connectors/${left.joined.connector}`), 200).body
    expect([shown.linked, shown.lastSeenAt]).toEqual([false, expect.any(Number)])
  })

  test.each([
    ['binary', (link: NodeLink) => link.socket.send(Buffer.from('{}'))],
    ['what is no message', (link: NodeLink) => link.socket.send('{')],
  ])('%s ends it with a reason', async (_, spoil) => {
    const { plane, caller, left } = await furnished()
    const link = await linked(plane.url, caller, left)
    spoil(link)
    expect((await link.next('bye')).code).toBe('protocol')
    await link.closed
  })

  test('a message beyond the limit ends it, and nothing else', async () => {
    const { plane, caller, left, right } = await furnished()
    const [link, other] = [await linked(plane.url, caller, left), await linked(plane.url, caller, right)]
    link.socket.send('x'.repeat((4 << 20) + 1))
    expect(await link.closed).toBe(1009)
    other.send({ type: 'report', report: emptyReport(caller, right.document.version) })
    expect(plane.links()).toBe(1)
  })
})

describe('an upgrade that is no link', () => {
  async function upgrade(url: string, path: string, headers: Record<string, string>) {
    const sent = request(url + path, { headers: { connection: 'upgrade', upgrade: 'websocket', ...headers } })
    const answered = new Promise<{ status: number; body: string }>((resolve, reject) => {
      sent.on('error', reject)
      sent.on('response', async (response) => {
        resolve({ status: response.statusCode!, body: Buffer.concat(await response.toArray()).toString() })
      })
    })
    sent.end()
    return answered
  }
  const key = { 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==', 'sec-websocket-version': '13' }

  test('without credentials, elsewhere, or by a token is answered with a problem document', async () => {
    const { plane, network } = await furnished()
    const ways: [string, Record<string, string>, number, string][] = [
      ['/v1/networks/x/link', key, 401, 'no-credentials'],
      ['/nowhere', key, 404, 'not-found'],
      [`${network.path}/link`, { ...key, authorization: `Bearer ${network.tokens.owner}` }, 403, 'forbidden'],
      [`${network.path}/sites`, key, 401, 'no-credentials'],
    ]
    for (const [path, headers, status, code] of ways) {
      const answer = await upgrade(plane.url, path, headers)
      expect([path, answer.status, JSON.parse(answer.body).code]).toEqual([path, status, code])
    }
    expect(plane.links()).toBe(0)
  })

  test('a good proof with a bad WebSocket handshake is refused, and holds nothing', async () => {
    const { plane, caller, left } = await furnished()
    const path = `/v1/networks/${left.joined.network}/link`
    const answer = await upgrade(plane.url, path, { authorization: await proofOf(caller, left.joined, 'GET', path) })
    expect(answer.status).toBe(400)
    expect(plane.links()).toBe(0)
  })

  test('bytes that are no HTTP do no harm', async () => {
    const { plane, caller } = await furnished()
    const { port } = new URL(plane.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET //\0 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nHost: %%\r\n\r\n')
    socket.resume()
    await once(socket, 'close')
    expect((await caller.request('GET', '/healthz')).status).toBe(200)
  })
})

describe('the address of a caller', () => {
  const headers = { 'x-forwarded-for': '203.0.113.9, 198.51.100.7' }
  async function seen(trustedProxies: string[]) {
    const plane = await start({ trustedProxies })
    const caller = nodeCaller(() => plane.url, plane.adminToken!)
    const network = await makeNetwork(caller)
    const forwarded: Caller = {
      ...caller,
      request: (method, path, given) =>
        caller.request(method, path, { ...given, headers: { ...given?.headers, ...headers } }),
    }
    await makePair(forwarded, network)
    const { items } = must(await network.ask('GET', '/connectors'), 200).body
    return items[0].seenAddress
  }

  test('is what a trusted proxy says', async () => {
    expect(await seen(['127.0.0.1'])).toBe('198.51.100.7')
  })

  test('is not what anybody says', async () => {
    expect(await seen([])).toBe('127.0.0.1')
  })
})

describe('the end', () => {
  test('tells every connector to come back, and leaves nothing open', async () => {
    const { plane, caller, left } = await furnished()
    const link = await linked(plane.url, caller, left)
    await plane.close()
    expect((await link.next('bye')).code).toBe('restart')
    await link.closed
    await expect(fetch(plane.url)).rejects.toThrow()
    await plane.close()
  })

  test('after kill -9 everything that was answered is there, a used proof is used, and links come back', async () => {
    const settings = { directory, host: '127.0.0.1', port: 0, version: '1.2.3' }
    let running = await startProcess(settings)
    processes.push(running)
    const caller = nodeCaller(() => running.url, running.adminToken!)
    const network = await makeNetwork(caller)
    const { left, right } = await makePair(caller, network)
    while ((await left.follow()) || (await right.follow()));
    const link = await linked(running.url, caller, left)
    const headers = { authorization: await proofOf(caller, left.joined, 'GET', `${left.path}/document`) }
    must(await caller.request('GET', `${left.path}/document`, { headers }), 200)
    await movePrefix(network, '10.7.0.0/16')
    await running.kill()
    await link.closed
    running = await startProcess(settings)
    processes.push(running)
    const again = await caller.request('GET', `${left.path}/document`, { headers })
    expect([again.status, again.body.code]).toEqual([401, 'proof-replayed'])
    const back = await linked(running.url, caller, left)
    expect((await back.next('document')).document.tunnels[0]?.peer.prefixes).toEqual(['10.7.0.0/16'])
    expect(must(await network.ask('GET', '/audit/verify'), 200).body.intact).toBe(true)
  })
})
