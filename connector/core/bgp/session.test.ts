/** The whole table of RFC 4271 section 8.2.2: each event in each state, what it makes the session do, and where to. */
import { describe, expect, it } from 'vitest'
import { SESSION_STATES, type SessionEffect, type SessionState } from './session-types.ts'
import { Driven, openWith, PEER_OPEN, words } from './testing/driven.ts'
import { encodeEndOfRib, encodeKeepalive, encodeNotification, encodeOpen, encodeRefresh } from './wire/codec.ts'

const NONE = new Uint8Array(0)
const HEADER_FAULT = Uint8Array.from({ length: 19 }, (_, at) => (at === 16 ? 0 : at === 17 ? 18 : at === 18 ? 4 : 0xff))
/** Withdrawn Routes Length beyond the message. */
const UPDATE_FAULT = Uint8Array.from([...new Array(16).fill(0xff), 0, 23, 2, 0, 9, 0, 0])

type Event = (driven: Driven) => SessionEffect[]
const bytes =
  (message: Uint8Array): Event =>
  (driven) =>
    driven.bytes(message)

/** The RFC's events by number, those for optional timers that we do not have left out. */
const EVENTS = {
  '1 start': (driven) => driven.give({ type: 'start' }),
  '2 stop': (driven) => driven.give({ type: 'stop', subcode: 2 }),
  '8 reset': (driven) => driven.give({ type: 'reset', subcode: 4 }),
  'path up': (driven) => driven.give({ type: 'path-up' }),
  'a timer': (driven) => driven.due(),
  'time, nothing due': (driven) => driven.give({ type: 'time' }),
  '10 hold timer': (driven) => {
    // Keepalives fall due before it; the neighbour is silent.
    driven.now += 300_000
    return driven.give({ type: 'time' })
  },
  '16 connected': (driven) => driven.give({ type: 'connected', connection: driven.connection }),
  '17 incoming': (driven) => driven.give({ type: 'incoming', connection: 'in' }),
  '18 closed': (driven) => driven.give({ type: 'closed', connection: driven.connection }),
  '19 OPEN': bytes(encodeOpen(PEER_OPEN)),
  '21 header error': bytes(HEADER_FAULT),
  '22 OPEN error': bytes(openWith({ myAs: 65_009, capabilities: [] })),
  '24 version error': bytes(encodeNotification({ code: 2, subcode: 1, data: NONE })),
  '25 NOTIFICATION': bytes(encodeNotification({ code: 6, subcode: 4, data: NONE })),
  '26 KEEPALIVE': bytes(encodeKeepalive()),
  '27 UPDATE': bytes(encodeEndOfRib({ afi: 1, safi: 1 })),
  '28 UPDATE error': bytes(UPDATE_FAULT),
  'ROUTE-REFRESH': bytes(encodeRefresh({ afi: 1, safi: 1, subtype: 0 })),
  routes: (driven) => driven.give({ type: 'end-of-rib', family: 4 }),
} satisfies Readonly<Record<string, Event>>

/** Where this is not what RFC 4271 says, docs/bgp.md says why. */
const TABLE: Readonly<Record<keyof typeof EVENTS, Readonly<Record<SessionState, string>>>> = {
  '1 start': {
    idle: 'listen, connect -> connect',
    connect: '-> connect',
    active: '-> active',
    'open-sent': '-> open-sent',
    'open-confirm': '-> open-confirm',
    established: '-> established',
  },
  '2 stop': {
    idle: '-> idle',
    connect: 'close, deaf -> idle',
    active: 'deaf -> idle',
    'open-sent': 'send 6/2, close, deaf -> idle',
    'open-confirm': 'send 6/2, close, deaf -> idle',
    established: 'down stopped, send 6/2, close, deaf -> idle',
  },
  '8 reset': {
    idle: '-> idle',
    connect: 'close, deaf -> idle',
    active: 'deaf -> idle',
    'open-sent': 'send 6/4, close, deaf -> idle',
    'open-confirm': 'send 6/4, close, deaf -> idle',
    established: 'down stopped, send 6/4, close, deaf -> idle',
  },
  'path up': {
    idle: '-> idle',
    connect: 'close, connect -> connect',
    active: 'connect -> connect',
    'open-sent': '-> open-sent',
    'open-confirm': '-> open-confirm',
    established: '-> established',
  },
  'a timer': {
    idle: '-> idle',
    connect: 'close, connect -> connect',
    active: 'connect -> connect',
    'open-sent': 'send 4/0, close, deaf -> idle',
    'open-confirm': 'send KEEPALIVE -> open-confirm',
    established: 'send KEEPALIVE -> established',
  },
  'time, nothing due': {
    idle: '-> idle',
    connect: '-> connect',
    active: '-> active',
    'open-sent': '-> open-sent',
    'open-confirm': '-> open-confirm',
    established: '-> established',
  },
  '10 hold timer': {
    idle: '-> idle',
    connect: 'close, connect -> connect',
    active: 'connect -> connect',
    'open-sent': 'send 4/0, close, deaf -> idle',
    'open-confirm': 'send 4/0, close, deaf -> idle',
    established: 'down failed, send 4/0, close, deaf -> idle',
  },
  '16 connected': {
    idle: '-> idle',
    connect: 'send OPEN -> open-sent',
    active: '-> active',
    'open-sent': '-> open-sent',
    'open-confirm': '-> open-confirm',
    established: '-> established',
  },
  '17 incoming': {
    idle: 'close -> idle',
    connect: 'send OPEN -> open-sent',
    active: 'send OPEN -> open-sent',
    'open-sent': 'send OPEN -> open-sent',
    'open-confirm': 'send OPEN -> open-confirm',
    established: 'send 6/7, close -> established',
  },
  '18 closed': {
    idle: '-> idle',
    connect: '-> active',
    active: '-> active',
    'open-sent': '-> active',
    'open-confirm': 'deaf -> idle',
    established: 'down closed, deaf -> idle',
  },
  '19 OPEN': {
    idle: '-> idle',
    connect: '-> connect',
    active: '-> active',
    'open-sent': 'send KEEPALIVE -> open-confirm',
    'open-confirm': 'send 5/2, close, deaf -> idle',
    established: 'down failed, send 5/3, close, deaf -> idle',
  },
  '21 header error': {
    idle: '-> idle',
    connect: '-> connect',
    active: '-> active',
    'open-sent': 'header-length, send 1/2, close, deaf -> idle',
    'open-confirm': 'header-length, send 1/2, close, deaf -> idle',
    established: 'header-length, down failed, send 1/2, close, deaf -> idle',
  },
  '22 OPEN error': {
    idle: '-> idle',
    connect: '-> connect',
    active: '-> active',
    'open-sent': 'open-peer-as, send 2/2, close, deaf -> idle',
    'open-confirm': 'send 5/2, close, deaf -> idle',
    established: 'down failed, send 5/3, close, deaf -> idle',
  },
  '24 version error': {
    idle: '-> idle',
    connect: '-> connect',
    active: '-> active',
    'open-sent': 'close, deaf -> idle',
    'open-confirm': 'close, deaf -> idle',
    established: 'down notified, close, deaf -> idle',
  },
  '25 NOTIFICATION': {
    idle: '-> idle',
    connect: '-> connect',
    active: '-> active',
    'open-sent': 'close, deaf -> idle',
    'open-confirm': 'close, deaf -> idle',
    established: 'down notified, close, deaf -> idle',
  },
  '26 KEEPALIVE': {
    idle: '-> idle',
    connect: '-> connect',
    active: '-> active',
    'open-sent': 'send 5/1, close, deaf -> idle',
    'open-confirm': 'established -> established',
    established: '-> established',
  },
  '27 UPDATE': {
    idle: '-> idle',
    connect: '-> connect',
    active: '-> active',
    'open-sent': 'send 5/1, close, deaf -> idle',
    'open-confirm': 'send 5/2, close, deaf -> idle',
    established: 'end-of-rib -> established',
  },
  '28 UPDATE error': {
    idle: '-> idle',
    connect: '-> connect',
    active: '-> active',
    'open-sent': 'send 5/1, close, deaf -> idle',
    'open-confirm': 'send 5/2, close, deaf -> idle',
    established: 'field-lengths, down failed, send 3/1, close, deaf -> idle',
  },
  'ROUTE-REFRESH': {
    idle: '-> idle',
    connect: '-> connect',
    active: '-> active',
    'open-sent': 'send 5/1, close, deaf -> idle',
    'open-confirm': 'send 5/2, close, deaf -> idle',
    established: 'refresh-request -> established',
  },
  routes: {
    idle: '-> idle',
    connect: '-> connect',
    active: '-> active',
    'open-sent': '-> open-sent',
    'open-confirm': '-> open-confirm',
    established: 'send UPDATE -> established',
  },
}

describe.each(Object.keys(EVENTS) as (keyof typeof EVENTS)[])('%s', (event) => {
  it.each(SESSION_STATES)('in %s', (state: SessionState) => {
    const driven = new Driven().reach(state)
    expect(driven.session.state).toBe(state)
    const effects = EVENTS[event](driven)
    expect(`${words(effects)} -> ${driven.session.state}`.trim()).toBe(TABLE[event][state])
    const told = effects.filter((effect) => effect.type === 'state').map(({ from, to }) => [from, to])
    const { state: to } = driven.session
    expect(told).toEqual(to === state ? [] : [[state, to]])
    // Whatever happened, something will happen again unless it was stopped.
    const restsForever = event === '2 stop' || (state === 'idle' && event !== '1 start')
    expect(driven.session.deadline() === undefined).toBe(restsForever)
  })
})
