/**
 * Kinds of values in the configuration. Each is a zod schema whose message is a noun and a remedy, from which a
 * fault reads as a sentence: `"1.2.3" is not an IP address; write one like 192.0.2.1`.
 */
import { z } from 'zod'
import { type Address, type Prefix, parseAddress, parsePrefix } from '../../protocol/net.ts'
import { parseIdentity } from '../core/ike/identity.ts'
import { parseEspProposal, parseIkeProposal } from '../core/ike/names.ts'
import type { EspProposal, Identity, IkeProposal } from '../core/ike/types.ts'
import { formatDuration, parseDuration, parsePorts, parseSize } from './units.ts'

/** What the reader of docs/config.md and the user of an editor see at a key. */
export interface KeyDoc {
  readonly description: string
  /** The reason for the default, or for the key. */
  readonly why: string
  readonly unit?: string
  /** Where the default is worked out rather than fixed. */
  readonly computed?: string
  readonly examples?: readonly (string | number | boolean)[]
}

/** As JSON Schema annotations: editors show `description`, the docs show all. */
export function annotations(type: string, doc: KeyDoc): Record<string, unknown> {
  return {
    description: doc.description,
    'x-type': type,
    'x-why': doc.why,
    ...(doc.unit === undefined ? {} : { 'x-unit': doc.unit }),
    ...(doc.computed === undefined ? {} : { 'x-default': doc.computed }),
    ...(doc.examples === undefined ? {} : { examples: [...doc.examples] }),
  }
}

/** A parser's answer: a value, undefined for "not that kind of thing at all", or a sentence of its own. */
type Parsed<T> = T | undefined | { readonly fault: string; readonly remedy: string }

/** Text that `parse` turns into a value. `wanted` is a noun, a semicolon and a remedy. */
function text<T>(type: string, doc: KeyDoc, wanted: string, parse: (text: string) => Parsed<T>) {
  return z
    .string({ error: () => wanted })
    .meta(annotations(type, doc))
    .transform((input, context): T => {
      const parsed = parse(input)
      if (parsed === undefined) context.addIssue({ code: 'custom', message: wanted, params: { wanted: true } })
      else if (isFault(parsed)) context.addIssue({ code: 'custom', message: `${parsed.fault}; ${parsed.remedy}` })
      else return parsed as T
      return z.NEVER
    })
}

export { text as parsedText }

function isFault(parsed: unknown): parsed is { fault: string; remedy: string } {
  return typeof parsed === 'object' && parsed !== null && 'fault' in parsed
}

export function addressText(doc: KeyDoc) {
  const wanted = 'an IP address; write one like 192.0.2.1 or 2001:db8::1 (names are not looked up)'
  return text<Address>('IP address', doc, wanted, parseAddress)
}

/** Host bits must be zero: `10.1.0.5/16` is more often a slip than a wish. */
export function prefixText(doc: KeyDoc) {
  const wanted = 'a network; write one like 10.1.0.0/16 or 2001:db8:1::/48'
  return text<Prefix>('network', doc, wanted, (input) => {
    const parsed = parsePrefix(input)
    const slash = input.indexOf('/')
    if (parsed === undefined || slash < 0) return parsed
    const stated = parseAddress(input.slice(0, slash))
    if (stated === parsed.slice(0, parsed.indexOf('/'))) return parsed
    return { fault: `"${input}" has bits set behind its prefix length`, remedy: `write ${parsed}` }
  })
}

/** An address of ours in a small network, such as `169.254.10.2/30`; the prefix is that network. */
export function insideText(doc: KeyDoc) {
  const wanted = 'an address with its length; write one like 169.254.10.2/30'
  return text<Inside>('address with length', doc, wanted, parseInside)
}

/** An address of ours inside a tunnel, with the network that both ends are in. */
export interface Inside {
  readonly address: Address
  readonly network: Prefix
}

export function parseInside(input: string): Inside | undefined {
  const slash = input.indexOf('/')
  const address = slash < 0 ? undefined : parseAddress(input.slice(0, slash))
  const network = parsePrefix(input)
  return address === undefined || network === undefined ? undefined : { address, network }
}

export function durationText(doc: KeyDoc, range: { min: number; max: number; off?: boolean }) {
  const off = range.off ? ', or off' : ''
  const limits = `${formatDuration(range.min)} to ${formatDuration(range.max)}${off}`
  const wanted = `a duration; write a number with a unit, like 30s, 50m or 8h (${limits})`
  return text<number>('duration', { unit: limits, ...doc }, wanted, (input) => {
    if (range.off && (input === 'off' || input === '0s')) return 0
    const ms = parseDuration(input)
    if (ms === undefined || (ms >= range.min && ms <= range.max)) return ms
    return { fault: `${input} is out of range`, remedy: `choose ${limits}` }
  })
}

export function sizeText(doc: KeyDoc) {
  const wanted = 'a size; write a number with a unit, like 512MB or 64GiB'
  return text<number>('size', { unit: 'B, KB, MB, GB, TB or KiB, MiB, GiB, TiB', ...doc }, wanted, (input) => {
    const bytes = parseSize(input)
    return bytes === 0 ? { fault: 'a limit of 0 bytes stops all traffic', remedy: 'leave the key out' } : bytes
  })
}

export function identityText(doc: KeyDoc) {
  const wanted = 'an identity; write an IP address, a host name, a mail address, or keyid:<hex>'
  return text<Identity>('identity', doc, wanted, (input) => {
    const parsed = parseIdentity(input)
    return 'error' in parsed ? { fault: parsed.error, remedy: 'write an IP address, a name or keyid:<hex>' } : parsed
  })
}

const IKE_REMEDY = 'write one like aes256gcm16-prfsha384-ecp384 or aes256-sha256-modp2048 (docs/config.md lists all)'
const ESP_REMEDY = 'write one like aes256gcm16, chacha20poly1305-x25519 or aes128gcm16-ecp256-esn'

export function ikeProposalText(doc: KeyDoc) {
  return text<IkeProposal>('IKE suite', doc, `an IKE suite; ${IKE_REMEDY}`, (input) => {
    const parsed = parseIkeProposal(input)
    return 'error' in parsed ? { fault: parsed.error, remedy: IKE_REMEDY } : parsed
  })
}

/** An ESP suite; `esn` is `stated` where the text decides it and not the key `esn`. */
export function espProposalText(doc: KeyDoc) {
  return text<{ proposal: EspProposal; stated: boolean }>('ESP suite', doc, `an ESP suite; ${ESP_REMEDY}`, (input) => {
    const parsed = parseEspProposal(input)
    if ('error' in parsed) return { fault: parsed.error, remedy: ESP_REMEDY }
    return { proposal: parsed, stated: /(^|-)(no)?esn(-|$)/i.test(input) }
  })
}

export function portsText(doc: KeyDoc) {
  const wanted = 'a port or a range of ports; write 443 or 8000-8010'
  return z
    .union([z.string(), z.number()], { error: () => wanted })
    .meta(annotations('port or range', { unit: '0 to 65535', ...doc }))
    .transform((input, context): { start: number; end: number } => {
      const parsed = parsePorts(String(input))
      if (parsed !== undefined) return parsed
      context.addIssue({ code: 'custom', message: wanted, params: { wanted: true } })
      return z.NEVER
    })
}

export function pathText(doc: KeyDoc, maxBytes = 4095) {
  const wanted = 'a file path; write one like /etc/isthmus/branch.key'
  return text<string>('path', doc, wanted, (input) => {
    if (input === '' || input.includes('\0')) return undefined
    if (new TextEncoder().encode(input).length <= maxBytes) return input
    return { fault: `the path is longer than ${maxBytes} bytes`, remedy: 'choose a shorter one' }
  })
}

/** Text of one form, such as a name. */
export function patternText(type: string, doc: KeyDoc, pattern: RegExp, wanted: string) {
  return text<string>(type, doc, wanted, (input) => (pattern.test(input) ? input : undefined))
}

export function integer(doc: KeyDoc, range: { min: number; max: number }) {
  const limits = `${range.min} to ${range.max}`
  const wanted = `a whole number from ${range.min} to ${range.max}; choose one in that range`
  const error = () => wanted
  const meta = annotations('integer', { ...doc, unit: doc.unit === undefined ? limits : `${doc.unit}, ${limits}` })
  return z.int({ error }).min(range.min, { error }).max(range.max, { error }).meta(meta)
}

/** A whole number, or `auto` for one that is worked out. */
export function integerOrAuto(doc: KeyDoc, range: { min: number; max: number }) {
  const limits = `${range.min} to ${range.max}`
  const wanted = `auto or a whole number from ${limits}; choose one of them`
  const error = () => wanted
  return z
    .union([z.literal('auto', { error }), z.int({ error }).min(range.min, { error }).max(range.max, { error })], {
      error,
    })
    .meta(annotations('auto or integer', { ...doc, unit: limits }))
}

export function decimal(doc: KeyDoc, range: { min: number; max: number }) {
  const limits = `${range.min} to ${range.max}`
  const error = () => `a number from ${limits}; choose one in that range`
  return z
    .number({ error })
    .min(range.min, { error })
    .max(range.max, { error })
    .meta(annotations('number', { ...doc, unit: limits }))
}

export function flag(doc: KeyDoc) {
  return z.boolean({ error: () => 'true or false; write one of the two' }).meta(annotations('boolean', doc))
}

export function choice<const T extends readonly [string, ...string[]]>(doc: KeyDoc, values: T) {
  const wanted = `one of ${values.join(', ')}; choose one of them`
  return z.enum(values, { error: () => wanted }).meta(annotations(values.join(' | '), doc))
}

export function list<T extends z.ZodType>(item: T, type: string, doc: KeyDoc, max = 256) {
  const wanted = `a list of ${type}s; write [one, two] or one per line with a dash`
  return z
    .array(item, { error: () => wanted })
    .min(1, { error: () => `an empty list is of no use; name at least one ${type} or leave the key out` })
    .max(max, { error: () => `the list has more than ${max} entries; merge some of them` })
    .meta(listAnnotations(`list of ${type}s`, doc))
}

/** A list, or one word instead of it. */
export function listOr<T extends z.ZodType, const Word extends string>(item: T, type: string, word: Word, doc: KeyDoc) {
  const wanted = `a list of ${type}s, or ${word}; write [one, two] or the word`
  const plain = list(item, type, doc)
  return z
    .union([z.literal(word, { error: () => wanted }), plain], {
      error: (issue) => (issue.code === 'invalid_union' ? wanted : undefined),
    })
    .meta(annotations(`list of ${type}s | ${word}`, doc))
}

/** zod leaves out `examples` of what it transforms further down: the docs take them from here. */
function listAnnotations(type: string, { examples, ...doc }: KeyDoc): Record<string, unknown> {
  return { ...annotations(type, doc), ...(examples === undefined ? {} : { 'x-example': examples[0] }) }
}

export function section<T extends z.core.$ZodLooseShape>(shape: T, doc: KeyDoc) {
  const wanted = 'a mapping of keys to values; write its keys below it, indented, or leave it out'
  return z
    .strictObject(shape, { error: (issue) => (issue.code === 'invalid_type' ? wanted : undefined) })
    .meta(annotations('section', doc))
}

/** Sections by name: peers, children. */
export function named<T extends z.ZodType>(item: T, what: string, doc: KeyDoc) {
  const wanted = `a mapping of names to ${what} sections; write a name of your choice and the keys of the ${what} below it`
  const form = `a name for a ${what}; write 1 to 63 letters, digits, dots, dashes or underscores`
  const name = z.string().regex(NAME, { error: () => form })
  return z.record(name, item, { error: () => wanted }).meta(annotations('sections by name', doc))
}

export const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/
