/** Options of a tunnel: AWS's defaults, and its rules (VpnTunnelOptionsSpecification in the EC2 API reference). */
import { createHash } from 'node:crypto'
import { Ec2Error, invalid } from './ec2-error.ts'
import { type Account, connectionState } from './ec2-state.ts'
import type { Fields, Value } from './sdk-model.ts'

const listed = (...values: readonly (string | number)[]) => values.map((each) => ({ Value: each }))
const CIPHERS = ['AES128', 'AES256', 'AES128-GCM-16', 'AES256-GCM-16']
const HASHES = ['SHA1', 'SHA2-256', 'SHA2-384', 'SHA2-512']
const GROUPS_1 = [2, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]
const GROUPS_2 = [2, 5, ...GROUPS_1.slice(1)]
const RESERVED = [
  '169.254.0.0/30',
  '169.254.1.0/30',
  '169.254.2.0/30',
  '169.254.3.0/30',
  '169.254.4.0/30',
  '169.254.5.0/30',
  '169.254.169.252/30',
]

export const DEFAULTS: Fields = {
  Phase1LifetimeSeconds: 28_800,
  Phase2LifetimeSeconds: 3_600,
  RekeyMarginTimeSeconds: 270,
  RekeyFuzzPercentage: 100,
  ReplayWindowSize: 1_024,
  DPDTimeoutSeconds: 30,
  DPDTimeoutAction: 'clear',
  Phase1EncryptionAlgorithms: listed(...CIPHERS),
  Phase2EncryptionAlgorithms: listed(...CIPHERS),
  Phase1IntegrityAlgorithms: listed(...HASHES),
  Phase2IntegrityAlgorithms: listed(...HASHES),
  Phase1DHGroupNumbers: listed(...GROUPS_1),
  Phase2DHGroupNumbers: listed(...GROUPS_2),
  IKEVersions: listed('ikev1', 'ikev2'),
  StartupAction: 'add',
}
/** What ModifyVpnTunnelOptions sets where it is not told otherwise. */
export const MODIFY_DEFAULTS: Fields = { DPDTimeoutSeconds: 40 }

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  Phase1LifetimeSeconds: [900, 28_800],
  Phase2LifetimeSeconds: [900, 3_600],
  RekeyFuzzPercentage: [0, 100],
  ReplayWindowSize: [64, 2_048],
}
const CHOICES: Readonly<Record<string, readonly (string | number)[]>> = {
  Phase1EncryptionAlgorithms: CIPHERS,
  Phase2EncryptionAlgorithms: CIPHERS,
  Phase1IntegrityAlgorithms: HASHES,
  Phase2IntegrityAlgorithms: HASHES,
  Phase1DHGroupNumbers: GROUPS_1,
  Phase2DHGroupNumbers: GROUPS_2,
  IKEVersions: ['ikev1', 'ikev2'],
}

const ACTIONS: Readonly<Record<string, readonly string[]>> = {
  DPDTimeoutAction: ['clear', 'none', 'restart'],
  StartupAction: ['add', 'start'],
}
/** Kept beside the others. */
const OWN = ['PreSharedKey', 'TunnelInsideCidr']

/** `options` over `base`, without key and inside CIDR. Throws Ec2Error. */
export function merged(base: Fields, options: Fields): Fields {
  if (options.TunnelInsideIpv6Cidr !== undefined) throw new Ec2Error('UnsupportedOperation', 'Only IPv4 is supported.')
  const all: Record<string, Value> = { ...base }
  for (const [name, value] of Object.entries(options)) if (!OWN.includes(name)) all[name] = value
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const value = all[name] as number
    if (value < least || value > most) throw invalid(name, value, `Constraints: between ${least} and ${most}.`)
  }
  refuseTimes(all)
  for (const [name, known] of Object.entries(ACTIONS)) {
    if (!known.includes(all[name] as string)) throw invalid(name, all[name], `Valid Values: ${known.join(' | ')}`)
  }
  for (const [name, known] of Object.entries(CHOICES)) {
    const list = all[name] as readonly Fields[]
    const stranger = list.find((each) => !known.includes(each.Value as string | number))
    if (stranger !== undefined) throw invalid(name, stranger.Value, `Valid Values: ${known.join(' | ')}`)
  }
  return all
}

function refuseTimes(all: Fields): void {
  const { Phase1LifetimeSeconds, Phase2LifetimeSeconds, RekeyMarginTimeSeconds, DPDTimeoutSeconds } = all
  const second = Phase2LifetimeSeconds as number
  if (second >= (Phase1LifetimeSeconds as number)) {
    throw invalid('Phase2LifetimeSeconds', second, 'It must be less than Phase1LifetimeSeconds.')
  }
  const margin = RekeyMarginTimeSeconds as number
  if (margin < 60 || margin > second / 2) {
    throw invalid('RekeyMarginTimeSeconds', margin, 'Constraints: between 60 and half of Phase2LifetimeSeconds.')
  }
  if ((DPDTimeoutSeconds as number) < 30) {
    throw invalid('DPDTimeoutSeconds', DPDTimeoutSeconds, 'Constraints: greater than or equal to 30.')
  }
}

/** Those that somebody has set, and that are shown therefore. */
export function givenNames(options: Fields): Set<string> {
  return new Set(Object.keys(options).filter((name) => !OWN.includes(name)))
}

/** The key that was given, or one that AWS makes; `seed` tells it from others. */
export function keyOf(given: Value, seed: string): string {
  if (given === undefined)
    return `a${createHash('sha256').update(`psk ${seed}`).digest('base64url').slice(0, 31).replaceAll('-', '.')}`
  const psk = String(given)
  if (/^(?!0)[A-Za-z0-9._]{8,64}$/.test(psk)) return psk
  const why = 'The pre-shared key must have 8 to 64 letters, digits, periods and underscores, and not begin with zero.'
  throw new Ec2Error('InvalidParameterValue', why)
}

/** Unique among the connections of the same gateway. */
export function insideOf(account: Account, gateway: string, given: Value, taken: readonly string[]): string {
  const used = new Set([
    ...taken,
    ...account.vpnConnections
      .filter(
        (each) => connectionState(account, each) !== 'deleted' && (each.vpnGateway ?? each.transitGateway) === gateway,
      )
      .flatMap(({ tunnels }) => tunnels.map(({ insideCidr }) => insideCidr)),
  ])
  if (given === undefined) {
    for (let at = 0; ; at++) {
      const cidr = `169.254.${10 + (at >> 6)}.${(at & 63) << 2}/30`
      if (!used.has(cidr)) return cidr
    }
  }
  const cidr = String(given)
  const match = /^169\.254\.(\d{1,3})\.(\d{1,3})\/30$/.exec(cidr)
  if (
    match === null ||
    Number(match[1]) > 255 ||
    Number(match[2]) % 4 !== 0 ||
    Number(match[2]) > 252 ||
    RESERVED.includes(cidr)
  ) {
    throw invalid('TunnelInsideCidr', cidr, 'A size /30 CIDR block from the 169.254.0.0/16 range that is not reserved.')
  }
  if (used.has(cidr)) throw invalid('TunnelInsideCidr', cidr, 'It is in use by another connection of the gateway.')
  return cidr
}
