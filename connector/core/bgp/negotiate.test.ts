import { describe, expect, it } from 'vitest'
import { negotiate, openOf } from './negotiate.ts'
import type { SessionConfig } from './session-types.ts'
import { CONFIG, PEER_OPEN } from './testing/driven.ts'
import {
  type Capability,
  decodeMessage,
  encodeOpen,
  FAULTS,
  isBgpFault,
  type OpenMessage,
  ROLE,
  type Role,
} from './wire/codec.ts'

const RESTART = { restartTimeS: 120, notification: true, forwarding: true }

describe('our OPEN', () => {
  it('is what is configured, and reads back', () => {
    const config = { ...CONFIG, localAs: 4_200_000_001, role: 'customer' as const, gracefulRestart: RESTART }
    const open = openOf(config, true)
    expect(open).toMatchObject({ myAs: 23_456, holdTime: 90, bgpIdentifier: 0xc0000201 })
    expect(open.capabilities).toContainEqual({ type: 'four-octet-as', asn: 4_200_000_001 })
    expect(open.capabilities).toContainEqual({ type: 'role', role: 3 })
    const families = [1, 2].map((afi) => ({ afi, safi: 1, forwarding: true }))
    expect(open.capabilities).toContainEqual({
      type: 'graceful-restart',
      restarting: true,
      notification: true,
      restartTime: 120,
      families,
    })
    const options = { fourOctetAs: true, extendedMessages: false, internal: false, families: [] }
    expect(decodeMessage(encodeOpen(open), options)).toEqual(open)
  })

  it('tells no role within an AS, and forwarding only of a restart', () => {
    const open = openOf({ ...CONFIG, peerAs: CONFIG.localAs, role: 'peer', gracefulRestart: RESTART }, false)
    expect(open.capabilities.map(({ type }) => type)).not.toContain('role')
    const restart = open.capabilities.find((each) => each.type === 'graceful-restart')
    expect(restart?.restarting).toBe(false)
    expect(restart?.families.map(({ forwarding }) => forwarding)).toEqual([false, false])
  })
})

it('a helper names no family: nobody is to wait for it (RFC 4724 section 4)', () => {
  const open = openOf({ ...CONFIG, gracefulRestart: { ...RESTART, helperOnly: true } }, true)
  expect(open.capabilities.find((each) => each.type === 'graceful-restart')).toMatchObject({ families: [] })
})

describe('what both may do', () => {
  it('is the least of both', () => {
    expect(agreed({})).toEqual({
      peerAs: 65_002,
      peerIdentifier: 0xc0000202,
      internal: false,
      holdTimeS: 30,
      families: [4, 6],
      fourOctetAs: true,
      extendedIn: true,
      extendedOut: true,
      routeRefresh: true,
      enhancedRefresh: true,
    })
    expect(agreed({}, { holdTimeS: 9, families: [6], extendedMessages: false })).toMatchObject({
      holdTimeS: 9,
      families: [6],
      extendedIn: false,
      extendedOut: true,
    })
  })

  it('with a peer without capabilities is IPv4 with two-octet AS numbers', () => {
    expect(agreed({ capabilities: [] })).toMatchObject({
      families: [4],
      fourOctetAs: false,
      extendedOut: false,
      routeRefresh: false,
      enhancedRefresh: false,
    })
  })

  it('graceful restart needs both; the families are those in common', () => {
    const theirs: Capability = {
      type: 'graceful-restart',
      restarting: true,
      notification: true,
      restartTime: 77,
      families: [
        { afi: 1, safi: 1, forwarding: true },
        { afi: 2, safi: 1, forwarding: false },
        { afi: 1, safi: 128, forwarding: true },
      ],
    }
    const open = { capabilities: [...PEER_OPEN.capabilities, theirs] }
    expect(agreed(open).gracefulRestart).toBeUndefined()
    expect(agreed(open, { gracefulRestart: RESTART }).gracefulRestart).toEqual({
      restarting: true,
      notification: true,
      restartTimeS: 77,
      families: [4, 6],
      preserved: [4],
    })
    const quiet = { ...RESTART, notification: false }
    expect(agreed(open, { gracefulRestart: quiet, families: [6] }).gracefulRestart).toMatchObject({
      notification: false,
      families: [6],
      preserved: [],
    })
  })

  it('of a capability told twice the last counts', () => {
    const four = (asn: number): Capability => ({ type: 'four-octet-as', asn })
    expect(agreed({ capabilities: [four(1), four(65_002)] }).peerAs).toBe(65_002)
  })
})

describe('an OPEN that is refused', () => {
  it.each<[string, Partial<OpenMessage>, Partial<SessionConfig>, number]>([
    ['another AS', { myAs: 65_003, capabilities: [] }, {}, 2],
    ['another AS of four octets', {}, { peerAs: 70_000 }, 2],
    ['our identifier within our AS', { bgpIdentifier: CONFIG.identifier }, { localAs: 65_002 }, 3],
    ['a shorter hold time than we take', { holdTime: 5 }, { leastHoldTimeS: 6 }, 6],
    ['no hold time', { holdTime: 0 }, {}, 6],
  ])('%s', (_name, open, config, subcode) => {
    const found = negotiate({ ...CONFIG, ...config }, { ...PEER_OPEN, ...open })
    expect(found).toMatchObject({ code: 2, subcode, consequence: 'session-reset', data: new Uint8Array(0) })
  })

  it('families of which none is ours: Data lists those that we need (RFC 5492 section 3)', () => {
    const found = negotiate(
      { ...CONFIG, families: [6] },
      { ...PEER_OPEN, capabilities: [{ type: 'four-octet-as', asn: 65_002 }] },
    )
    expect(found).toMatchObject({ fault: 'open-capability', code: 2, subcode: 7 })
    expect(found).toMatchObject({ data: Uint8Array.of(1, 4, 0, 2, 0, 1) })
  })

  it('our identifier is fine in another AS (RFC 6286)', () => {
    expect(agreed({ bgpIdentifier: CONFIG.identifier }).peerIdentifier).toBe(CONFIG.identifier)
  })
})

describe('roles (RFC 9234 section 4.2)', () => {
  const roles = Object.keys(ROLE) as Role[]
  const PAIRS: ReadonlySet<string> = new Set([
    'provider customer',
    'customer provider',
    'routeServer routeServerClient',
    'routeServerClient routeServer',
    'peer peer',
  ])

  it.each(roles.flatMap((ours) => roles.map((theirs) => [ours, theirs] as const)))('%s and %s', (role, theirs) => {
    const found = withRoles(role, [ROLE[theirs]])
    if (PAIRS.has(`${role} ${theirs}`)) expect(found).toMatchObject({ peerRole: theirs })
    else expect(found).toMatchObject({ fault: 'open-role', ...pick(FAULTS['open-role']) })
  })

  it('none told is taken, unless we are strict', () => {
    expect(isBgpFault(withRoles('peer', []))).toBe(false)
    expect(withRoles('peer', [], true)).toMatchObject({ code: 2, subcode: 11 })
  })

  it('a number that is no role, and two that contradict, are mismatches; the same twice is not', () => {
    expect(withRoles('peer', [9])).toMatchObject({ subcode: 11 })
    expect(withRoles('peer', [ROLE.peer, ROLE.customer])).toMatchObject({ subcode: 11 })
    expect(withRoles('peer', [ROLE.peer, ROLE.peer])).toMatchObject({ peerRole: 'peer' })
  })

  it('within an AS they mean nothing', () => {
    const open = {
      ...PEER_OPEN,
      capabilities: [...PEER_OPEN.capabilities, { type: 'role' as const, role: ROLE.provider }],
    }
    const found = negotiate({ ...CONFIG, localAs: 65_002, role: 'provider', strictRole: true }, open)
    expect(isBgpFault(found)).toBe(false)
    expect(found).not.toHaveProperty('peerRole')
  })
})

function agreed(open: Partial<OpenMessage>, config: Partial<SessionConfig> = {}) {
  const found = negotiate({ ...CONFIG, ...config }, { ...PEER_OPEN, ...open })
  if (isBgpFault(found)) throw new Error(found.reason)
  return found
}

function withRoles(role: Role, told: readonly number[], strictRole = false) {
  const capabilities = [...PEER_OPEN.capabilities, ...told.map((each) => ({ type: 'role' as const, role: each }))]
  return negotiate({ ...CONFIG, role, strictRole }, { ...PEER_OPEN, capabilities })
}

function pick({ code, subcode, consequence }: { code: number; subcode: number; consequence: string }) {
  return { code, subcode, consequence }
}
