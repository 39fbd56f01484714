/**
 * AWS's rules for VPN connections, as the EC2 API reference states them (VpnTunnelOptionsSpecification, CreateVpnConnection,
 * CreateCustomerGateway): checked before any call, so that a fault is told with the rule and not as an error code.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import type { AwsOptions, CloudDraft } from '../../../protocol/control/cloud.ts'
import { type Address, familyOf, type Prefix, prefixContains, prefixRange } from '../../../protocol/net.ts'
import { utf8 } from '../bytes.ts'
import { type CodedFault, pointer } from '../refusal.ts'

const LINK_LOCAL = '169.254.0.0/16' as Prefix
/** "The following CIDR blocks are reserved and cannot be used." */
const RESERVED = ['169.254.0.0/30', '169.254.1.0/30', '169.254.2.0/30', '169.254.3.0/30', '169.254.4.0/30']
const RESERVED_INSIDE = new Set([...RESERVED, '169.254.5.0/30', '169.254.169.252/30'])
/** Where nobody on the internet can be. RFC 1918, RFC 6598, loopback, link-local, multicast and beyond. */
const PRIVATE = ['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12']
const NOT_PUBLIC = [...PRIVATE, '192.168.0.0/16', '224.0.0.0/3'] as Prefix[]

const PSK_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._'
const PSK_LENGTH = 48
const PSK = /^(?!0)[A-Za-z0-9._]{8,64}$/
const FINGERPRINT = 'isthmus fingerprint'

/** Octets of 169.254.0.0/16 that inside addresses are chosen from: the network's own tunnels count up from the first. */
const FIRST_OCTET = 171
const LAST_OCTET = 254

/** All faults of the draft, with JSON pointers. */
export function faultsOf(draft: CloudDraft): CodedFault[] {
  const { target, gateway, insideCidrs, options, routing, remote } = draft
  const faults: CodedFault[] = []
  const fault = (detail: string, ...at: (string | number)[]) => faults.push({ pointer: pointer(...at), detail })
  for (const [index, cidr] of (insideCidrs ?? []).entries()) {
    const words = insideFault(cidr)
    if (words !== undefined) fault(words, 'insideCidrs', index)
  }
  if (insideCidrs !== undefined && insideCidrs[0] === insideCidrs[1])
    fault('both tunnels have the same', 'insideCidrs', 1)
  if (gateway.address !== undefined && !isPublic(gateway.address)) {
    fault('AWS: the customer gateway needs a public, static IPv4 address', 'gateway', 'address')
  }
  if (target.kind === 'vpc' && !isAmazonAs(target.as)) {
    fault('AWS: the private AS of a gateway is 64512 to 65534, or 4200000000 to 4294967294', 'target', 'as')
  }
  if (target.kind === 'transit-gateway' && remote === undefined && routing === 'bgp') {
    fault('a transit gateway does not tell what lies behind it: list the prefixes', 'remote')
  }
  if (target.kind === 'transit-gateway' && routing === 'static') {
    fault('AWS: static routes of a connection are for virtual private gateways; use bgp', 'routing')
  }
  for (const [name, prefixes] of Object.entries({ local: draft.local ?? [], remote: remote ?? [] })) {
    for (const [index, prefix] of prefixes.entries()) {
      if (familyOf(prefix as Prefix) !== 4) fault('AWS: the tunnels carry IPv4', name, index)
    }
  }
  if (remote?.length === 0) fault('list at least one prefix, or leave it out', 'remote')
  if (draft.local?.length === 0) fault('list at least one prefix, or leave it out', 'local')
  return [...faults, ...optionFaults(options)]
}

function optionFaults({ ikeLifetimeS, childLifetimeS, rekeyMarginS, groups, encryption }: AwsOptions): CodedFault[] {
  const faults: CodedFault[] = []
  if (childLifetimeS >= ikeLifetimeS) {
    faults.push({ pointer: '/options/childLifetimeS', detail: 'AWS: it must be less than the lifetime of phase 1' })
  }
  if (rekeyMarginS > childLifetimeS / 2) {
    faults.push({
      pointer: '/options/rekeyMarginS',
      detail: 'AWS: between 60 seconds and half of the lifetime of phase 2',
    })
  }
  for (const [name, list] of Object.entries({ groups, encryption })) {
    if (new Set<unknown>(list).size !== list.length)
      faults.push({ pointer: `/options/${name}`, detail: 'one is there twice' })
  }
  return faults
}

/** What is wrong with a tunnel's inside CIDR, in AWS's words; undefined when nothing is. */
export function insideFault(cidr: string): string | undefined {
  const [base, length] = cidr.split('/')
  if (length !== '30' || !prefixContains(LINK_LOCAL, base as Address)) {
    return 'AWS: a size /30 CIDR block from the 169.254.0.0/16 range'
  }
  return RESERVED_INSIDE.has(cidr) ? `AWS: ${cidr} is reserved and cannot be used` : undefined
}

export function isPublic(address: string): boolean {
  return familyOf(address as Address) === 4 && !NOT_PUBLIC.some((each) => prefixContains(each, address as Address))
}

export function isAmazonAs(as: number): boolean {
  return (as >= 64_512 && as <= 65_534) || (as >= 4_200_000_000 && as <= 4_294_967_294)
}

/** AWS: 8 to 64 characters, letters, digits, periods and underscores, not beginning with zero. */
export function isPsk(text: string): boolean {
  return PSK.test(text)
}

/** A pre-shared key of 288 bits. `random`: that many fresh random bytes. */
export function makePsk(random: (length: number) => Uint8Array): string {
  for (;;) {
    const bytes = random(PSK_LENGTH)
    const text = Array.from(bytes, (byte) => PSK_LETTERS[byte & 63]).join('')
    bytes.fill(0)
    // One in sixty-four begins with zero.
    if (isPsk(text)) return text
  }
}

/** 16 hex digits that tell keys apart, and nothing of them: they have 288 bits, or AWS made them. */
export function pskFingerprint(psk: string): string {
  const hash = sha256(utf8(FINGERPRINT + psk)).subarray(0, 8)
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/**
 * Two inside CIDRs that nobody uses: `taken` and each other aside. `seed` spreads the choices of many connections that
 * are made at once. Undefined where there are no more.
 */
export function chooseInside(taken: Iterable<string>, seed: number): readonly [string, string] | undefined {
  const used = new Set(taken)
  const blocks = (LAST_OCTET - FIRST_OCTET + 1) * 64
  const chosen: string[] = []
  for (let step = 0; step < blocks && chosen.length < 2; step++) {
    const at = (seed + step) % blocks
    const cidr = `169.254.${FIRST_OCTET + Math.floor(at / 64)}.${(at % 64) * 4}/30`
    if (!used.has(cidr) && !RESERVED_INSIDE.has(cidr)) chosen.push(cidr)
  }
  return chosen.length === 2 ? [chosen[0]!, chosen[1]!] : undefined
}

/** AWS's address in an inside CIDR is the first host, ours the second. */
export function insideHosts(cidr: string): { readonly peer: string; readonly local: string } {
  const base = cidr.split('/')[0]!.split('.').map(Number)
  const host = (offset: number) => [...base.slice(0, 3), base[3]! + offset].join('.')
  return { peer: host(1), local: host(2) }
}

export function overlaps(left: string, right: string): boolean {
  if (familyOf(left as Prefix) !== familyOf(right as Prefix)) return false
  const [one, other] = [prefixRange(left as Prefix), prefixRange(right as Prefix)]
  return prefixContains(left as Prefix, other.first) || prefixContains(right as Prefix, one.first)
}
