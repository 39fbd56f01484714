import { describe, expect, test } from 'vitest'
import { bgpAction, pathOpinion } from './coupling.ts'
import type { BfdStateChange } from './machine.ts'

const LOST: BfdStateChange = {
  kind: 'state',
  from: 'up',
  to: 'down',
  diagnostic: 1,
  remote: 'up',
  remoteControlPlaneIndependent: false,
}

describe('what BFD says of the path (RFC 5882 sections 3.2, 4.2)', () => {
  test.each([
    ['up', { from: 'init', to: 'up' }],
    ['down', {}],
    ['down', { diagnostic: 3, remote: 'down' }],
    ['unknown', { to: 'admin-down', diagnostic: 7 }],
    ['unknown', { diagnostic: 3, remote: 'admin-down' }],
    ['unknown', { from: 'init', to: 'down' }],
    ['unknown', { from: 'down', to: 'init' }],
  ] as const)('%s: %o', (opinion, fields) => {
    expect(pathOpinion({ ...LOST, ...fields })).toBe(opinion)
  })
})

describe('what BGP does (section 4.3)', () => {
  const restart = { negotiated: true, restarting: false }

  test.each([
    // Fate of its own (4.3.1): forwarding has failed.
    ['withdraw', { remoteControlPlaneIndependent: true }, restart],
    ['withdraw', { remoteControlPlaneIndependent: true }, { ...restart, restarting: true }],
    // Shared fate (4.3.2): it may be the restart itself.
    ['end-session', {}, restart],
    ['none', {}, { ...restart, restarting: true }],
    ['withdraw', {}, { negotiated: false, restarting: false }],
    ['none', { remote: 'admin-down' }, restart],
    ['none', { to: 'admin-down' }, { negotiated: false, restarting: false }],
    ['none', { from: 'init', to: 'up' }, restart],
  ] as const)('%s: %o, %o', (action, fields, bgp) => {
    expect(bgpAction({ ...LOST, ...fields }, bgp)).toBe(action)
  })
})
