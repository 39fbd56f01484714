/** The IKEv2 codecs on one page: import from here. */
export { encodeId } from './body.ts'
export * from './constants.ts'
export { type DecodeError, type DecodeErrorKind, isDecodeError } from './decode-error.ts'
export { decodeHeader, HEADER_LENGTH, readHeader } from './header.ts'
export { decodeMessage, encodeMessage, IKE_MAJOR_VERSION } from './message.ts'
export { FIRST_STATUS_NOTIFY, isErrorNotify, NOTIFY } from './notify.ts'
export { associatedData, decodePayloads, encodePayloads, MAX_PAYLOADS, payloadTypeOf } from './payloads.ts'
export type * from './types.ts'
