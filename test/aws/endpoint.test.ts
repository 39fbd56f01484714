import { describe, expect, test } from 'vitest'
import type { CarriedConnection, CarriedTunnel } from './carrier.ts'
import { endpointBird, insideAddresses, vpcBird } from './endpoint-bird.ts'
import { readStatus } from './endpoint-scripts.ts'
import { endpointConnection, espProposals, ikeProposals } from './endpoint-words.ts'

const TUNNEL: CarriedTunnel = {
  outside: '203.0.113.2',
  insideCidr: '169.254.20.4/30',
  psk: 'abc.def_ghi',
  phase1: { encryption: ['AES256-GCM-16'], integrity: ['SHA2-384'], groups: [20], lifetimeS: 28_800 },
  phase2: { encryption: ['AES256-GCM-16'], integrity: ['SHA2-384'], groups: [20], lifetimeS: 900 },
  dpd: { action: 'restart', timeoutS: 40 },
  startup: 'start',
}
const CONNECTION: CarriedConnection = {
  id: 'vpn-1',
  customer: { address: '198.51.100.7', as: 65_010 },
  amazonAs: 64_512,
  announces: ['10.9.0.0/16'],
  tunnels: [TUNNEL, TUNNEL],
}
const phase = (encryption: string[], integrity: string[], groups: number[]) => ({
  encryption,
  integrity,
  groups,
  lifetimeS: 3600,
})

describe("AWS's words in strongSwan's", () => {
  test.each([
    [['AES256-GCM-16'], ['SHA2-384'], [20], 'aes256gcm16-prfsha384-ecp384', 'aes256gcm16-ecp384'],
    [
      ['AES128', 'AES256'],
      ['SHA1'],
      [2, 14],
      'aes128-aes256-sha1-modp1024-modp2048',
      'aes128-aes256-sha1-modp1024-modp2048',
    ],
    [
      ['AES128', 'AES128-GCM-16'],
      ['SHA2-256', 'SHA2-512'],
      [19, 24],
      'aes128gcm16-prfsha256-prfsha512-ecp256-modp2048s256,aes128-sha256-sha512-ecp256-modp2048s256',
      'aes128gcm16-ecp256-modp2048s256,aes128-sha256-sha512-ecp256-modp2048s256',
    ],
  ])('%j with %j and groups %j', (encryption, integrity, groups, ike, esp) => {
    expect(ikeProposals(phase(encryption, integrity, groups))).toBe(ike)
    expect(espProposals(phase(encryption, integrity, groups))).toBe(esp)
  })

  test.each([
    [['AES512'], ['SHA2-256'], [14], 'AWS has no AES512'],
    [['AES128'], ['MD5'], [14], 'AWS has no MD5'],
    [['AES128'], ['SHA1'], [31], 'AWS has no 31'],
    [['constructor'], ['SHA1'], [14], 'AWS has no constructor'],
    [[], ['SHA1'], [14], 'no encryption algorithm'],
  ])('not %j with %j and groups %j', (encryption, integrity, groups, message) => {
    expect(() => ikeProposals(phase(encryption, integrity, groups))).toThrow(message)
  })

  test('lives, dead peers and identities', () => {
    const made = endpointConnection(CONNECTION, TUNNEL, '/run/updown')
    expect(made).toMatchObject({ local: '203.0.113.2', remote: '198.51.100.7', rekeySeconds: 28_530 })
    expect(made.extra).toBe('dpd_delay = 14s')
    expect(made.children[0]).toMatchObject({ rekeySeconds: 630, local: '0.0.0.0/0' })
    expect(made.children[0]!.extra).toContain('dpd_action = restart')
    const none = endpointConnection(CONNECTION, { ...TUNNEL, dpd: { action: 'none', timeoutS: 30 } }, '/run/updown')
    expect(none.extra).toBe('')
  })
})

describe('routing', () => {
  test.each([
    ['169.254.20.0/30', '169.254.20.1', '169.254.20.2'],
    ['169.254.255.252/30', '169.254.255.253', '169.254.255.254'],
  ])('the hosts of %s', (cidr, amazon, customer) => {
    expect(insideAddresses(cidr)).toEqual({ amazon, customer })
  })

  test.each(['169.254.20.0/29', '169.254.20.2/30', 'fd00::/126', ''])('%j is no /30', (cidr) => {
    expect(() => insideAddresses(cidr)).toThrow(RangeError)
  })

  test('BGP with the customer, or the routes that were written down', () => {
    const dynamic = endpointBird(CONNECTION, TUNNEL, 1)
    expect(dynamic).toContain('local 169.254.20.5 as 64512;\n  neighbor 169.254.20.6 as 65010;')
    expect(dynamic).toContain('neighbor 198.18.2.2 as 64512;')
    const fixed = endpointBird({ ...CONNECTION, staticRoutes: ['10.8.1.0/24'] }, TUNNEL, 0)
    expect(fixed).toContain('route 10.8.1.0/24 via "ipsec0";')
    expect(fixed).not.toContain('neighbor 169.254')
    expect(vpcBird(CONNECTION)).toContain('route 10.9.0.0/16 blackhole;')
  })
})

describe('what the daemons say', () => {
  const sa = 'list-sa event {c {state=ESTABLISHED child-sas {t-1 {name=t state=INSTALLED}}}}\n'
  const bird = (state: string, info: string) =>
    `Name Proto Table State Since Info\ncustomer   BGP   ---   ${state}   2026-12-01 04:00:00.500  ${info}\n    Routes:         3 imported, 1 exported, 3 preferred\n`
  const since = Date.parse('2026-12-01T04:00:00.500Z')

  test.each([
    [sa + bird('up', 'Established'), true, true, since, 3, '3 BGP ROUTES'],
    [sa + bird('start', 'Connect'), true, false, since, 0, 'IPSEC IS UP'],
    [bird('down', ''), true, false, since, 0, 'IPSEC IS DOWN'],
    [bird('up', 'Established'), true, false, since, 0, 'IPSEC IS DOWN'],
    [sa + bird('up', ''), false, true, since, 0, 'IPSEC IS UP'],
    ['', true, false, 77, 0, 'IPSEC IS DOWN'],
  ])('%#', (said, bgp, up, at, acceptedRoutes, message) => {
    expect(readStatus(said, bgp, 77)).toEqual({ up, since: at, acceptedRoutes, message })
  })

  test('which routes came by BGP', () => {
    const route = (prefix: string) => `${prefix}    unicast [customer 04:00:01.200] * (100) [AS65010i]\n\tvia 10.0.0.1`
    const said = `${sa}${bird('up', 'Established')}Table master4:\n${route('10.8.1.0/24')}\n${route('10.8.2.0/24')}\n`
    expect(readStatus(said, true, 77).accepted).toEqual(['10.8.1.0/24', '10.8.2.0/24'])
    expect(readStatus(said, false, 77).accepted).toBeUndefined()
  })
})
