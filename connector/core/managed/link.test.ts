import { beforeEach, describe, expect, it } from 'vitest'
import type { ConnectorDocument, Phase } from '../../../protocol/control/document.ts'
import type { ConnectorReport, FromControl } from '../../../protocol/control/link.ts'
import { LINK_TIMING, LinkClient, type LinkEffect, type LinkInput } from './link.ts'

const REPORT: ConnectorReport = { version: 7, startedAt: 1, at: 2, software: '1.0.0', addresses: [], tunnels: [] }
const DOCUMENT: ConnectorDocument = {
  format: 1,
  network: 'net_00000000000000000000',
  connector: 'con_00000000000000000000',
  version: 3,
  site: { name: 'hq', prefixes: ['10.1.0.0/16'] },
  tunnels: [],
}

let link: LinkClient
let held: ConnectorDocument | undefined
let now: number

function give(input: LinkInput, at = now): LinkEffect[] {
  now = at
  link.handle(input, now)
  const effects: LinkEffect[] = []
  for (let effect = link.poll(); effect !== undefined; effect = link.poll()) effects.push(effect)
  return effects
}

function say(message: FromControl): LinkEffect[] {
  return give({ type: 'message', text: JSON.stringify(message) })
}

function types(effects: LinkEffect[]): string[] {
  return effects.map((effect) => (effect.type === 'changed' ? effect.state : effect.type))
}

function sent(effects: LinkEffect[]): unknown[] {
  return effects.flatMap((effect) => (effect.type === 'send' ? [JSON.parse(effect.text)] : []))
}

/** A document with one tunnel that has these phases. */
function withPhases(...phases: Phase[]): ConnectorDocument {
  const epochs = phases.map((phase, index) => ({ epoch: index + 1, phase }))
  const peer = {
    connector: 'con_00000000000000000001',
    site: 'branch',
    identityKey: 'A'.repeat(43),
    prefixes: ['10.2.0.0/16'],
  }
  const tunnel = { id: 'tun_00000000000000000000', name: 'hq-branch', initiate: true, peer, epochs }
  return { ...DOCUMENT, version: 8, tunnels: [tunnel] }
}

/** Where there is no WebSocket; the first request is under way. */
function startPolling(): LinkEffect[] {
  give({ type: 'start' })
  return give({ type: 'closed', reason: 'no', status: 426 })
}

/** As far as the answer to our hello. */
function open(): LinkEffect[] {
  give({ type: 'start' })
  give({ type: 'opened' })
  return say({ type: 'welcome', protocol: 1, now: 0, version: 3 })
}

beforeEach(() => {
  now = 1000
  held = { ...DOCUMENT, version: 7 }
  link = new LinkClient(
    () => Uint8Array.of(255),
    () => held,
  )
  give({ type: 'report', report: REPORT })
})

describe('LinkClient', () => {
  it('says hello with a report, and hands on the document', () => {
    expect(types(give({ type: 'start' }))).toEqual(['connecting', 'connect'])
    expect(sent(give({ type: 'opened' }))).toEqual([{ type: 'hello', protocol: 1, report: REPORT }])
    const welcomed = say({ type: 'welcome', protocol: 1, now: 5, version: 3 })
    expect(types(welcomed)).toEqual(['open', 'welcomed', 'send'])
    expect(welcomed[1]).toEqual({ type: 'welcomed', now: 5 })
    expect(say({ type: 'document', document: DOCUMENT })).toEqual([{ type: 'document', document: DOCUMENT }])
  })

  it('tells what the relay wants of a connector that serves functions, and when they wait there', () => {
    give({ type: 'start' })
    expect(say({ type: 'call', count: 3 })).toContainEqual({ type: 'call', count: 3 })
    give({ type: 'opened' })
    const welcome: FromControl = { type: 'welcome', protocol: 1, now: 5, version: 3, relay: { spare: 2 } }
    expect(say(welcome)).toContainEqual({ type: 'welcomed', now: 5, spare: 2 })
    expect(say({ type: 'call', count: 3 })).toEqual([{ type: 'call', count: 3 }])
  })

  it('hands on the question how it is', () => {
    give({ type: 'start' })
    give({ type: 'opened' })
    say({ type: 'welcome', protocol: 1, now: 5, version: 3 })
    expect(say({ type: 'ask' })).toEqual([{ type: 'ask' }])
  })

  it('sends what happened while it was away once it is back', () => {
    const event = { at: 5, code: 'identity-changed', message: 'x' }
    expect(give({ type: 'event', event })).toEqual([])
    expect(sent(open())).toContainEqual({ type: 'event', event })
    expect(sent(give({ type: 'event', event }))).toEqual([{ type: 'event', event }])
  })

  it('keeps a bounded number of events, and tells them no faster than the control plane takes them', () => {
    for (let i = 0; i < 1000; i++) give({ type: 'event', event: { at: i, code: 'x', message: 'x' } })
    const messages = sent(open())
    while (link.deadline()! < 20_000) messages.push(...sent(give({ type: 'time' }, link.deadline()!)))
    expect(messages.filter((message) => (message as { type: string }).type === 'event')).toHaveLength(100)
  })

  it('waits longer after each failure, never more than a minute, and begins anew after a good link', () => {
    give({ type: 'start' })
    const waits: number[] = []
    for (let i = 0; i < 9; i++) {
      expect(types(give({ type: 'closed', reason: 'refused' }))).toEqual(['disconnect', 'waiting'])
      waits.push(link.deadline()! - now)
      expect(types(give({ type: 'time' }, link.deadline()!))).toEqual(['connecting', 'connect'])
    }
    expect(waits.slice(0, 3)).toEqual([1000, 2000, 4000])
    expect(waits.at(-1)).toBe(LINK_TIMING.retryMaxMs)
    give({ type: 'opened' })
    say({ type: 'welcome', protocol: 1, now: 0, version: 3 })
    give({ type: 'alive' }, now + LINK_TIMING.settledMs)
    say({ type: 'bye', code: 'restart', detail: 'restarting' })
    expect(link.deadline()! - now).toBe(LINK_TIMING.retryMs)
  })

  it('gives up an attempt that nobody answers', () => {
    give({ type: 'start' })
    expect(types(give({ type: 'time' }, now + LINK_TIMING.connectMs))).toEqual(['disconnect', 'waiting'])
    give({ type: 'time' }, link.deadline()!)
    give({ type: 'opened' })
    expect(types(give({ type: 'time' }, link.deadline()!))).toEqual(['disconnect', 'waiting'])
  })

  it('notices a silent control plane', () => {
    open()
    expect(types(give({ type: 'time' }, now + LINK_TIMING.pingMs))).toEqual(['ping'])
    give({ type: 'alive' })
    expect(types(give({ type: 'time' }, now + LINK_TIMING.pingMs))).toEqual(['ping'])
    expect(types(give({ type: 'time' }, now + LINK_TIMING.pingMs))).toEqual(['ping'])
    expect(types(give({ type: 'time' }, now + LINK_TIMING.pingMs))).toEqual(['disconnect', 'waiting'])
  })

  it.each([404, 405, 426, 501])('asks by plain HTTP where an upgrade is answered with %i', (status) => {
    give({ type: 'start' })
    expect(give({ type: 'closed', reason: 'no', status })).toContainEqual({
      type: 'poll',
      report: REPORT,
      events: [],
      version: 7,
    })
    expect(give({ type: 'polled', document: DOCUMENT })).toEqual([{ type: 'document', document: DOCUMENT }])
    expect(types(give({ type: 'time' }, link.deadline()!))).toEqual(['poll'])
    give({ type: 'polled', failure: 'unreachable' })
    expect(types(give({ type: 'time' }, link.deadline()!))).toEqual(['poll'])
    give({ type: 'polled' })
    expect(types(give({ type: 'time' }, now + LINK_TIMING.upgradeMs))).toEqual(['connecting', 'connect'])
  })

  it.each<[string, Phase[]]>([
    ['a first key', ['offer']],
    ['one that is offered', ['use', 'offer']],
    ['one that is accepted', ['use', 'accept']],
    ['one that is switched to', ['accept', 'use']],
    ['none yet', []],
  ])('asks every second while a tunnel has %s', (_, phases) => {
    startPolling()
    give({ type: 'polled', document: withPhases(...phases) })
    expect(link.deadline()! - now).toBe(1000)
    held = withPhases(...phases)
    give({ type: 'time' }, link.deadline()!)
    give({ type: 'polled' })
    expect(link.deadline()! - now).toBe(1000)
    give({ type: 'time' }, link.deadline()!)
    held = withPhases('use')
    give({ type: 'polled', document: held })
    expect(link.deadline()! - now).toBe(1000)
    give({ type: 'report', report: { ...REPORT, version: held.version } })
    give({ type: 'time' }, link.deadline()!)
    give({ type: 'polled' })
    expect(link.deadline()! - now).toBe(LINK_TIMING.pollMs)
  })

  it('tells within a second that a document is carried out', () => {
    startPolling()
    held = withPhases('use')
    give({ type: 'polled', document: held })
    expect(link.deadline()! - now).toBe(1000)
    const report = { ...REPORT, version: held.version }
    give({ type: 'report', report })
    expect(give({ type: 'time' }, link.deadline()!)).toEqual([{ type: 'poll', report, events: [], version: 8 }])
  })

  it('tells at once what is new of a change, but asks no more than four times a second', () => {
    held = withPhases('use', 'offer')
    startPolling()
    give({ type: 'report', report: REPORT })
    expect(link.deadline()).toBeUndefined()
    const asked = now
    give({ type: 'polled' }, now + 10)
    give({ type: 'report', report: { ...REPORT, at: 3 } }, now + 10)
    expect(link.deadline()! - asked).toBe(LINK_TIMING.hurryMs)
    expect(types(give({ type: 'time' }, link.deadline()!))).toEqual(['poll'])
    give({ type: 'polled', failure: 'unreachable' })
    give({ type: 'report', report: { ...REPORT, at: 4 } })
    expect(link.deadline()! - now).toBe(LINK_TIMING.retryMs)
  })

  it('tells events again that a failure may have lost', () => {
    const [first, second] = [5, 6].map((at) => ({ at, code: 'epoch-accepted', message: 'x' }))
    give({ type: 'event', event: first! })
    expect(startPolling()).toContainEqual({ type: 'poll', report: REPORT, events: [first], version: 7 })
    give({ type: 'event', event: second! })
    give({ type: 'polled', failure: 'unreachable' })
    const poll = { type: 'poll', report: REPORT, version: 7 }
    expect(give({ type: 'time' }, link.deadline()!)).toEqual([{ ...poll, events: [first, second] }])
    give({ type: 'polled' })
    expect(give({ type: 'time' }, link.deadline()!)).toEqual([{ ...poll, events: [] }])
  })

  it('does not tell events again that the control plane does not take', () => {
    give({ type: 'event', event: { at: 5, code: 'x', message: 'x' } })
    startPolling()
    give({ type: 'polled', failure: 'not taken', refused: true })
    const poll = { type: 'poll', report: REPORT, events: [], version: 7 }
    expect(give({ type: 'time' }, link.deadline()!)).toEqual([poll])
  })

  it('does not hurry where nothing changes', () => {
    held = { ...withPhases('use'), version: REPORT.version }
    startPolling()
    give({ type: 'polled' })
    give({ type: 'report', report: { ...REPORT, at: 3 } })
    expect(link.deadline()! - now).toBe(LINK_TIMING.pollMs)
  })

  it('asks every second at once where it starts within a change', () => {
    held = withPhases('use', 'accept')
    startPolling()
    give({ type: 'polled' })
    expect(link.deadline()! - now).toBe(1000)
  })

  it('asks less often when a change does not go on, and again every second when it does', () => {
    held = withPhases('offer')
    startPolling()
    const begun = now
    give({ type: 'polled' })
    while (link.deadline()! - now < LINK_TIMING.pollMs) {
      give({ type: 'time' }, link.deadline()!)
      give({ type: 'polled' })
    }
    expect(now - begun).toBe(LINK_TIMING.changingQuietMs)
    give({ type: 'time' }, link.deadline()!)
    give({ type: 'polled', document: withPhases('accept') })
    expect(link.deadline()! - now).toBe(1000)
  })

  it('holds nothing at first', () => {
    held = undefined
    expect(startPolling()).toContainEqual({ type: 'poll', report: REPORT, events: [], version: 0 })
    give({ type: 'polled' })
    expect(link.deadline()! - now).toBe(LINK_TIMING.pollMs)
  })

  it('does not hammer a control plane that refuses its identity', () => {
    give({ type: 'start' })
    give({ type: 'closed', reason: 'unauthorized', status: 401 })
    expect(link.deadline()! - now).toBe(LINK_TIMING.retryMaxMs)
  })

  it.each([
    ['revoked', 'revoked'],
    ['replaced', 'waiting'],
    ['protocol', 'waiting'],
  ] as const)('stays away for long after "%s"', (code, state) => {
    open()
    expect(types(say({ type: 'bye', code, detail: 'x' }))).toEqual(['disconnect', state])
    expect(link.deadline()! - now).toBe(LINK_TIMING.revokedMs)
    expect(types(give({ type: 'time' }, link.deadline()!))).toEqual(['connecting', 'connect'])
  })

  it.each(['', '{', 'null', '{"type":"welcome"}', '{"type":"nothing"}'])('drops a link on which %j comes', (text) => {
    open()
    expect(types(give({ type: 'message', text }))).toEqual(['disconnect', 'waiting'])
  })

  it('takes nothing from a link that it has left', () => {
    open()
    say({ type: 'bye', code: 'restart', detail: 'x' })
    expect(give({ type: 'closed', reason: 'late' })).toEqual([])
    expect(give({ type: 'opened' })).toEqual([])
    expect(give({ type: 'polled', document: DOCUMENT })).toEqual([])
    expect(say({ type: 'document', document: DOCUMENT })).toEqual([])
  })
})
