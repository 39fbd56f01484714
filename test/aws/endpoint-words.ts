/** AWS's words for a tunnel's options, in strongSwan's. */
import type { StrongSwanConnection } from '../interop/strongswan.ts'
import type { CarriedConnection, CarriedTunnel } from './carrier.ts'

export const CONNECTION = 'c'
export const CHILD = 't'

const ENCRYPTION: Readonly<Record<string, { readonly word: string; readonly aead: boolean }>> = {
  AES128: { word: 'aes128', aead: false },
  AES256: { word: 'aes256', aead: false },
  'AES128-GCM-16': { word: 'aes128gcm16', aead: true },
  'AES256-GCM-16': { word: 'aes256gcm16', aead: true },
}
const INTEGRITY: Readonly<Record<string, string>> = {
  SHA1: 'sha1',
  'SHA2-256': 'sha256',
  'SHA2-384': 'sha384',
  'SHA2-512': 'sha512',
}
/** Numbers of the IANA registry "Transform Type 4". */
const GROUPS: Readonly<Record<number, string>> = {
  2: 'modp1024',
  5: 'modp1536',
  14: 'modp2048',
  15: 'modp3072',
  16: 'modp4096',
  17: 'modp6144',
  18: 'modp8192',
  19: 'ecp256',
  20: 'ecp384',
  21: 'ecp521',
  22: 'modp1024s160',
  23: 'modp2048s224',
  24: 'modp2048s256',
}
/** What AWS takes where nothing else is said: so long before the end of its life a key is renewed. */
const REKEY_MARGIN_S = 270

type Phase = CarriedTunnel['phase1']

/** Proposals of IKE, comma separated; throws a RangeError where a word is none of AWS's, or none is left. */
export function ikeProposals(phase: Phase): string {
  return proposals(phase, (integrity) => `prf${integrity}`)
}

/** Proposals of ESP, with the groups for perfect forward secrecy. */
export function espProposals(phase: Phase): string {
  return proposals(phase, undefined)
}

/** Combined-mode algorithms stand apart from the others: they go with no integrity algorithm (RFC 7296 section 3.3). */
function proposals(phase: Phase, prf: ((integrity: string) => string) | undefined): string {
  const ciphers = phase.encryption.map((name) => known(ENCRYPTION, name))
  const integrity = phase.integrity.map((name) => known(INTEGRITY, name))
  const groups = phase.groups.map((group) => known(GROUPS, group))
  const aead = ciphers.filter((cipher) => cipher.aead).map(({ word }) => word)
  const plain = ciphers.filter((cipher) => !cipher.aead).map(({ word }) => word)
  const found: string[] = []
  if (aead.length > 0) found.push([...aead, ...(prf === undefined ? [] : integrity.map(prf)), ...groups].join('-'))
  if (plain.length > 0) found.push([...plain, ...integrity, ...groups].join('-'))
  if (found.length === 0) throw new RangeError('no encryption algorithm')
  return found.join(',')
}

function known<T>(table: Readonly<Record<string | number, T>>, name: string | number): T {
  const found = Object.hasOwn(table, name) ? table[name] : undefined
  if (found === undefined) throw new RangeError(`AWS has no ${name}`)
  return found
}

/** The connection of one endpoint. `updown`: a program to run when a Child SA comes or goes. */
export function endpointConnection(
  connection: CarriedConnection,
  tunnel: CarriedTunnel,
  updown: string,
): StrongSwanConnection {
  const { dpd, phase1, phase2 } = tunnel
  return {
    local: tunnel.outside,
    remote: connection.customer.address,
    secret: tunnel.psk,
    proposals: ikeProposals(phase1),
    rekeySeconds: renewal(phase1.lifetimeS),
    extra: dpd.action === 'none' ? '' : `dpd_delay = ${Math.ceil(dpd.timeoutS / 3)}s`,
    children: [
      {
        name: CHILD,
        local: '0.0.0.0/0',
        remote: '0.0.0.0/0',
        proposals: espProposals(phase2),
        rekeySeconds: renewal(phase2.lifetimeS),
        extra: `updown = ${updown}\n dpd_action = ${dpd.action === 'restart' ? 'restart' : 'clear'}`,
      },
    ],
  }
}

function renewal(lifetimeS: number): number {
  return Math.max(lifetimeS - REKEY_MARGIN_S, Math.ceil(lifetimeS / 2))
}
