import { expect, test } from 'vitest'
import { type FromControl, fromControlSchema } from '../../protocol/control/link.ts'
import { StoreFailure } from '../store/failure.ts'
import { makeNetwork, makePair, must } from '../testing/network.ts'
import { createWorld, emptyReport } from '../testing/world.ts'
import { HeldLink } from './held-link.ts'
import { Links } from './links.ts'
import type { SavedSession } from './session.ts'

async function linkedWorld() {
  const world = await createWorld()
  const network = await makeNetwork(world)
  const { left, right } = await makePair(world, network)
  const open = async (saved?: SavedSession, seenAddress?: string) => {
    const heard: FromControl[] = []
    const socket = { closed: false }
    const kept: SavedSession[] = []
    const link = new HeldLink(
      world.services,
      { network: network.id, connector: left.joined.connector, ...(seenAddress === undefined ? {} : { seenAddress }) },
      {
        send: (text) => void heard.push(fromControlSchema.parse(JSON.parse(text))),
        close: () => {
          socket.closed = true
        },
      },
      saved,
      (now) => void kept.push(now),
    )
    const say = (message: object) => link.handle({ type: 'message', text: JSON.stringify(message) })
    const hello = (version = 0) => say({ type: 'hello', protocol: 1, report: emptyReport(world, version) })
    return { link, heard, socket, kept, say, hello }
  }
  return { world, network, left, right, open }
}

test('a hello is answered by a welcome and the document that the connector does not have', async () => {
  const { open, left } = await linkedWorld()
  const { heard, kept, hello } = await open()
  await hello()
  expect(heard.map(({ type }) => type)).toEqual(['welcome', 'document'])
  expect(heard[1]).toMatchObject({ document: { connector: left.joined.connector } })
  expect(kept.at(-1)).toMatchObject({ state: 'open' })
})

test('the address that the platform saw is stored with the report', async () => {
  const { open, network, left } = await linkedWorld()
  await (await open(undefined, '198.51.100.7')).hello()
  const answer = must(await network.ask('GET', `/connectors/${left.joined.connector}`), 200)
  expect(answer.body.seenAddress).toBe('198.51.100.7')
})

test('a connector that was revoked meanwhile is told so', async () => {
  const { open, network, left } = await linkedWorld()
  const { heard, socket, hello } = await open()
  must(await network.ask('POST', `/connectors/${left.joined.connector}/revoke`), 200)
  await hello()
  expect(heard).toMatchObject([{ type: 'bye', code: 'revoked' }])
  expect(socket.closed).toBe(true)
})

test('what can never be stored ends the link with the reason', async () => {
  const { open } = await linkedWorld()
  const { heard, hello } = await open()
  await hello(2 ** 50)
  expect(heard).toMatchObject([{ type: 'bye', code: 'protocol', detail: expect.stringContaining('version') }])
})

test('what cannot be stored now ends the link until later, and the log tells why', async () => {
  const { open, world } = await linkedWorld()
  const { heard, hello } = await open()
  world.services.reports.take = () => Promise.reject(new StoreFailure('full', 'no room', 'make room'))
  await hello()
  expect(heard).toMatchObject([{ type: 'bye', code: 'restart' }])
  expect(world.log.at(-1)).toMatchObject({ level: 'warn', message: 'a report was not taken' })
})

test('a document that cannot be read ends the link until later', async () => {
  const { open, world } = await linkedWorld()
  const { heard, link } = await open({ state: 'open', sent: 1 })
  world.services.documents.current = () => Promise.reject(new StoreFailure('busy', 'held', 'wait'))
  await link.handle({ type: 'changed' })
  expect(heard).toMatchObject([{ type: 'bye', code: 'restart' }])
})

test('events go into the log at once', async () => {
  const { open, world } = await linkedWorld()
  const { say } = await open({ state: 'open', sent: 1 })
  await say({ type: 'event', event: { at: 1, code: 'tunnel-down', message: 'the peer is silent' } })
  expect(world.log.at(-1)).toMatchObject({ message: 'event', fields: { code: 'tunnel-down' } })
})

test('a second link of a connector ends the first, which then cannot remove the second', async () => {
  const { open, left } = await linkedWorld()
  const links = new Links()
  const [first, second] = [await open(), await open(undefined, '198.51.100.9')]
  links.add(first.link)
  links.add(second.link)
  expect(first.heard).toMatchObject([
    { type: 'bye', code: 'replaced', detail: expect.stringContaining('198.51.100.9') },
  ])
  links.remove(first.link)
  expect(links.linked(left.joined.network, left.joined.connector)).toBe(true)
  links.remove(second.link)
  expect([links.size, links.linked(left.joined.network, left.joined.connector)]).toEqual([0, false])
})

test('a change reaches the links of its network and of the connectors that it concerns, and a revocation its own', async () => {
  const { open, left } = await linkedWorld()
  const links = new Links()
  const { link, heard } = await open({ state: 'open', sent: 0 })
  links.add(link)
  links.changed(left.joined.network, ['con_other'])
  links.changed('net_other', 'all')
  links.changed(left.joined.network, 'all')
  await expect.poll(() => heard.map(({ type }) => type)).toEqual(['document'])
  links.revoked(left.joined.network, left.joined.connector)
  expect(heard.at(-1)).toMatchObject({ type: 'bye', code: 'revoked' })
})
