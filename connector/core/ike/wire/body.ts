/** Bodies of the payloads that need few lines each (RFC 7296 sections 3.4 to 3.12, 3.15, 3.16). */
import { concat, putU8, putU16, u16 } from './bytes.ts'
import { PROTOCOL } from './constants.ts'
import { type DecodeError, decodeError } from './decode-error.ts'
import type {
  AuthPayload,
  CertPayload,
  CertReqPayload,
  ConfigurationPayload,
  DeletePayload,
  IdPayload,
  KePayload,
  NoncePayload,
  NotifyPayload,
} from './types.ts'

const MAX_SPIS = 1024
const MAX_CFG_ATTRIBUTES = 256
/** Section 3.9. */
const NONCE_LENGTH = { min: 16, max: 256 } as const

/** Section 3.4: group, two reserved bytes, data. */
const ke = { group: 0, end: 4 } as const
/** Sections 3.5 and 3.8: type or method, three reserved bytes, data. */
const typed = { type: 0, end: 4 } as const
/** Sections 3.6 and 3.7: encoding, data. */
const certificate = { encoding: 0, end: 1 } as const
/** Section 3.10; SPI and data follow. */
const notify = { protocol: 0, spiSize: 1, type: 2, end: 4 } as const
/** Section 3.11; SPIs follow. */
const deletion = { protocol: 0, spiSize: 1, count: 2, end: 4 } as const
/** Section 3.15.1: the top bit of an attribute's type is reserved. */
const configuration = { type: 0, length: 2, end: 4, typeMask: 0x7fff } as const

function tooShort(what: string, body: Uint8Array, minimum: number, at: number): DecodeError | undefined {
  if (body.length >= minimum) return undefined
  return decodeError('truncated', `The ${what} payload at offset ${at} has ${body.length} bytes, not ${minimum}.`)
}

export function decodeKe(body: Uint8Array, at: number): KePayload | DecodeError {
  return tooShort('KE', body, ke.end, at) ?? { type: 'KE', group: u16(body, ke.group), data: body.slice(ke.end) }
}

export function encodeKe(payload: KePayload): Uint8Array {
  const head = new Uint8Array(ke.end)
  putU16(head, ke.group, payload.group)
  return concat([head, payload.data])
}

export function decodeId(type: IdPayload['type'], body: Uint8Array, at: number): IdPayload | DecodeError {
  return tooShort(type, body, typed.end, at) ?? { type, idType: body[typed.type]!, data: body.slice(typed.end) }
}

/** What the AUTH computation takes as RestOfInitIDPayload (section 2.15), too. */
export function encodeId(payload: IdPayload): Uint8Array {
  return encodeTyped(payload.idType, payload.data)
}

export function decodeAuth(body: Uint8Array, at: number): AuthPayload | DecodeError {
  const short = tooShort('AUTH', body, typed.end, at)
  return short ?? { type: 'AUTH', method: body[typed.type]!, data: body.slice(typed.end) }
}

export function encodeAuth(payload: AuthPayload): Uint8Array {
  return encodeTyped(payload.method, payload.data)
}

function encodeTyped(type: number, data: Uint8Array): Uint8Array {
  const head = new Uint8Array(typed.end)
  putU8(head, typed.type, type)
  return concat([head, data])
}

export function decodeCertificate<T extends 'CERT' | 'CERTREQ'>(
  type: T,
  body: Uint8Array,
  at: number,
): { type: T; encoding: number; data: Uint8Array } | DecodeError {
  const short = tooShort(type, body, certificate.end, at)
  return short ?? { type, encoding: body[certificate.encoding]!, data: body.slice(certificate.end) }
}

export function encodeCertificate(payload: CertPayload | CertReqPayload): Uint8Array {
  const head = new Uint8Array(certificate.end)
  putU8(head, certificate.encoding, payload.encoding)
  return concat([head, payload.data])
}

export function decodeNonce(body: Uint8Array, at: number): NoncePayload | DecodeError {
  if (body.length < NONCE_LENGTH.min || body.length > NONCE_LENGTH.max) {
    return decodeError('bad-payload', `The nonce at offset ${at} has ${body.length} bytes; 16 to 256 are allowed.`)
  }
  return { type: 'NONCE', data: body.slice() }
}

export function decodeNotify(body: Uint8Array, at: number): NotifyPayload | DecodeError {
  const short = tooShort('Notify', body, notify.end, at)
  if (short !== undefined) return short
  const dataAt = notify.end + body[notify.spiSize]!
  if (dataAt > body.length) {
    return decodeError('truncated', `The SPI of the Notify payload at offset ${at} ends behind the payload.`)
  }
  return {
    type: 'N',
    protocol: body[notify.protocol]!,
    spi: body.slice(notify.end, dataAt),
    notify: u16(body, notify.type),
    data: body.slice(dataAt),
  }
}

export function encodeNotify(payload: NotifyPayload): Uint8Array {
  const head = new Uint8Array(notify.end)
  putU8(head, notify.protocol, payload.protocol)
  putU8(head, notify.spiSize, payload.spi.length)
  putU16(head, notify.type, payload.notify)
  return concat([head, payload.spi, payload.data])
}

export function decodeDelete(body: Uint8Array, at: number): DeletePayload | DecodeError {
  const short = tooShort('Delete', body, deletion.end, at)
  if (short !== undefined) return short
  const protocol = body[deletion.protocol]!
  const size = body[deletion.spiSize]!
  const count = u16(body, deletion.count)
  const expected = deleteSpiSize(protocol)
  if ((expected !== undefined && size !== expected) || (size === 0 && count > 0)) {
    return decodeError('bad-length', `The Delete payload at offset ${at} lists ${count} SPIs of ${size} bytes.`)
  }
  if (count > MAX_SPIS) {
    return decodeError('too-many-items', `The Delete payload at offset ${at} lists ${count} SPIs.`)
  }
  if (body.length !== deletion.end + size * count) {
    const has = body.length - deletion.end
    return decodeError(
      'bad-length',
      `The Delete payload at offset ${at} has ${has} bytes for ${count} SPIs of ${size}.`,
    )
  }
  const spis: Uint8Array[] = []
  for (let offset = deletion.end as number; offset < body.length; offset += size) {
    spis.push(body.slice(offset, offset + size))
  }
  return { type: 'D', protocol, spis }
}

/** Section 3.11: none for IKE, which the header names already; 4 bytes for AH and ESP. */
function deleteSpiSize(protocol: number): number | undefined {
  if (protocol === PROTOCOL.IKE) return 0
  if (protocol === PROTOCOL.AH || protocol === PROTOCOL.ESP) return 4
  return undefined
}

export function encodeDelete(payload: DeletePayload): Uint8Array {
  const size = deleteSpiSize(payload.protocol) ?? payload.spis[0]?.length ?? 0
  if (payload.spis.some((spi) => spi.length !== size || size === 0)) {
    throw new RangeError(`an SPI to delete of protocol ${payload.protocol} has ${size} bytes`)
  }
  const head = new Uint8Array(deletion.end)
  putU8(head, deletion.protocol, payload.protocol)
  putU8(head, deletion.spiSize, size)
  putU16(head, deletion.count, payload.spis.length)
  return concat([head, ...payload.spis])
}

export function decodeConfiguration(body: Uint8Array, at: number): ConfigurationPayload | DecodeError {
  const short = tooShort('CP', body, typed.end, at)
  if (short !== undefined) return short
  const attributes: { type: number; value: Uint8Array }[] = []
  let offset: number = typed.end
  while (offset < body.length) {
    if (attributes.length === MAX_CFG_ATTRIBUTES) {
      return decodeError('too-many-items', `More than ${MAX_CFG_ATTRIBUTES} attributes at offset ${at + offset}.`)
    }
    const valueAt = offset + configuration.end
    const end = valueAt > body.length ? valueAt : valueAt + u16(body, offset + configuration.length)
    if (end > body.length) {
      return decodeError('truncated', `The attribute at offset ${at + offset} ends behind its payload.`)
    }
    const type = u16(body, offset + configuration.type) & configuration.typeMask
    attributes.push({ type, value: body.slice(valueAt, end) })
    offset = end
  }
  return { type: 'CP', cfgType: body[typed.type]!, attributes }
}

export function encodeConfiguration(payload: ConfigurationPayload): Uint8Array {
  const attributes = payload.attributes.map((each) => {
    const head = new Uint8Array(configuration.end)
    putU16(head, configuration.type, each.type & configuration.typeMask)
    putU16(head, configuration.length, each.value.length)
    return concat([head, each.value])
  })
  return encodeTyped(payload.cfgType, concat(attributes))
}
