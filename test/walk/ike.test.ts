/** The walk of docs/map.md: how IKE messages become an installed SA, between two endpoints. To be read. */
import { expect, test } from 'vitest'
import { Pair } from '../../connector/core/ike/testing/pair.ts'
import { decodeHeader, isDecodeError } from '../../connector/core/ike/wire/codec.ts'
import { EXCHANGE } from '../../connector/core/ike/wire/constants.ts'
import { nodeCrypto } from '../../connector/io/crypto-node.ts'

test('four messages make an IKE SA and a Child SA, installed before the peer can use it', () => {
  const pair = new Pair({ crypto: nodeCrypto })
  const { a, b } = pair

  // IKE_SA_INIT { SA, KE, Ni } --> <-- IKE_SA_INIT { SA, KE, Nr }: keys for IKE itself.
  pair.input('a', { type: 'initiate', connection: 'peer' })
  expect(exchangeOf(pair)).toBe(EXCHANGE.IKE_SA_INIT)
  pair.pass('a')
  pair.pass('b')
  expect(a.engine.installed.size).toBe(0)

  // IKE_AUTH { IDi, AUTH, SA, TSi, TSr } -->: the responder installs the SA, and only then answers.
  expect(exchangeOf(pair)).toBe(EXCHANGE.IKE_AUTH)
  pair.pass('a')
  const order = b.effects.map((effect) => effect.type)
  expect(order.indexOf('install-child')).toBeLessThan(order.lastIndexOf('send'))

  // <-- IKE_AUTH { IDr, AUTH, SA, TSi, TSr }: the initiator installs too and sends on it at once.
  pair.pass('b')
  expect(a.effects.map((effect) => effect.type).slice(-4)).toContain('promote-child')

  // What one end sends with, the other end receives with.
  const [ours] = [...a.engine.installed.values()]
  const [theirs] = [...b.engine.installed.values()]
  expect(ours!.outbound).toEqual(theirs!.inbound)
  expect(theirs!.outbound).toEqual(ours!.inbound)
  expect(a.endpoint.status(0)[0]).toMatchObject({ state: 'established', role: 'initiator' })
  expect(b.endpoint.status(0)[0]).toMatchObject({ state: 'established', role: 'responder' })
})

function exchangeOf(pair: Pair): number | undefined {
  const header = decodeHeader(pair.inFlight[0]!.bytes)
  return isDecodeError(header) ? undefined : header.exchangeType
}
