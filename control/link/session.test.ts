import { describe, expect, test } from 'vitest'
import type { ConnectorDocument } from '../../protocol/control/document.ts'
import { type ConnectorReport, fromControlSchema, MAX_LINK_MESSAGE } from '../../protocol/control/link.ts'
import { LinkSession, type SavedSession, type SessionEffect, type SessionInput } from './session.ts'

const NOW = 1_700_000_000_000

function report(version: number, at = NOW): ConnectorReport {
  return { version, startedAt: NOW, at, software: '1', addresses: [], tunnels: [] }
}

function document(version: number): ConnectorDocument {
  return {
    format: 1,
    network: 'net_0123456789abcdefghjk',
    connector: 'con_0123456789abcdefghjk',
    version,
    site: { name: 'hq', prefixes: ['10.1.0.0/16'] },
    tunnels: [],
  }
}

const text = (message: unknown): SessionInput => ({ type: 'message', text: JSON.stringify(message) })
const hello = (version = 3) => text({ type: 'hello', protocol: 1, report: report(version) })
const said = (version = 3, at = NOW) => text({ type: 'report', report: report(version, at) })
const event = text({ type: 'event', event: { at: NOW, code: 'tunnel-up', message: 'up' } })
const taken = (version = 3): SessionInput => ({ type: 'taken', version })
const loaded = (version: number): SessionInput => ({ type: 'document', document: document(version) })

class Driven {
  readonly session: LinkSession
  now = NOW

  constructor(saved?: SavedSession, spare?: number) {
    this.session = new LinkSession(NOW, saved, spare)
  }

  /** What the inputs bring about, in short. */
  give(...inputs: SessionInput[]): string[] {
    for (const input of inputs) this.session.handle(input, this.now)
    const effects: string[] = []
    for (let effect = this.session.poll(); effect !== undefined; effect = this.session.poll())
      effects.push(short(effect))
    return effects
  }
}

function short(effect: SessionEffect): string {
  if (effect.type === 'take') return `take ${effect.report.version}`
  if (effect.type !== 'send') return effect.type
  const message = fromControlSchema.parse(JSON.parse(effect.text))
  if (message.type === 'bye') return `bye ${message.code}: ${message.detail}`
  if (message.type === 'call') return `call ${message.count}`
  if (message.type === 'ask') return 'ask'
  return message.type === 'document' ? `document ${message.document.version}` : `welcome ${message.version}`
}

/** A session in each of the states that it can be in. */
const STATES = {
  new: () => new Driven(),
  greeted: () => driven(hello()),
  open: () => driven(hello(), taken()),
  taking: () => driven(hello(), taken(), said()),
  loading: () => driven(hello(), taken(), { type: 'changed' }),
  resumed: () => new Driven({ state: 'open', sent: 3 }),
  closed: () => driven({ type: 'end', code: 'restart', detail: 'gone' }),
} as const
type State = keyof typeof STATES

function driven(...inputs: SessionInput[]): Driven {
  const made = new Driven()
  made.give(...inputs)
  return made
}

const INPUTS = {
  hello: hello(),
  report: said(),
  event,
  garbage: { type: 'message', text: '{"type":"hello"' },
  unknown: text({ type: 'hullo' }),
  'a field too many': text({ type: 'event', event: { at: NOW, code: 'a', message: 'b' }, more: 1 }),
  taken: taken(),
  'taken, new version': taken(4),
  'refused for ever': { type: 'refused', detail: 'no', lasting: true },
  'refused for now': { type: 'refused', detail: 'busy', lasting: false },
  changed: { type: 'changed' },
  'new document': loaded(4),
  'same document': loaded(3),
  'no document': { type: 'no-document' },
  call: { type: 'call', count: 2 },
  ask: { type: 'ask' },
  revoked: { type: 'end', code: 'revoked', detail: 'revoked' },
} as const satisfies Record<string, SessionInput>

const MISFIT = ['bye protocol: a message that does not fit', 'close']
const TWICE = ['bye protocol: a second hello', 'close']
const EARLY = ['bye protocol: the first message is hello', 'close']
const WELCOME = 'welcome 3'

/** What is not here is given by `otherwise`. */
const EXPECTED: Record<keyof typeof INPUTS, { otherwise: string[] } & { [S in State]?: string[] }> = {
  hello: { new: ['take 3'], otherwise: TWICE },
  report: { new: EARLY, greeted: [], taking: [], otherwise: ['take 3'] },
  event: { new: EARLY, otherwise: ['note'] },
  garbage: { otherwise: MISFIT },
  unknown: { otherwise: MISFIT },
  'a field too many': { otherwise: MISFIT },
  taken: { new: [WELCOME, 'load'], greeted: [WELCOME], otherwise: [] },
  'taken, new version': {
    new: ['welcome 4', 'load'],
    greeted: ['welcome 4', 'load'],
    loading: [],
    otherwise: ['load'],
  },
  'refused for ever': { otherwise: ['bye protocol: no', 'close'] },
  'refused for now': { otherwise: ['bye restart: busy', 'close'] },
  changed: { new: [], greeted: [], loading: [], otherwise: ['load'] },
  'new document': { otherwise: ['document 4'] },
  'same document': { new: ['document 3'], otherwise: [] },
  'no document': { otherwise: ['bye restart: the document could not be read', 'close'] },
  // None of these connectors serves functions.
  call: { otherwise: [] },
  // Nor does any know the question.
  ask: { otherwise: [] },
  revoked: { otherwise: ['bye revoked: revoked', 'close'] },
}

describe.each(Object.keys(STATES) as State[])('in the state %s', (state) => {
  test.each(Object.keys(INPUTS) as (keyof typeof INPUTS)[])('%s', (name) => {
    const session = STATES[state]()
    const expected = EXPECTED[name]
    expect(session.give(INPUTS[name])).toEqual(state === 'closed' ? [] : (expected[state] ?? expected.otherwise))
    const ended = state === 'closed' || (expected[state] ?? expected.otherwise).includes('close')
    expect(session.session.closed).toBe(ended)
    if (ended) expect(session.give(hello(), said(), { type: 'changed' })).toEqual([])
  })
})

describe('a connector that serves functions', () => {
  const functions = { streamKey: 'a.b.c', services: [] }
  const serving = (more: object = { functions }) =>
    text({ type: 'hello', protocol: 1, report: { ...report(3), ...more } })
  const call = (count = 1): SessionInput => ({ type: 'call', count })
  const withRelay = (saved?: SavedSession) => new Driven(saved, 2)

  test('is told how many sockets to keep at the relay, where there is one', () => {
    const welcome = (session: Driven, first: SessionInput) => {
      session.give(first)
      session.session.handle(taken(), NOW)
      const effect = session.session.poll()
      return effect?.type === 'send' ? JSON.parse(effect.text) : effect
    }
    expect(welcome(withRelay(), serving())).toMatchObject({ type: 'welcome', relay: { spare: 2 } })
    expect(welcome(new Driven(), serving())).not.toHaveProperty('relay')
    expect(welcome(withRelay(), hello())).not.toHaveProperty('relay')
  })

  test('is called at once where the link is open, and else when it opens', () => {
    const session = withRelay()
    expect(session.give(call(), serving(), call(2))).toEqual(['take 3'])
    expect(session.give(taken())).toEqual([WELCOME, 'call 3'])
    expect(session.give(call())).toEqual(['call 1'])
  })

  test('is called for no more than one message may name', () => {
    const session = withRelay()
    expect(session.give(call(1000), call(1000), serving(), taken())).toEqual(['take 3', WELCOME, 'call 1024'])
    expect(session.give(call(5000))).toEqual(['call 1024'])
  })

  test('is known as one after the session was saved, until it reports otherwise', () => {
    const before = withRelay()
    before.give(serving(), taken())
    const after = withRelay(before.session.saved)
    expect(after.give(call())).toEqual(['call 1'])
    expect(after.give(said(), call())).toEqual(['take 3'])
    expect(after.session.saved).toEqual({ state: 'open', sent: 3 })
  })
})

test.each([
  ['routes', { routing: { paths: [], refused: [] } }],
  ['has tunnels to clouds', { externals: { sealingKey: 'a.b.c', externals: [], refused: [] } }],
])('a connector that %s is asked how it is, also after the session was saved, once the link is open', (_, part) => {
  const session = new Driven()
  const ask: SessionInput = { type: 'ask' }
  const greeting = text({ type: 'hello', protocol: 1, report: { ...report(3), ...part } })
  expect(session.give(ask, greeting, ask)).toEqual(['take 3'])
  expect(session.give(taken(), ask)).toEqual([WELCOME, 'ask'])
  const later = new Driven(session.session.saved)
  expect(later.give(ask)).toEqual(['ask'])
  expect(later.give(said(), ask)).toEqual(['take 3'])
})

test('of reports that come while one is stored, the newest is stored next', () => {
  const session = STATES.taking()
  expect(session.give(said(3, NOW + 1), text({ type: 'report', report: report(5) }))).toEqual([])
  expect(session.give(taken())).toEqual(['take 5'])
  expect(session.give(taken())).toEqual([])
})

test('a change while the document is read has it read once more, and what is old is not sent twice', () => {
  const session = STATES.loading()
  expect(session.give({ type: 'changed' }, { type: 'changed' })).toEqual([])
  expect(session.give(loaded(4))).toEqual(['document 4', 'load'])
  expect(session.give(loaded(4))).toEqual([])
})

test('a change between hello and welcome is not lost, though the version in hand is the one of before', () => {
  const session = STATES.greeted()
  expect(session.give({ type: 'changed' })).toEqual([])
  expect(session.give(taken(3))).toEqual(['welcome 3', 'load'])
  expect(session.give(loaded(4))).toEqual(['document 4'])
})

test('a connector whose document is newer than ours is told ours, as it will be known from now on', () => {
  const session = driven(hello(9))
  expect(session.give(taken(10))).toEqual(['welcome 10', 'load'])
})

test('an end of a later protocol is told which one this is', () => {
  const later = text({ type: 'hello', protocol: 2, report: report(3) })
  expect(new Driven().give(later)).toEqual(['bye protocol: this end speaks protocol 1', 'close'])
})

test('a message beyond the limit is not read', () => {
  const long = { type: 'message', text: ' '.repeat(MAX_LINK_MESSAGE + 1) } as const
  expect(STATES.open().give(long)).toEqual(MISFIT)
})

test('who sends without end is cut off; who sends now and then is not', () => {
  const hasty = STATES.open()
  const effects = Array.from({ length: 60 }, () => hasty.give(event)).flat()
  expect(effects.filter((effect) => effect === 'note').length).toBe(49)
  expect(effects.slice(-2)).toEqual(['bye protocol: too many messages', 'close'])
  const steady = STATES.open()
  for (let turn = 0; turn < 200; turn++) {
    steady.now += 100
    expect(steady.give(event)).toEqual(['note'])
  }
})

test('what is saved is enough to go on with', () => {
  const before = driven(hello(), taken(), { type: 'changed' })
  expect(before.session.saved).toEqual({ state: 'open', sent: 3 })
  before.give(loaded(4))
  const after = new Driven(before.session.saved)
  expect(after.give({ type: 'changed' })).toEqual(['load'])
  expect(after.give(loaded(4))).toEqual([])
  expect(after.give(said(4), taken(4))).toEqual(['take 4'])
  expect(new Driven().session.saved).toEqual({ state: 'new', sent: 0 })
})
