/** Identities: in ID payloads (RFC 7296 section 3.5), in the configuration and in words. */
import { addressBytes, familyOf, formatAddress, parseAddress } from '../../../protocol/net.ts'
import type { Identity, IdentityType } from './types.ts'
import type { IdPayload } from './wire/types.ts'

const ID_TYPES: Readonly<Record<IdentityType, number>> = {
  ipv4: 1,
  fqdn: 2,
  email: 3,
  ipv6: 5,
  dn: 9,
  'key-id': 11,
}
/** Longest identity data that we send or accept; DNs and key ids stay far below it. */
const MAX_ID_LENGTH = 1024

export function identityPayload(type: 'IDi' | 'IDr', identity: Identity): IdPayload {
  return { type, idType: ID_TYPES[identity.type], data: identityData(identity) }
}

/** The ID payload's body as AUTH covers it: type, three reserved zero bytes, data. */
export function identityBody(id: Pick<IdPayload, 'idType' | 'data'>): Uint8Array {
  const body = new Uint8Array(4 + id.data.length)
  body[0] = id.idType
  body.set(id.data, 4)
  return body
}

/** The identity that an ID payload states, or undefined for an unknown type or data that does not fit its type. */
export function identityFromPayload(id: Pick<IdPayload, 'idType' | 'data'>): Identity | undefined {
  const type = (Object.keys(ID_TYPES) as IdentityType[]).find((name) => ID_TYPES[name] === id.idType)
  const { data } = id
  if (type === undefined || data.length === 0 || data.length > MAX_ID_LENGTH) return undefined
  switch (type) {
    case 'ipv4':
      return data.length === 4 ? { type, value: formatAddress(data) } : undefined
    case 'ipv6':
      return data.length === 16 ? { type, value: formatAddress(data) } : undefined
    case 'fqdn':
    case 'email': {
      const value = printable(data)
      return value === undefined ? undefined : { type, value }
    }
    case 'dn':
    case 'key-id':
      return { type, value: toHex(data) }
  }
}

/** True when two identities are the same. Domain names, also those of mail addresses, ignore case. */
export function sameIdentity(left: Identity, right: Identity): boolean {
  return left.type === right.type && comparable(left) === comparable(right)
}

/** Text that `parseIdentity` reads back. Safe for logs: printable ASCII only. */
export function identityText(identity: Identity): string {
  const { type, value } = identity
  if (type === 'dn') return `dn:${value}`
  if (type === 'key-id') return `keyid:${value}`
  const bare = parseIdentity(value)
  return 'type' in bare && bare.type === type ? value : `${type}:${value}`
}

export interface IdentityFault {
  /** One sentence for the user. */
  readonly error: string
}

/**
 * Reads an identity from the configuration. An IP address, a mail address or a host name is known by its form;
 * `@name` is always a host name; `ipv4:`, `ipv6:`, `fqdn:`, `email:`, `keyid:` (hex) and `dn:` (hex of the DER
 * encoding) say the type.
 */
export function parseIdentity(text: string): Identity | IdentityFault {
  const trimmed = text.trim()
  const colon = trimmed.indexOf(':')
  const label = colon < 0 ? undefined : TYPE_LABELS.get(trimmed.slice(0, colon).toLowerCase())
  if (label !== undefined) return identityOf(label, trimmed.slice(colon + 1))
  const parsed = parseAddress(trimmed)
  if (parsed !== undefined) return { type: familyOf(parsed) === 4 ? 'ipv4' : 'ipv6', value: parsed }
  if (trimmed.startsWith('@')) return identityOf('fqdn', trimmed.slice(1))
  return identityOf(trimmed.includes('@') ? 'email' : 'fqdn', trimmed)
}

const TYPE_LABELS: ReadonlyMap<string, IdentityType> = new Map([
  ['ipv4', 'ipv4'],
  ['ipv6', 'ipv6'],
  ['fqdn', 'fqdn'],
  ['email', 'email'],
  ['keyid', 'key-id'],
  ['key-id', 'key-id'],
  ['dn', 'dn'],
])

function identityOf(type: IdentityType, value: string): Identity | IdentityFault {
  if (type === 'ipv4' || type === 'ipv6') {
    const parsed = parseAddress(value)
    if (parsed === undefined || familyOf(parsed) !== (type === 'ipv4' ? 4 : 6))
      return { error: `'${value}' is not an ${type === 'ipv4' ? 'IPv4' : 'IPv6'} address` }
    return { type, value: parsed }
  }
  if (type === 'dn' || type === 'key-id') {
    const hex = value.toLowerCase()
    if (!/^([0-9a-f]{2})+$/.test(hex) || hex.length > 2 * MAX_ID_LENGTH)
      return {
        error: `the value after '${type === 'dn' ? 'dn' : 'keyid'}:' must be 1 to ${MAX_ID_LENGTH} bytes in hex`,
      }
    return { type, value: hex }
  }
  if (!/^[\x21-\x7e]{1,255}$/.test(value))
    return { error: `'${value}' is not an identity: 1 to 255 printable ASCII characters without blanks are needed` }
  if (type === 'email' && !/^[^@]+@[^@]+$/.test(value)) return { error: `'${value}' is not a mail address` }
  return { type, value }
}

function identityData(identity: Identity): Uint8Array {
  const { type, value } = identity
  if (type === 'ipv4' || type === 'ipv6') {
    const parsed = parseAddress(value)
    if (parsed === undefined) throw new TypeError(`not an IP address: ${value}`)
    return addressBytes(parsed)
  }
  if (type === 'dn' || type === 'key-id') return fromHex(value)
  return Uint8Array.from(value, (char) => char.charCodeAt(0))
}

function comparable({ type, value }: Identity): string {
  if (type === 'email') {
    const at = value.lastIndexOf('@')
    return value.slice(0, at) + value.slice(at).toLowerCase()
  }
  if (type === 'ipv4' || type === 'ipv6') return parseAddress(value) ?? value
  return value.toLowerCase()
}

function printable(data: Uint8Array): string | undefined {
  let text = ''
  for (const byte of data) {
    if (byte < 0x21 || byte > 0x7e) return undefined
    text += String.fromCharCode(byte)
  }
  return text
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function fromHex(hex: string): Uint8Array {
  const out = new Uint8Array(hex.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)
  return out
}
