/** IKE payloads as JSON values: names where IANA has one, numbers always, byte strings as lower-case hex. */
import { formatAddress } from '../../../protocol/net.ts'
import { u16, u32 } from '../../core/ike/wire/bytes.ts'
import {
  AUTH_METHOD,
  CERT_ENCODING,
  CFG_ATTRIBUTE,
  CFG_TYPE,
  HASH_ALGORITHM,
  ID_TYPE,
  KE_METHOD,
  NOTIFY,
  type NotifyPayload,
  nameOf,
  PAYLOAD,
  type Payload,
  PROTOCOL,
  type Proposal,
  TRANSFORM,
  type Transform,
  TS_TYPE,
  transformIdName,
  type WireTrafficSelector,
} from '../../core/ike/wire/codec.ts'

export type Json = Record<string, unknown>

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** The name, or the number in words where there is none. */
export function named(table: Readonly<Record<string, number>>, value: number): string {
  return nameOf(table, value) ?? `unknown (${value})`
}

/** `null` for no payload. */
export function payloadTypeName(type: number): string | null {
  return type === PAYLOAD.NONE ? null : named(PAYLOAD, type)
}

export function payloadJson(payload: Payload): Json {
  switch (payload.type) {
    case 'SA':
      return { type: 'SA', proposals: payload.proposals.map(proposalJson) }
    case 'KE':
      return { type: 'KE', group: payload.group, groupName: named(KE_METHOD, payload.group), data: hex(payload.data) }
    case 'IDi':
    case 'IDr':
      return {
        type: payload.type,
        idType: payload.idType,
        idTypeName: named(ID_TYPE, payload.idType),
        ...identityText(payload.idType, payload.data),
        data: hex(payload.data),
      }
    case 'CERT':
    case 'CERTREQ': {
      const { type, encoding, data } = payload
      return { type, encoding, encodingName: named(CERT_ENCODING, encoding), data: hex(data) }
    }
    case 'AUTH': {
      const { type, method, data } = payload
      return { type, method, methodName: named(AUTH_METHOD, method), data: hex(data) }
    }
    case 'N':
      return notifyJson(payload)
    case 'D':
      return { type: 'D', ...protocolJson(payload.protocol), spis: payload.spis.map(hex) }
    case 'TSi':
    case 'TSr':
      return { type: payload.type, selectors: payload.selectors.map(selectorJson) }
    case 'CP':
      return {
        type: 'CP',
        cfgType: payload.cfgType,
        cfgTypeName: named(CFG_TYPE, payload.cfgType),
        attributes: payload.attributes.map(({ type, value }) => ({
          type,
          typeName: named(CFG_ATTRIBUTE, type),
          value: hex(value),
        })),
      }
    case 'NONCE':
    case 'EAP':
      return { type: payload.type, data: hex(payload.data) }
    case 'V':
      return { type: 'V', ...printable(payload.data), data: hex(payload.data) }
    case 'SK':
      return { type: 'SK', firstPayload: payloadTypeName(payload.firstPayload), length: payload.body.length }
    case 'SKF':
      return {
        type: 'SKF',
        firstPayload: payloadTypeName(payload.firstPayload),
        fragment: payload.fragmentNumber,
        total: payload.totalFragments,
        length: payload.body.length,
      }
    case 'UNKNOWN': {
      const { payloadType, critical, body } = payload
      return { type: 'UNKNOWN', payloadType, critical, body: hex(body) }
    }
    default:
      return payload satisfies never
  }
}

function protocolJson(protocol: number): Json {
  return { protocol, protocolName: named(PROTOCOL, protocol) }
}

function proposalJson(proposal: Proposal): Json {
  return {
    number: proposal.number,
    ...protocolJson(proposal.protocol),
    spi: hex(proposal.spi),
    transforms: proposal.transforms.map(transformJson),
  }
}

function transformJson(transform: Transform): Json {
  return {
    type: transform.type,
    typeName: named(TRANSFORM, transform.type),
    id: transform.id,
    idName: transformIdName(transform.type, transform.id) ?? `unknown (${transform.id})`,
    ...(transform.keyLength === undefined ? {} : { keyLength: transform.keyLength }),
    ...(transform.attributes === undefined
      ? {}
      : { attributes: transform.attributes.map(({ type, value }) => ({ type, value: hex(value) })) }),
  }
}

function selectorJson(selector: WireTrafficSelector): Json {
  const head = {
    tsType: selector.tsType,
    tsTypeName: named(TS_TYPE, selector.tsType),
    protocol: selector.protocol,
  }
  if (selector.startAddress.length === 0) return { ...head, body: hex(selector.body ?? new Uint8Array(0)) }
  return {
    ...head,
    startPort: selector.startPort,
    endPort: selector.endPort,
    startAddress: formatAddress(selector.startAddress),
    endAddress: formatAddress(selector.endAddress),
  }
}

/** RFC 7296 section 3.5: the identity as text where its type has a text form. */
function identityText(idType: number, data: Uint8Array): Json {
  if (idType === ID_TYPE.ID_IPV4_ADDR && data.length === 4) return { text: formatAddress(data) }
  if (idType === ID_TYPE.ID_IPV6_ADDR && data.length === 16) return { text: formatAddress(data) }
  return printable(data)
}

/** The bytes as text if every one of them is printable ASCII. */
function printable(data: Uint8Array): Json {
  const isText = data.length > 0 && data.every((byte) => byte >= 0x20 && byte < 0x7f)
  return isText ? { text: Buffer.from(data).toString('latin1') } : {}
}

function notifyJson(payload: NotifyPayload): Json {
  return {
    type: 'N',
    notify: payload.notify,
    notifyName: named(NOTIFY, payload.notify),
    ...protocolJson(payload.protocol),
    spi: hex(payload.spi),
    data: hex(payload.data),
    ...notifyMeaning(payload),
  }
}

/** Notification data that is a number or a list of them. */
function notifyMeaning({ notify, data }: NotifyPayload): Json {
  if (notify === NOTIFY.SIGNATURE_HASH_ALGORITHMS && data.length % 2 === 0) {
    const ids = Array.from({ length: data.length / 2 }, (_, index) => u16(data, index * 2))
    return { hashes: ids.map((id) => named(HASH_ALGORITHM, id)) }
  }
  if (notify === NOTIFY.INVALID_KE_PAYLOAD && data.length === 2) {
    return { group: u16(data, 0), groupName: named(KE_METHOD, u16(data, 0)) }
  }
  if (notify === NOTIFY.UNSUPPORTED_CRITICAL_PAYLOAD && data.length === 1) return { payloadType: data[0]! }
  if (notify === NOTIFY.SET_WINDOW_SIZE && data.length === 4) return { windowSize: u32(data, 0) }
  if (notify === NOTIFY.AUTH_LIFETIME && data.length === 4) return { seconds: u32(data, 0) }
  return {}
}
