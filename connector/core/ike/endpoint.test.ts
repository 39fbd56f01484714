/** IKE_SA_INIT and IKE_AUTH between two endpoints: what comes up, and what is said when nothing does. */
import { describe, expect, test } from 'vitest'
import { address } from '../../../protocol/net.ts'
import { nodeCrypto } from '../../io/crypto-node.ts'
import { parseIdentity } from './identity.ts'
import { groupId, parseEspProposal, parseIkeProposal } from './names.ts'
import { DEFAULT_LIMITS } from './retransmit.ts'
import { childConfig, connection, type Name, Pair, type PairOptions, Side, seeded } from './testing/pair.ts'
import type { ConnectionConfig, EspProposal, Identity, IkeProposal } from './types.ts'

describe('coming up', () => {
  test.each([
    'aes128gcm16-prfsha256-x25519',
    'aes256gcm16-prfsha384-ecp384',
    'chacha20poly1305-prfsha512-ecp256',
    'aes128-sha256-prfsha256-modp2048',
    'aes256-sha512-prfsha512-ecp521',
  ])('IKE suite %s', (text) => {
    const proposals = [parseIkeProposal(text) as IkeProposal]
    const pair = up({ a: { proposals }, b: { proposals } })
    expectUp(pair)
    expect(pair.b.endpoint.status(0)[0]!.suite).toBe(text)
  })

  test.each(['aes128gcm16', 'aes256gcm16-x25519', 'chacha20poly1305-esn'])('ESP suite %s', (text) => {
    const proposals = [parseEspProposal(text) as EspProposal]
    const pair = up({
      a: { children: [childConfig('a', { proposals })] },
      b: { children: [childConfig('b', { proposals })] },
    })
    expectUp(pair)
  })

  test.each(['gw.example', 'admin@gw.example', '192.0.2.77', '2001:db8::7', 'keyid:00ff10', 'dn:300a3108'])(
    'identity %s',
    (text) => {
      const id = parseIdentity(text) as Identity
      expectUp(up({ a: { localId: id }, b: { remoteId: id } }))
    },
  )

  test('IPv6 addresses on the outside', () => {
    const [x, y] = [address('2001:db8::1'), address('2001:db8::2')]
    expectUp(up({ a: { localAddress: x, remoteAddress: y }, b: { localAddress: y, remoteAddress: x } }))
  })

  test('a responder that takes any address', () => {
    const { remoteAddress: _, ...any } = connection('b')
    const b = new Pair({ crypto: nodeCrypto, b: any })
    b.input('a', { type: 'initiate', connection: 'peer' })
    b.flush()
    expectUp(b)
  })

  test('several children: the first in IKE_AUTH, the others by CREATE_CHILD_SA', () => {
    const children = (name: Name) => [0, 64, 128].map((subnet) => childConfig(name, { name: `net${subnet}` }, subnet))
    const pair = up({ a: { children: children('a') }, b: { children: children('b') } })
    pair.settle(10_000)
    expect(pair.disagreements({ ike: 1, children: 3 })).toEqual([])
    expect(pair.a.children.map((child) => child.child)).toEqual(['net0', 'net64', 'net128'])
  })

  test('selectors are narrowed to what both ends have', () => {
    const wide = childConfig('a')
    const all = { ...wide.local[0]!, startAddress: address('10.0.0.0'), endAddress: address('10.255.255.255') }
    const pair = up({ a: { children: [{ ...wide, local: [all], remote: [all] }] } })
    expectUp(pair)
    expect(pair.a.children[0]!.local).toEqual(pair.b.children[0]!.remote)
    expect(pair.a.children[0]!.local[0]!.endAddress).toBe('10.1.0.63')
  })

  test('install, send, promote: the responder can receive before its answer leaves', () => {
    const pair = up({})
    expect(pair.b.effects.map((effect) => effect.type)).toEqual([
      'send',
      'report',
      'install-child',
      'send',
      'promote-child',
      'report',
    ])
  })

  test('INVALID_KE_PAYLOAD names the group and the second try fits', () => {
    const [x, e] = ['aes128gcm16-prfsha256-x25519', 'aes128gcm16-prfsha256-ecp256'].map(
      (text) => parseIkeProposal(text) as IkeProposal,
    )
    const pair = up({ a: { proposals: [x!, e!] }, b: { proposals: [e!] } })
    expectUp(pair)
    expect(pair.a.endpoint.status(0)[0]!.suite).toContain('ecp256')
    expect(groupId('ecp256')).toBe(19)
  })

  test('a peer that asks for one group after the other does not keep us busy for ever', () => {
    const proposals = ['x25519', 'ecp256'].map(
      (group) => ({ encryption: 'aes128gcm16', prf: 'prfsha256', group }) as IkeProposal,
    )
    const pair = new Pair({ crypto: nodeCrypto, a: { proposals }, b: { proposals: [proposals[1]!] } })
    pair.input('a', { type: 'initiate', connection: 'peer' })
    let requests = 0
    for (let i = 0; i < 20 && pair.sent('a'); i++) {
      // The peer's wish flips with every answer.
      const config = pair.b.endpoint.connection('peer')!.config as unknown as { proposals: IkeProposal[] }
      config.proposals = [proposals[(i + 1) % 2]!]
      pair.pass('a')
      pair.pass('b')
      requests++
    }
    expect(requests).toBeLessThan(10)
  })

  test('loss of a fifth of all messages', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const pair = new Pair({ crypto: nodeCrypto, seed })
      pair.input('a', { type: 'initiate', connection: 'peer' })
      let at = seed
      for (let i = 0; i < 60 && pair.b.children.length + pair.a.children.length < 2; i++) {
        pair.advance(500, false)
        const held = pair.inFlight.splice(0)
        for (const datagram of held) if (at++ % 5 !== 0) pair.deliver(datagram)
      }
      pair.settle(60_000)
      expectUp(pair)
    }
  })

  test('initiate in the configuration starts by itself; the round trip is measured', () => {
    const pair = new Pair({ crypto: nodeCrypto, a: { initiate: true, dpdIntervalMs: 10_000 } })
    pair.advance(10)
    expectUp(pair)
    const [status] = pair.a.endpoint.status(0)
    expect(status).toMatchObject({ state: 'established', requestsSent: 2, requestsRetransmitted: 0 })
    expect(status!.rtt).toBeUndefined()
    pair.advance(2_000)
    expect(pair.a.endpoint.status(0)[0]!.rtt?.samples).toBe(1)
  })

  test('the key log holds both IKE directions and both ESP SAs, and nothing without being asked', () => {
    const pair = up({ keyLog: true })
    const entries = pair.a.effects.flatMap((effect) => (effect.type === 'key-log' ? [effect.entry] : []))
    expect(entries.map((entry) => entry.kind)).toEqual(['ike', 'esp', 'esp'])
    expect(pair.b.effects.flatMap((effect) => (effect.type === 'key-log' ? [effect.entry] : []))[0]).toEqual(entries[0])
    expect(up({}).a.effects.some((effect) => effect.type === 'key-log')).toBe(false)
  })
})

describe('not coming up', () => {
  test('wrong pre-shared key: both ends say so, and neither has anything left', () => {
    const pair = up({ a: { psk: Uint8Array.of(1, 2, 3) } })
    expect(pair.a.event('failed')).toMatchObject({ code: 'authentication-failed' })
    expect(pair.b.event('failed')).toMatchObject({ code: 'authentication-failed' })
    expect(pair.b.event('failed')!.cause).toContain('a.example')
    expect(pair.disagreements({ ike: 0, children: 0 })).toEqual([])
  })

  test('unknown identity of the initiator', () => {
    const pair = up({ a: { localId: { type: 'fqdn', value: 'stranger.example' } } })
    expect(pair.b.event('failed')!.cause).toContain('stranger.example')
    expect(pair.a.event('failed')!.code).toBe('authentication-failed')
  })

  test('another identity of the responder', () => {
    const pair = up({ a: { remoteId: { type: 'fqdn', value: 'other.example' } } })
    expect(pair.a.event('failed')!.code).toBe('authentication-failed')
    expect(pair.disagreements({ ike: 0, children: 0 })).toEqual([])
  })

  test('no common IKE proposal: told at once with both lists, and retried until the ladder ends', () => {
    const proposals = [parseIkeProposal('aes256gcm16-prfsha384-ecp384') as IkeProposal]
    const pair = up({ a: { proposals } })
    expect(pair.a.event('failed')).toMatchObject({ code: 'no-proposal-chosen' })
    expect(pair.a.event('failed')!.cause).toContain('aes256gcm16-prfsha384-ecp384')
    expect(pair.b.event('failed')!.cause).toContain('aes128gcm16-prfsha256-x25519')
    expect(pair.b.event('failed')!.cause).toContain('ENCR_AES_GCM_16-256')
    expect(pair.a.endpoint.status(0)[0]!.state).toBe('connecting')
    pair.advance(57_000)
    expect(pair.a.event('failed')).toMatchObject({ code: 'no-proposal-chosen' })
    expect(pair.a.event('failed')!.retryAt).toBeDefined()
  })

  test('no common ESP proposal: the IKE SA stays, the child is tried again', () => {
    const other = [parseEspProposal('aes256gcm16') as EspProposal]
    const pair = up({ a: { children: [childConfig('a', { proposals: other })] } })
    expect(pair.a.event('failed')).toMatchObject({ code: 'no-proposal-chosen' })
    expect(pair.disagreements({ ike: 1, children: 0 })).toEqual([])
    const before = pair.a.effects.length
    pair.advance(60_000)
    expect(pair.a.effects.length).toBeGreaterThan(before)
  })

  test('no common selectors: TS_UNACCEPTABLE in words on both ends, the IKE SA stays', () => {
    const pair = up({ a: { children: [childConfig('a', {}, 128)] } })
    expect(pair.a.event('failed')).toMatchObject({ code: 'ts-unacceptable' })
    expect(pair.b.event('failed')!.cause).toContain('10.2.0.128/26')
    expect(pair.b.event('failed')!.cause).toContain('10.2.0.0/26')
    expect(pair.disagreements({ ike: 1, children: 0 })).toEqual([])
  })

  test('nobody there: no-response after the ladder, then again after growing pauses', () => {
    const pair = new Pair({ crypto: nodeCrypto, a: { initiate: true } })
    pair.advance(700_000, false)
    const failures = pair.a.events.flatMap((event) => (event.type === 'failed' ? [event] : []))
    expect(failures.length).toBeGreaterThan(3)
    expect(failures[0]).toMatchObject({ code: 'no-response' })
    expect(failures[0]!.cause).toContain('192.0.2.2:500')
    const pauses = failures.map((event, i) => event.retryAt! - failureTime(pair, i))
    expect(pauses[1]!).toBeGreaterThan(pauses[0]!)
  })

  test('no connection for the address: refused, counted, nothing kept', () => {
    const pair = up({ b: { remoteAddress: address('192.0.2.99') } })
    expect(pair.b.endpoint.counters().noConnection).toBe(1)
    expect(pair.b.endpoint.ikeSas()).toEqual([])
    expect(pair.b.endpoint.deadline()).toBeUndefined()
  })
})

describe('several connections at one address', () => {
  test('the identities choose, each with its own key', () => {
    const shared = { limits: DEFAULT_LIMITS, random: seeded(9), crypto: nodeCrypto, keyLog: false }
    const config = (name: string, id: string, psk: number): ConnectionConfig => ({
      ...connection('b', { remoteId: { type: 'fqdn', value: id }, psk: Uint8Array.of(psk) }),
      name,
    })
    const pair = new Pair({ crypto: nodeCrypto, a: { psk: Uint8Array.of(2) } })
    const b = new Side('b', [config('first', 'other.example', 1), config('second', 'a.example', 2)], shared, pair.now)
    Object.assign(pair, { b })
    pair.input('a', { type: 'initiate', connection: 'peer' })
    pair.flush()
    expect(b.endpoint.status(0).map((status) => status.state)).toEqual(['idle', 'established'])
  })
})

function up(options: Omit<PairOptions, 'crypto'>): Pair {
  const pair = new Pair({ crypto: nodeCrypto, ...options })
  pair.input('a', { type: 'initiate', connection: 'peer' })
  pair.flush()
  return pair
}

function expectUp(pair: Pair): void {
  expect(pair.disagreements({ ike: 1, children: 1 })).toEqual([])
  expect(pair.a.endpoint.status(0)[0]!.state).toBe('established')
  expect(pair.b.endpoint.status(0)[0]!.state).toBe('established')
}

/** When the ladder of attempt `index` ended: 56.7 s after the attempt began. */
function failureTime(pair: Pair, index: number): number {
  const attempts = pair.a.events.flatMap((event) => (event.type === 'failed' ? [event.retryAt!] : []))
  const start = index === 0 ? 1000 : attempts[index - 1]!
  let wait = 500
  let total = 0
  for (let i = 0; i <= 9; i++, wait *= 1.5) total += wait
  return start + total
}
