import { describe, expect, it } from 'vitest'
import { prefix } from '../../../protocol/net.ts'
import type { SessionConfig, SessionEffect } from './session-types.ts'
import { Driven, notified, openWith, PEER_OPEN, words } from './testing/driven.ts'
import { backOff, jittered } from './timing.ts'
import {
  blockOf,
  type Capability,
  decodeMessage,
  encodeKeepalive,
  encodeNotification,
  encodeOpen,
  encodeRefresh,
  hardResetData,
  isBgpFault,
  packAnnouncement,
} from './wire/codec.ts'

const NONE = new Uint8Array(0)
const RESTART = { restartTimeS: 120, notification: true, forwarding: true }

describe('timers', () => {
  it('the smaller hold time counts; a keepalive goes each third of it', () => {
    const driven = new Driven().reach('established')
    const times: number[] = []
    for (let count = 0; count < 3; count++) {
      // The neighbour is heard each time, so that only keepalives fall due.
      const effects = driven.due()
      expect(words(effects)).toBe('send KEEPALIVE')
      times.push(driven.now)
      driven.bytes(encodeKeepalive())
    }
    expect(times.map((at) => at - times[0]!)).toEqual([0, 10_000, 20_000])
    driven.wait(29_000)
    expect(driven.session.state).toBe('established')
    expect(words(driven.wait(1_000))).toBe('down failed, send 4/0, close, deaf')
  })

  it('an UPDATE that is sent puts the keepalive off, one that is received the end', () => {
    const driven = new Driven().reach('established')
    driven.wait(9_000)
    driven.give(announcement(1))
    expect(words(driven.wait(9_000))).toBe('')
    driven.bytes(update())
    driven.wait(25_000)
    expect(driven.session.state).toBe('established')
  })

  it('a hold time of 0 has neither', () => {
    const driven = new Driven({ leastHoldTimeS: 0 }).reach('established', openWith({ holdTime: 0 }))
    expect(driven.session.negotiated?.holdTimeS).toBe(0)
    expect(driven.session.deadline()).toBeUndefined()
    expect(driven.wait(10_000_000)).toEqual([])
  })

  it('the wait after failures doubles up to the most, and is the first one again after a settled session', () => {
    const driven = new Driven({ idleHoldMs: { first: 1_000, most: 5_000 } })
    driven.give({ type: 'start' })
    const waits: number[] = []
    for (let count = 0; count < 5; count++) {
      driven.give({ type: 'connected', connection: driven.connection })
      driven.bytes(encodeNotification({ code: 6, subcode: 5, data: NONE }))
      expect(driven.session.state).toBe('idle')
      waits.push(driven.session.deadline()! - driven.now)
      driven.due()
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 5_000, 5_000])
    driven.give({ type: 'connected', connection: driven.connection })
    driven.bytes(encodeOpen(PEER_OPEN))
    driven.bytes(encodeKeepalive())
    for (let count = 0; count < 8; count++) {
      driven.wait(9_000)
      driven.bytes(encodeKeepalive())
    }
    driven.give({ type: 'closed', connection: driven.connection })
    expect(driven.session.deadline()! - driven.now).toBe(1_000)
  })

  it('jitter takes at most a quarter (RFC 4271 section 10), and waits never overflow', () => {
    expect(jittered(1_000, (length) => new Uint8Array(length))).toBe(750)
    expect(jittered(1_000, (length) => new Uint8Array(length).fill(0xff))).toBe(1_000)
    expect(backOff({ first: 1_000, most: 60_000 }, 10_000)).toBe(60_000)
  })

  it('a neighbour that does not read ends the session (RFC 9687)', () => {
    const driven = new Driven().reach('established')
    driven.session.handle(announcement(1), driven.now)
    while (driven.session.poll() !== undefined);
    const start = driven.now
    while (driven.session.state === 'established') {
      driven.now = driven.session.deadline()!
      driven.session.handle({ type: 'bytes', connection: driven.connection, bytes: encodeKeepalive() }, driven.now)
      driven.session.handle({ type: 'time' }, driven.now)
    }
    expect(driven.now - start).toBe(480_000)
    const effects: SessionEffect[] = []
    for (let effect = driven.session.poll(); effect !== undefined; effect = driven.session.poll()) effects.push(effect)
    expect(notified(effects)).toMatchObject([{ code: 8, subcode: 0 }])
  })
})

describe('starting and stopping', () => {
  it('passive: waits for the neighbour and never connects', () => {
    const driven = new Driven({ passive: true })
    expect(words(driven.give({ type: 'start' }))).toBe('listen')
    expect(driven.session.deadline()).toBeUndefined()
    driven.give({ type: 'incoming', connection: 'in' })
    expect(words(driven.give({ type: 'closed', connection: 'in' }))).toBe('')
    expect(driven.session.state).toBe('active')
    expect(driven.session.deadline()).toBeUndefined()
  })

  it('a shutdown says why, in the words of the operator, and stays', () => {
    const driven = new Driven().reach('established')
    const effects = driven.give({ type: 'stop', subcode: 2, communication: 'moving to the new hub ✓' })
    expect(notified(effects)).toMatchObject([{ code: 6, subcode: 2, communication: 'moving to the new hub ✓' }])
    expect(driven.session.deadline()).toBeUndefined()
    expect(words(driven.give({ type: 'start' }))).toBe('listen, connect')
  })

  it('too many prefixes: away for as long as the RIB says', () => {
    const driven = new Driven().reach('established')
    const data = Uint8Array.of(0, 1, 1, 0, 0, 0, 10)
    const effects = driven.give({ type: 'reset', subcode: 1, data, holdMs: 900_000 })
    expect(notified(effects)).toMatchObject([{ code: 6, subcode: 1, data }])
    expect(driven.session.deadline()).toBe(driven.now + 900_000)
    // Whoever insists is told a longer wait; whoever knocks is refused.
    driven.give({ type: 'reset', subcode: 4, holdMs: 1_000_000 })
    expect(driven.session.deadline()).toBe(driven.now + 1_000_000)
    expect(words(driven.give({ type: 'incoming', connection: 'in' }))).toBe('close')
    expect(words(driven.due())).toBe('listen, connect')
  })

  it('the transport comes along with connect and listen', () => {
    const transport = { remote: '192.0.2.9' as never, port: 1179, md5Key: 'hub', gtsmHops: 1 }
    const driven = new Driven({ transport })
    const effects = driven.give({ type: 'start' })
    expect(effects.filter((effect) => 'transport' in effect).map((effect) => effect.transport)).toEqual([
      transport,
      transport,
    ])
  })
})

describe('graceful restart (RFC 4724, RFC 8538)', () => {
  const restart = (notification: boolean): Capability => ({
    type: 'graceful-restart',
    restarting: false,
    notification,
    restartTime: 60,
    families: [{ afi: 1, safi: 1, forwarding: false }],
  })
  const session = (notification: boolean, changes: Partial<SessionConfig> = {}) =>
    new Driven({ gracefulRestart: RESTART, ...changes }).reach('established', openWith({}, restart(notification)))
  const down = (effects: SessionEffect[]) => effects.find((effect) => effect.type === 'down')
  const bytes = (code: number, subcode: number, data: Uint8Array = NONE) => encodeNotification({ code, subcode, data })

  it('a connection that breaks keeps the families of the neighbour', () => {
    const driven = session(false)
    const effects = driven.give({ type: 'closed', connection: driven.connection })
    expect(down(effects)).toEqual({ type: 'down', cause: { kind: 'closed' }, keep: [4], restartTimeS: 60 })
  })

  it.each([
    ['a NOTIFICATION received', false, bytes(6, 4), []],
    ['a NOTIFICATION received, where both know RFC 8538', true, bytes(6, 4), [4]],
    ['a hard reset received', true, bytes(6, 9, hardResetData(6, 2, NONE)), []],
    ['an error that we tell', false, encodeOpen(PEER_OPEN), []],
    ['an error that we tell, where both know RFC 8538', true, encodeOpen(PEER_OPEN), [4]],
  ])('%s', (_name, notification, message, keep) => {
    expect(down(session(notification).bytes(message))).toMatchObject({ keep })
  })

  it('what an operator ends is told as a hard reset, with the words inside', () => {
    const driven = session(true)
    const effects = driven.give({ type: 'stop', subcode: 2, communication: 'bye' })
    expect(down(effects)).toMatchObject({ keep: [] })
    expect(notified(effects)).toMatchObject([
      { code: 6, subcode: 9, inner: { code: 6, subcode: 2 }, communication: 'bye' },
    ])
  })

  it('a reset for BFD may keep routes', () => {
    expect(down(session(true).give({ type: 'reset', subcode: 10, keepRoutes: true }))).toMatchObject({ keep: [4] })
    expect(down(session(true).give({ type: 'reset', subcode: 10 }))).toMatchObject({ keep: [] })
  })

  it('the neighbour that connects anew has restarted, though its old connection seemed alive', () => {
    const driven = session(false)
    const effects = driven.give({ type: 'incoming', connection: 'again' })
    expect(words(effects)).toBe('down replaced, close, send OPEN')
    expect(down(effects)).toMatchObject({ keep: [4] })
    driven.bytes(openWith({}, { ...restart(false), restarting: true } as Capability), 'again')
    expect(words(driven.bytes(encodeKeepalive(), 'again'))).toBe('established')
    expect(driven.session.negotiated?.gracefulRestart).toMatchObject({ restarting: true, preserved: [] })
  })

  it('we kept our forwarding through the end of a session that was no restart of ours (RFC 8538 section 4)', () => {
    const driven = new Driven({ gracefulRestart: RESTART })
    const told = (effects: SessionEffect[]) => {
      const sent = effects.find((effect) => effect.type === 'send')
      const options = { fourOctetAs: true, extendedMessages: false, internal: false, families: [] }
      const open = decodeMessage(sent!.bytes, options)
      if (isBgpFault(open) || open.type !== 'OPEN') throw new Error('no OPEN')
      const found = open.capabilities.find((each) => each.type === 'graceful-restart')
      return [found?.restarting, ...(found?.families.map(({ forwarding }) => forwarding) ?? [])]
    }
    driven.give({ type: 'start' })
    expect(told(driven.give({ type: 'connected', connection: driven.connection }))).toEqual([false, false, false])
    driven.bytes(openWith({}, restart(true)))
    driven.bytes(encodeKeepalive())
    driven.bytes(bytes(6, 8))
    driven.due()
    expect(told(driven.give({ type: 'connected', connection: driven.connection }))).toEqual([false, true, true])
  })

  it('we say that we restarted for as long as our restart time, then no longer', () => {
    const bit = (effects: SessionEffect[]) => {
      const sent = effects.find((effect) => effect.type === 'send')
      const open = decodeMessage(sent!.bytes, {
        fourOctetAs: true,
        extendedMessages: false,
        internal: false,
        families: [],
      })
      if (isBgpFault(open) || open.type !== 'OPEN') throw new Error('no OPEN')
      return open.capabilities.find((each) => each.type === 'graceful-restart')?.restarting
    }
    const driven = new Driven({ gracefulRestart: RESTART })
    driven.give({ type: 'start', restarting: true })
    driven.now += 119_000
    expect(bit(driven.give({ type: 'connected', connection: driven.connection }))).toBe(true)
    driven.now += 2_000
    expect(bit(driven.give({ type: 'incoming', connection: 'in' }))).toBe(false)
  })
})

describe('messages of an established session', () => {
  it('treat-as-withdraw reaches the RIB as a withdrawal, and the log as a fault', () => {
    const driven = new Driven().reach('established')
    const broken = update()
    broken[26] = 9
    const effects = driven.bytes(broken)
    expect(words(effects)).toBe('origin-value, update')
    // RFC 7606 section 6: with the whole message.
    expect(effects[0]).toMatchObject({ type: 'fault', update: broken })
    expect(effects.at(-1)).toMatchObject({ update: { reach: [], withdrawn: [{ family: 4 }] } })
    expect(driven.session.state).toBe('established')
  })

  it('a path that does not begin with the neighbour is withdrawn, unless that is not enforced', () => {
    const other = update([65_009])
    expect(words(new Driven().reach('established').bytes(other))).toBe('as-path-first, update')
    expect(words(new Driven({ enforceFirstAs: false }).reach('established').bytes(other))).toBe('update')
  })

  it('refreshes of our families come out, with BoRR and EoRR where both know them', () => {
    const driven = new Driven().reach('established')
    const refresh = (subtype: number, afi = 2) => words(driven.bytes(encodeRefresh({ afi, safi: 1, subtype })))
    expect([0, 1, 2, 3].map((subtype) => refresh(subtype))).toEqual([
      'refresh-request',
      'refresh-begin',
      'refresh-end',
      '',
    ])
    expect(refresh(0, 25)).toBe('')
    const plain = new Driven().reach('established', openWith({ capabilities: [{ type: 'route-refresh' }] }))
    expect(words(plain.bytes(encodeRefresh({ afi: 1, safi: 1, subtype: 1 })))).toBe('')
    expect(words(plain.give({ type: 'refresh-begin', family: 4 }))).toBe('')
    expect(words(plain.give({ type: 'request-refresh', family: 4 }))).toBe('send ROUTE-REFRESH')
    expect(words(plain.give({ type: 'request-refresh', family: 6 }))).toBe('')
    expect(words(driven.give({ type: 'refresh-begin', family: 6 }))).toBe('send ROUTE-REFRESH')
  })

  it('long messages are taken where we announced them, whatever the neighbour announced', () => {
    const long = packAnnouncement(
      {
        origin: 0,
        asPath: [{ type: 'sequence', asns: [65_002] }],
        communities: Array.from({ length: 3_000 }, (_, index) => index),
      },
      { address: '192.0.2.2' as never },
      blockOf(4, [prefix('10.0.0.0/8')]),
      0,
      { fourOctetAs: true, extendedMessages: true, internal: false },
    )!.message
    expect(words(new Driven().reach('established').bytes(long))).toBe('update')
    const short = new Driven({ extendedMessages: false }).reach('established')
    expect(words(short.bytes(long))).toBe('header-length, down failed, send 1/2, close, deaf')
  })

  it('octets in any pieces make the same effects', () => {
    const stream = Buffer.concat([
      update(),
      encodeKeepalive(),
      encodeRefresh({ afi: 1, safi: 1, subtype: 0 }),
      update(),
    ])
    const at = (size: number) => {
      const driven = new Driven().reach('established')
      const effects: SessionEffect[] = []
      for (let from = 0; from < stream.length; from += size)
        effects.push(...driven.bytes(stream.subarray(from, from + size)))
      return effects
    }
    const whole = at(stream.length)
    expect(words(whole)).toBe('update, refresh-request, update')
    for (const size of [1, 2, 7, 18, 19, 20, 50]) expect(at(size)).toEqual(whole)
  })
})

function announcement(count: number) {
  const prefixes = blockOf(
    4,
    Array.from({ length: count }, (_, index) => prefix(`10.${index >> 8}.${index & 255}.0/24`)),
  )
  return {
    type: 'announce',
    attributes: { origin: 0, asPath: [] },
    nextHop: { address: '192.0.2.1' as never },
    prefixes,
  } as const
}

/** Of the neighbour: 10.0.0.0/8. */
function update(asns: readonly number[] = [65_002]): Uint8Array {
  const options = { fourOctetAs: true, extendedMessages: false, internal: false }
  const attributes = { origin: 0, asPath: [{ type: 'sequence' as const, asns }] }
  return packAnnouncement(
    attributes,
    { address: '192.0.2.2' as never },
    blockOf(4, [prefix('10.0.0.0/8')]),
    0,
    options,
  )!.message
}
