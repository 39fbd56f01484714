/**
 * Addresses, prefixes and socket addresses as canonical strings, so that they compare with `===`,
 * serve as Map keys and travel in JSON as they are.
 *
 * Canonical forms: IPv4 dotted quad; IPv6 per RFC 5952 section 4 (lower case, first longest run of two or more zero
 * groups as `::`), IPv4-mapped addresses included, which stay IPv6; a prefix has its host bits zero.
 */
declare const brand: unique symbol
export type Address = string & { readonly [brand]: 'Address' }
export type Prefix = string & { readonly [brand]: 'Prefix' }

export interface SocketAddress {
  readonly address: Address
  readonly port: number
}

export type Family = 4 | 6

/** The address in canonical form, or undefined if `text` is not an IPv4 or IPv6 address. */
export function parseAddress(text: string): Address | undefined {
  const bytes = text.includes(':') ? parseIpv6(text) : parseIpv4(text)
  return bytes === undefined ? undefined : formatAddress(bytes)
}

/** As `parseAddress`, for literals in code: throws a TypeError on a bad one. */
export function address(text: string): Address {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new TypeError(`not an IP address: ${text}`)
  return parsed
}

/** The prefix in canonical form with host bits cleared, or undefined. A bare address is a host prefix. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/')
  const parsed = parseAddress(slash < 0 ? text : text.slice(0, slash))
  if (parsed === undefined) return undefined
  const bytes = addressBytes(parsed)
  const max = bytes.length * 8
  const bitsText = slash < 0 ? String(max) : text.slice(slash + 1)
  if (!/^\d{1,3}$/.test(bitsText)) return undefined
  const bits = Number(bitsText)
  if (bits > max) return undefined
  return `${formatAddress(masked(bytes, bits))}/${bits}` as Prefix
}

/** As `parsePrefix`, for literals in code: throws a TypeError on a bad one. */
export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new TypeError(`not an IP prefix: ${text}`)
  return parsed
}

export function familyOf(value: Address | Prefix): Family {
  return value.includes(':') ? 6 : 4
}

/** Network byte order: 4 or 16 bytes, freshly allocated. */
export function addressBytes(value: Address): Uint8Array {
  const bytes = value.includes(':') ? parseIpv6(value) : parseIpv4(value)
  if (bytes === undefined) throw new TypeError(`not an IP address: ${value}`)
  return bytes
}

/** Canonical text of 4 or 16 bytes in network byte order. */
export function formatAddress(bytes: Uint8Array): Address {
  if (bytes.length === 4) return bytes.join('.') as Address
  if (bytes.length === 16) return formatIpv6(bytes) as Address
  throw new TypeError(`an IP address has 4 or 16 bytes, not ${bytes.length}`)
}

/** First and last address of a prefix, and its length in bits. */
export function prefixRange(value: Prefix): { first: Address; last: Address; bits: number } {
  const slash = value.indexOf('/')
  const bits = Number(value.slice(slash + 1))
  const first = addressBytes(value.slice(0, slash) as Address)
  const last = first.slice()
  for (let bit = bits; bit < last.length * 8; bit++) last[bit >> 3]! |= 0x80 >> (bit & 7)
  return { first: formatAddress(first), last: formatAddress(last), bits }
}

export function prefixContains(outer: Prefix, inner: Address): boolean {
  if (familyOf(outer) !== familyOf(inner)) return false
  const bits = Number(outer.slice(outer.indexOf('/') + 1))
  return outer === `${formatAddress(masked(addressBytes(inner), bits))}/${bits}`
}

/** `192.0.2.1:500` or `[2001:db8::1]:500`. */
export function formatSocketAddress(value: SocketAddress): string {
  return familyOf(value.address) === 6 ? `[${value.address}]:${value.port}` : `${value.address}:${value.port}`
}

export function sameSocketAddress(left: SocketAddress, right: SocketAddress): boolean {
  return left.port === right.port && left.address === right.address
}

function masked(bytes: Uint8Array, bits: number): Uint8Array {
  const out = bytes.slice()
  for (let bit = bits; bit < out.length * 8; bit++) out[bit >> 3]! &= ~(0x80 >> (bit & 7))
  return out
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const bytes = new Uint8Array(4)
  for (let i = 0; i < 4; i++) {
    const part = parts[i]!
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    bytes[i] = Number(part)
  }
  return bytes
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  // A dotted quad stands for the last 32 bits only (RFC 4291 section 2.2).
  if (halves.length > 2 || (halves.length === 2 && halves[0]!.includes('.'))) return undefined
  const head = ipv6Groups(halves[0]!)
  const tail = halves.length === 2 ? ipv6Groups(halves[1]!) : []
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail]
  const bytes = new Uint8Array(16)
  groups.forEach((group, i) => {
    bytes[2 * i] = group >> 8
    bytes[2 * i + 1] = group & 0xff
  })
  return bytes
}

/** The 16-bit groups of one side of `::`; a trailing dotted quad counts as two. */
function ipv6Groups(text: string): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (part.includes('.')) {
      const quad = i === parts.length - 1 ? parseIpv4(part) : undefined
      if (quad === undefined) return undefined
      groups.push((quad[0]! << 8) | quad[1]!, (quad[2]! << 8) | quad[3]!)
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined
      groups.push(Number.parseInt(part, 16))
    }
  }
  return groups.length > 8 ? undefined : groups
}

function formatIpv6(bytes: Uint8Array): string {
  const groups: number[] = []
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!)
  let best = { start: -1, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':')
  if (best.start < 0) return hex(0, 8)
  return `${hex(0, best.start)}::${hex(best.start + best.length, 8)}`
}
