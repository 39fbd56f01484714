/** One IKE message as a JSON value, decrypted where the keys are known. */
import {
  associatedData,
  type DecodeError,
  decodeMessage,
  decodePayloads,
  type EncryptedFragmentPayload,
  type EncryptedPayload,
  EXCHANGE,
  HEADER_LENGTH,
  type IkeHeader,
  isDecodeError,
  readHeader,
} from '../../core/ike/wire/codec.ts'
import { nodeCrypto } from '../../io/crypto-node.ts'
import type { KeyRing } from './keys.ts'
import { hex, type Json, named, payloadJson } from './payload-json.ts'
import type { Reassembly } from './reassembly.ts'

type Sealed = EncryptedPayload | EncryptedFragmentPayload

/** `bytes` without non-ESP marker. Never throws, whatever they are. */
export function ikeJson(bytes: Uint8Array, keys: KeyRing, reassembly: Reassembly): Json {
  const message = decodeMessage(bytes)
  if (isDecodeError(message)) return brokenJson(bytes, message)
  const { header } = message
  const payloads = message.payloads.map((payload) =>
    payload.type === 'SK' || payload.type === 'SKF'
      ? { ...payloadJson(payload), ...contentJson(bytes, header, payload, keys, reassembly) }
      : payloadJson(payload),
  )
  const malformed = payloads.flatMap((payload: Json) => faultIn(payload))[0]
  return { header: headerJson(header), payloads, ...(malformed === undefined ? {} : { malformed }) }
}

/** The header where there is room for one, and the payloads before the fault. */
function brokenJson(bytes: Uint8Array, error: DecodeError): Json {
  return {
    ...(bytes.length < HEADER_LENGTH ? {} : { header: headerJson(readHeader(bytes)) }),
    ...(error.before === undefined ? {} : { payloads: error.before.map(payloadJson) }),
    malformed: error.reason,
  }
}

/** So that whoever filters on `malformed` finds the contents of sealed payloads, too. */
function faultIn(payload: Json): unknown[] {
  const whole = payload.whole as Json | undefined
  return [payload.malformed, whole?.malformed].filter((fault) => fault !== undefined)
}

function headerJson(header: IkeHeader): Json {
  const { initiator, response, version } = header.flags
  return {
    initiatorSpi: hex(header.initiatorSpi),
    responderSpi: hex(header.responderSpi),
    version: `${header.majorVersion}.${header.minorVersion}`,
    exchangeType: header.exchangeType,
    exchange: named(EXCHANGE, header.exchangeType),
    flags: [initiator ? 'initiator' : [], response ? 'response' : [], version ? 'version' : []].flat(),
    messageId: header.messageId,
  }
}

function contentJson(
  bytes: Uint8Array,
  header: IkeHeader,
  sealed: Sealed,
  keys: KeyRing,
  reassembly: Reassembly,
): Json {
  const spis = hex(header.initiatorSpi) + hex(header.responderSpi)
  const found = keys.ike.get(spis)
  if (found === undefined) return { decryption: 'no-key' }
  const [key, integKey] = header.flags.initiator ? [found.skEi, found.skAi] : [found.skEr, found.skAr]
  const plaintext = nodeCrypto.open(found.cipher, key, integKey, associatedData(bytes, sealed), sealed.body)
  if (plaintext === undefined) return { decryption: 'failed' }
  const content = withoutPadding(plaintext)
  if (content === undefined) {
    return { decryption: 'ok', malformed: 'The pad length inside the encrypted payload is more than its contents.' }
  }
  const padding = plaintext.length - content.length - 1
  if (sealed.type === 'SK') return { decryption: 'ok', padding, ...payloadsJson(sealed.firstPayload, content) }
  const { fragmentNumber, totalFragments, firstPayload } = sealed
  const name = `${spis}/${header.exchangeType}/${header.messageId}/${header.flags.initiator}/${header.flags.response}`
  const whole = reassembly.add(name, fragmentNumber, totalFragments, firstPayload, content)
  return {
    decryption: 'ok',
    padding,
    content: content.length,
    ...(whole === undefined ? {} : { whole: payloadsJson(whole.firstPayload, whole.bytes) }),
  }
}

/** RFC 7296 section 3.14: contents, padding, one byte of pad length. */
function withoutPadding(plaintext: Uint8Array): Uint8Array | undefined {
  const padLength = plaintext.at(-1)
  if (padLength === undefined || padLength + 1 > plaintext.length) return undefined
  return plaintext.subarray(0, plaintext.length - 1 - padLength)
}

function payloadsJson(firstPayload: number, bytes: Uint8Array): Json {
  const payloads = decodePayloads(firstPayload, bytes)
  if (!isDecodeError(payloads)) return { payloads: payloads.map(payloadJson) }
  return { payloads: (payloads.before ?? []).map(payloadJson), malformed: payloads.reason }
}
