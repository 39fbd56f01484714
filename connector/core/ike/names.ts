/**
 * Names of algorithms and their IANA numbers, and suites as text, spelled as strongSwan and the cloud providers'
 * consoles spell them: `aes128gcm16-prfsha256-x25519`, `aes256-sha256-prfsha256-ecp256`.
 */
import type { IkeCipher } from './crypto.ts'
import type { EncryptionName, EspProposal, GroupName, IkeProposal, IntegrityName, PrfName } from './types.ts'

interface EncryptionFacts {
  readonly id: number
  readonly keyBits: number
  /** False where the key has one length only and the Key Length attribute must be absent (RFC 7634 section 4). */
  readonly keyLengthAttribute: boolean
  readonly aead: boolean
}

const ENCRYPTIONS: Readonly<Record<EncryptionName, EncryptionFacts>> = {
  aes128gcm16: { id: 20, keyBits: 128, keyLengthAttribute: true, aead: true },
  aes256gcm16: { id: 20, keyBits: 256, keyLengthAttribute: true, aead: true },
  chacha20poly1305: { id: 28, keyBits: 256, keyLengthAttribute: false, aead: true },
  aes128: { id: 12, keyBits: 128, keyLengthAttribute: true, aead: false },
  aes256: { id: 12, keyBits: 256, keyLengthAttribute: true, aead: false },
}
const INTEGRITIES: Readonly<Record<IntegrityName, number>> = { sha256: 12, sha384: 13, sha512: 14 }
const PRFS: Readonly<Record<PrfName, number>> = { prfsha256: 5, prfsha384: 6, prfsha512: 7 }
const GROUPS: Readonly<Record<GroupName, number>> = {
  modp2048: 14,
  modp3072: 15,
  modp4096: 16,
  ecp256: 19,
  ecp384: 20,
  ecp521: 21,
  x25519: 31,
}

/** The ENCR transform of a name: `keyLength` in bits only where the attribute is sent. */
export function encryptionTransform(name: EncryptionName): { readonly id: number; readonly keyLength?: number } {
  const facts = ENCRYPTIONS[name]
  return facts.keyLengthAttribute ? { id: facts.id, keyLength: facts.keyBits } : { id: facts.id }
}

export function isAead(name: EncryptionName): boolean {
  return ENCRYPTIONS[name].aead
}

export function integrityId(name: IntegrityName): number {
  return INTEGRITIES[name]
}

/** PRF transform ID, as `IkeCrypto.prf` takes it. */
export function prfId(name: PrfName): number {
  return PRFS[name]
}

/** Key exchange method number, as in a KE payload and `IkeCrypto.generate`. */
export function groupId(name: GroupName): number {
  return GROUPS[name]
}

export function groupName(id: number): GroupName | undefined {
  return nameOf(GROUPS, id)
}

/** The cipher of the SK payload for a chosen proposal. */
export function ikeCipher(proposal: Pick<IkeProposal, 'encryption' | 'integrity'>): IkeCipher {
  const { id, keyBits } = ENCRYPTIONS[proposal.encryption]
  const integ = proposal.integrity === undefined ? {} : { integ: INTEGRITIES[proposal.integrity] }
  return { encr: id, keyLengthBits: keyBits, ...integ }
}

/** Name of the engine's suite for an ESP encryption algorithm. */
export function espSuite(name: EspProposal['encryption']): 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305' {
  if (name === 'aes128gcm16') return 'aes-128-gcm'
  return name === 'aes256gcm16' ? 'aes-256-gcm' : 'chacha20-poly1305'
}

/** Lengths in bytes. `key` excludes the salt, which follows it in SK_e and in KEYMAT. */
export interface CipherSizes {
  readonly key: number
  readonly salt: number
  readonly integKey: number
  readonly iv: number
  readonly icv: number
  /** The padded plaintext is a multiple of this. */
  readonly block: number
}

/** RFC 5282 section 7, RFC 7634 section 2, RFC 3602, RFC 4868 section 2.6. */
export function cipherSizes(cipher: IkeCipher): CipherSizes {
  const key = cipher.keyLengthBits / 8
  if (cipher.integ === undefined) return { key, salt: 4, integKey: 0, iv: 8, icv: 16, block: 1 }
  const hash = cipher.integ === 12 ? 32 : cipher.integ === 13 ? 48 : 64
  return { key, salt: 0, integKey: hash, iv: 16, icv: hash / 2, block: 16 }
}

/** Output length in bytes of a PRF, which is also its preferred key length (RFC 4868 section 2.4). */
export function prfLength(name: PrfName): number {
  return name === 'prfsha256' ? 32 : name === 'prfsha384' ? 48 : 64
}

/** Canonical text of a suite; `parseIkeProposal` and `parseEspProposal` read it back. */
export function suiteName(proposal: IkeProposal | EspProposal): string {
  const parts: (string | undefined)[] =
    'prf' in proposal
      ? [proposal.encryption, proposal.integrity, proposal.prf, proposal.group]
      : [proposal.encryption, proposal.group, proposal.esn ? 'esn' : undefined]
  return parts.filter((part) => part !== undefined).join('-')
}

export interface ProposalFault {
  /** One sentence for the user. */
  readonly error: string
}

/**
 * Reads an IKE suite. The PRF may be left out: it then follows the integrity algorithm of a CBC suite, as strongSwan
 * does it, and is `prfsha256` for an AEAD.
 */
export function parseIkeProposal(text: string): IkeProposal | ProposalFault {
  const parts = splitSuite(text)
  if ('error' in parts) return parts
  const { encryption, integrity, prf, group, esn } = parts
  if (esn !== undefined) return { error: `'${esn}' belongs to ESP, not to IKE` }
  if (group === undefined) return { error: `'${text}' names no key exchange group; add one, for example x25519` }
  if (isAead(encryption)) {
    if (integrity !== undefined)
      return {
        error: `${encryption} protects integrity by itself; leave out '${integrity}' (a PRF is written prf${integrity})`,
      }
    return { encryption, prf: prf ?? 'prfsha256', group }
  }
  if (integrity === undefined) return { error: `${encryption} needs an integrity algorithm, for example sha256` }
  return { encryption, integrity, prf: prf ?? (`prf${integrity}` as PrfName), group }
}

/** Reads an ESP suite: an AEAD, then a group for PFS and `esn` where wanted. */
export function parseEspProposal(text: string): EspProposal | ProposalFault {
  const parts = splitSuite(text)
  if ('error' in parts) return parts
  const { encryption, integrity, prf, group, esn } = parts
  if (encryption === 'aes128' || encryption === 'aes256')
    return { error: `${encryption} (CBC) is not offered for ESP; use ${encryption}gcm16 or chacha20poly1305` }
  const stray = integrity ?? prf
  if (stray !== undefined) return { error: `'${stray}' has no place in an ESP suite with ${encryption}` }
  return { encryption, ...(group === undefined ? {} : { group }), esn: esn === 'esn' }
}

interface SuiteParts {
  encryption: EncryptionName
  integrity?: IntegrityName
  prf?: PrfName
  group?: GroupName
  esn?: 'esn' | 'noesn'
}

const KINDS = ['encryption', 'integrity', 'prf', 'group', 'esn'] as const

function splitSuite(text: string): SuiteParts | ProposalFault {
  const found: Partial<Record<(typeof KINDS)[number], string>> = {}
  for (const word of text.trim().toLowerCase().split('-')) {
    const kind = kindOf(word)
    if (kind === undefined) return { error: `'${word}' is not an algorithm that Isthmus knows` }
    if (found[kind] !== undefined)
      return { error: `'${text}' names both ${found[kind]} and ${word}; write one suite per line` }
    found[kind] = word
  }
  if (found.encryption === undefined) return { error: `'${text}' names no encryption algorithm` }
  return found as SuiteParts
}

function kindOf(word: string): (typeof KINDS)[number] | undefined {
  if (Object.hasOwn(ENCRYPTIONS, word)) return 'encryption'
  if (Object.hasOwn(INTEGRITIES, word)) return 'integrity'
  if (Object.hasOwn(PRFS, word)) return 'prf'
  if (Object.hasOwn(GROUPS, word)) return 'group'
  return word === 'esn' || word === 'noesn' ? 'esn' : undefined
}

function nameOf<Name extends string>(table: Readonly<Record<Name, number>>, id: number): Name | undefined {
  return (Object.keys(table) as Name[]).find((name) => table[name] === id)
}
