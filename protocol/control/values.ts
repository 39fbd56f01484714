/** Values that occur in several documents, with the checks that give each fault its words. */
import { z } from 'zod'
import { type Address, parseAddress, parsePrefix } from '../net.ts'

/** Names of sites, tunnels and the rest: as in `isthmus.yaml`. */
export const nameSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/, 'a name is 1 to 63 lower-case letters, digits, dots and dashes')
  .meta({ description: 'A name, unique among its kind in the network.', examples: ['hq'] })

/** What is wrong with `text` as a network prefix, in words that name the right one; undefined when nothing is. */
export function prefixFault(text: string): string | undefined {
  const prefix = parsePrefix(text)
  if (prefix === undefined) return 'not a network prefix, like 10.1.0.0/16'
  const written: Address | undefined = parseAddress(text.split('/')[0]!)
  return prefix.startsWith(`${written}/`) ? undefined : `host bits are set: the network is ${prefix}`
}

/** In canonical form (`net.ts`) once parsed. */
export const prefixSchema = z
  .string()
  .max(49)
  .superRefine((text, context) => {
    const message = prefixFault(text)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })
  .overwrite((text) => parsePrefix(text) ?? text)
  .meta({ description: 'An IPv4 or IPv6 network prefix; host bits must be zero.', examples: ['10.1.0.0/16'] })

export const addressSchema = z
  .string()
  .max(45)
  .refine((text) => parseAddress(text) !== undefined, 'not an IP address')
  .overwrite((text) => parseAddress(text) ?? text)
  .meta({ description: 'An IPv4 or IPv6 address.', examples: ['192.0.2.1'] })

/** Milliseconds since 1970, UTC. */
export const instantSchema = z.int().min(0).meta({ description: 'Milliseconds since 1970-01-01, UTC.' })

/** 32 bytes, base64url without padding: an Ed25519 or X25519 public key. */
export const publicKeySchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/, 'not a public key of 32 bytes in base64url')
  .meta({ description: 'A public key of 32 bytes, base64url without padding.' })

/** A compact JSON Web Signature (RFC 7515 section 7.1) by EdDSA (RFC 8037). */
export const jwsSchema = z
  .string()
  .max(4096)
  .regex(/^[\w-]+\.[\w-]+\.[\w-]+$/, 'not a compact JSON Web Signature')
  .meta({ description: 'A compact JSON Web Signature, EdDSA.' })

/** Number of a key of a tunnel; never used twice. Four octets where the key is derived. */
export const epochNumberSchema = z.int().min(1).max(0xffff_ffff)

/** SHA-256 of a key and its names, the first 16 hex digits: tells keys apart, and nothing of them. */
export const fingerprintSchema = z.string().regex(/^[0-9a-f]{16}$/)

export const portSchema = z.int().min(1).max(65_535)
export const revisionSchema = z.int().min(1).meta({ description: 'Grows with every change of the resource.' })
