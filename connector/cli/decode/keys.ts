/** The key file: `KeyLogEntry` values as JSON Lines, or one object `{ "ike": [...], "esp": [...] }`. */
import { z } from 'zod'
import type { IkeCipher } from '../../core/ike/crypto.ts'
import { cipherSizes, ikeCipher, isAead } from '../../core/ike/names.ts'
import type { EncryptionName } from '../../core/ike/types.ts'

export interface IkeKeys {
  readonly cipher: IkeCipher
  readonly skEi: Uint8Array
  readonly skEr: Uint8Array
  readonly skAi: Uint8Array
  readonly skAr: Uint8Array
}

export interface EspKeys {
  readonly cipher: IkeCipher
  /** The salt is at its end. */
  readonly key: Uint8Array
  readonly esn: boolean
  /** High half of the last sequence number that verified; the decoder moves it. */
  high: number
}

export interface KeyRing {
  /** By initiator SPI | responder SPI in hex. */
  readonly ike: ReadonlyMap<string, IkeKeys>
  /** By SPI; two peers may have chosen the same one. */
  readonly esp: ReadonlyMap<number, readonly EspKeys[]>
}

export const NO_KEYS: KeyRing = { ike: new Map(), esp: new Map() }

/** More than enough for a month of rekeys; a file beyond it is not a key file. */
const MAX_ENTRIES = 200_000

const hexBytes = z.string().regex(/^([0-9a-fA-F]{2})*$/, 'must be hexadecimal bytes')
const ikeSpi = z.string().regex(/^[0-9a-fA-F]{16}$/, 'must be 16 hexadecimal digits')

const ikeEntry = z
  .object({
    kind: z.literal('ike').optional(),
    initiatorSpi: ikeSpi,
    responderSpi: ikeSpi,
    encryption: z.enum(['aes128gcm16', 'aes256gcm16', 'chacha20poly1305', 'aes128', 'aes256']),
    integrity: z.enum(['sha256', 'sha384', 'sha512']).optional(),
    skEi: hexBytes,
    skEr: hexBytes,
    skAi: hexBytes.default(''),
    skAr: hexBytes.default(''),
  })
  .superRefine((entry, context) => {
    const fault = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    const aead = isAead(entry.encryption)
    if (aead && entry.integrity !== undefined) return fault('integrity', `must be absent with ${entry.encryption}`)
    if (!aead && entry.integrity === undefined) return fault('integrity', `is required with ${entry.encryption}`)
    const sizes = cipherSizes(cipherOf(entry.encryption, entry.integrity))
    for (const name of ['skEi', 'skEr'] as const) {
      checkLength(entry[name], sizes.key + sizes.salt, (message) => fault(name, message))
    }
    for (const name of ['skAi', 'skAr'] as const) {
      checkLength(entry[name], sizes.integKey, (message) => fault(name, message))
    }
  })

const espEntry = z
  .object({
    kind: z.literal('esp').optional(),
    spi: z.string().regex(/^0x[0-9a-fA-F]{8}$/, 'must be 0x and eight hexadecimal digits'),
    encryption: z.enum(['aes128gcm16', 'aes256gcm16', 'chacha20poly1305']),
    key: hexBytes,
    salt: hexBytes,
    esn: z.boolean().default(false),
  })
  .superRefine((entry, context) => {
    const sizes = cipherSizes(cipherOf(entry.encryption, undefined))
    const fault = (path: string) => (message: string) => context.addIssue({ code: 'custom', path: [path], message })
    checkLength(entry.key, sizes.key, fault('key'))
    checkLength(entry.salt, sizes.salt, fault('salt'))
  })

type IkeEntry = z.infer<typeof ikeEntry>
type EspEntry = z.infer<typeof espEntry>

function cipherOf(encryption: EncryptionName, integrity: IkeEntry['integrity']): IkeCipher {
  return ikeCipher(integrity === undefined ? { encryption } : { encryption, integrity })
}

function checkLength(hex: string, bytes: number, fault: (message: string) => void): void {
  if (hex.length !== bytes * 2) fault(`must have ${bytes * 2} hexadecimal digits, not ${hex.length}`)
}

/** The keys, or every fault of the file, each with its place. A fault never quotes the file: it holds secrets. */
export function parseKeys(text: string): KeyRing | { readonly faults: readonly string[] } {
  const located = locate(text)
  const faults = [...located.faults]
  const ike = new Map<string, IkeKeys>()
  const esp = new Map<number, EspKeys[]>()
  for (const { kind, place, value } of located.entries) {
    const parsed = kind === 'ike' ? ikeEntry.safeParse(value) : espEntry.safeParse(value)
    if (!parsed.success) {
      faults.push(...parsed.error.issues.map((issue) => `${[place, ...issue.path].join('.')}: ${issue.message}`))
    } else if (kind === 'ike') addIke(ike, parsed.data as IkeEntry)
    else addEsp(esp, parsed.data as EspEntry)
  }
  return faults.length > 0 ? { faults } : { ike, esp }
}

interface Located {
  readonly kind: 'ike' | 'esp'
  readonly place: string
  readonly value: unknown
}

interface LocatedEntries {
  readonly entries: readonly Located[]
  readonly faults: readonly string[]
}

function locate(text: string): LocatedEntries {
  const whole = parseJson(text)
  if (isRecord(whole) && !('kind' in whole)) return locateObject(whole)
  return locateLines(text)
}

function locateObject(file: Record<string, unknown>): LocatedEntries {
  const entries: Located[] = []
  const faults: string[] = []
  if (!('ike' in file) && !('esp' in file)) faults.push('the object has neither "ike" nor "esp"')
  for (const kind of ['ike', 'esp'] as const) {
    const list = file[kind] ?? []
    if (!Array.isArray(list)) faults.push(`${kind}: must be an array`)
    else if (list.length > MAX_ENTRIES) faults.push(`${kind}: has more than ${MAX_ENTRIES} entries`)
    else for (const [index, value] of list.entries()) entries.push({ kind, place: `${kind}[${index}]`, value })
  }
  return { entries, faults }
}

function locateLines(text: string): LocatedEntries {
  const entries: Located[] = []
  const faults: string[] = []
  const lines = text.split('\n')
  if (lines.length > MAX_ENTRIES) return { entries, faults: [`has more than ${MAX_ENTRIES} lines`] }
  let anyJson = false
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue
    const place = `line ${index + 1}`
    const value = parseJson(line)
    anyJson ||= isRecord(value)
    if (!isRecord(value)) faults.push(`${place}: is not a JSON object`)
    else if (value.kind === 'ike' || value.kind === 'esp') entries.push({ kind: value.kind, place, value })
    else faults.push(`${place}.kind: must be "ike" or "esp"`)
  }
  if (!anyJson) return { entries: [], faults: ['it is neither one JSON object nor JSON Lines'] }
  return { entries, faults }
}

/** The parser's own message would quote the text, which holds keys. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function addIke(ring: Map<string, IkeKeys>, entry: IkeEntry): void {
  ring.set(`${entry.initiatorSpi}${entry.responderSpi}`.toLowerCase(), {
    cipher: cipherOf(entry.encryption, entry.integrity),
    skEi: bytes(entry.skEi),
    skEr: bytes(entry.skEr),
    skAi: bytes(entry.skAi),
    skAr: bytes(entry.skAr),
  })
}

function addEsp(ring: Map<number, EspKeys[]>, entry: EspEntry): void {
  const spi = Number(entry.spi)
  const key = bytes(entry.key + entry.salt)
  const list = ring.get(spi) ?? []
  const isKnown = list.some((each) => Buffer.compare(each.key, key) === 0)
  if (!isKnown) list.push({ cipher: cipherOf(entry.encryption, undefined), key, esn: entry.esn, high: 0 })
  ring.set(spi, list)
}

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}
