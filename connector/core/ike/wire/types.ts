/**
 * IKEv2 messages as values (RFC 7296 section 3). The codecs beside this file turn bytes into these and back.
 *
 * Numbers keep their IANA meaning (see `constants.ts`), unknown ones included: a reader never refuses what the
 * RFC says to ignore. Byte fields of a parsed message are copies; the datagram may be reused at once.
 */

export interface IkeHeader {
  /** 8 bytes each; the responder's is zero in the first request. */
  readonly initiatorSpi: Uint8Array
  readonly responderSpi: Uint8Array
  readonly majorVersion: number
  readonly minorVersion: number
  readonly exchangeType: number
  readonly flags: { readonly initiator: boolean; readonly response: boolean; readonly version: boolean }
  readonly messageId: number
}

export interface IkeMessage {
  readonly header: IkeHeader
  /** In wire order. An SK or SKF payload is always last. */
  readonly payloads: readonly Payload[]
}

export type Payload =
  | SaPayload
  | KePayload
  | IdPayload
  | CertPayload
  | CertReqPayload
  | AuthPayload
  | NoncePayload
  | NotifyPayload
  | DeletePayload
  | VendorIdPayload
  | TsPayload
  | ConfigurationPayload
  | EapPayload
  | EncryptedPayload
  | EncryptedFragmentPayload
  | UnknownPayload

/** RFC 7296 section 3.3.5. */
export interface TransformAttribute {
  /** 15 bits, without the format bit. */
  readonly type: number
  /** True: the two-byte TV format. */
  readonly short: boolean
  readonly value: Uint8Array
}

export interface Transform {
  /** 1 ENCR, 2 PRF, 3 INTEG, 4 KE (D-H), 5 ESN. */
  readonly type: number
  readonly id: number
  /** Key Length attribute (14) in bits. */
  readonly keyLength?: number
  /** True when an attribute other than Key Length is present: such a transform must not be chosen (RFC 7296 section 3.3.6). */
  readonly unknownAttribute?: boolean
  /** All attributes in wire order, only where `keyLength` alone does not say it; an encoder writes these and not `keyLength`. */
  readonly attributes?: readonly TransformAttribute[]
}

export interface Proposal {
  readonly number: number
  /** 1 IKE, 2 AH, 3 ESP. */
  readonly protocol: number
  /** Empty in the first exchange of an IKE SA; 8 bytes at an IKE rekey; 4 bytes for ESP and AH. */
  readonly spi: Uint8Array
  readonly transforms: readonly Transform[]
}

export interface SaPayload {
  readonly type: 'SA'
  readonly proposals: readonly Proposal[]
}
export interface KePayload {
  readonly type: 'KE'
  readonly group: number
  readonly data: Uint8Array
}
export interface IdPayload {
  readonly type: 'IDi' | 'IDr'
  readonly idType: number
  readonly data: Uint8Array
}
export interface CertPayload {
  readonly type: 'CERT'
  readonly encoding: number
  readonly data: Uint8Array
}
export interface CertReqPayload {
  readonly type: 'CERTREQ'
  readonly encoding: number
  readonly data: Uint8Array
}
export interface AuthPayload {
  readonly type: 'AUTH'
  readonly method: number
  readonly data: Uint8Array
}
export interface NoncePayload {
  readonly type: 'NONCE'
  readonly data: Uint8Array
}
export interface NotifyPayload {
  readonly type: 'N'
  readonly protocol: number
  readonly spi: Uint8Array
  readonly notify: number
  readonly data: Uint8Array
}
export interface DeletePayload {
  readonly type: 'D'
  readonly protocol: number
  /** Empty for an IKE SA; 4 bytes each for ESP and AH. */
  readonly spis: readonly Uint8Array[]
}
export interface VendorIdPayload {
  readonly type: 'V'
  readonly data: Uint8Array
}
export interface WireTrafficSelector {
  /** 7 TS_IPV4_ADDR_RANGE, 8 TS_IPV6_ADDR_RANGE; others are kept so that they can be narrowed away. */
  readonly tsType: number
  readonly protocol: number
  readonly startPort: number
  readonly endPort: number
  /** 4 or 16 bytes, network byte order; empty for an unknown type. */
  readonly startAddress: Uint8Array
  readonly endAddress: Uint8Array
  /** Of an unknown type: what follows its length field. Its ports are 0. */
  readonly body?: Uint8Array
}
export interface TsPayload {
  readonly type: 'TSi' | 'TSr'
  readonly selectors: readonly WireTrafficSelector[]
}
export interface ConfigurationPayload {
  readonly type: 'CP'
  readonly cfgType: number
  readonly attributes: readonly { readonly type: number; readonly value: Uint8Array }[]
}
export interface EapPayload {
  readonly type: 'EAP'
  readonly data: Uint8Array
}
/** SK (RFC 7296 section 3.14), still sealed. `body` runs from the IV to the end of the checksum data. */
export interface EncryptedPayload {
  readonly type: 'SK'
  readonly firstPayload: number
  readonly body: Uint8Array
}
/** SKF (RFC 7383 section 2.5), still sealed. */
export interface EncryptedFragmentPayload {
  readonly type: 'SKF'
  /** Next payload of the first fragment; 0 in the others. */
  readonly firstPayload: number
  readonly fragmentNumber: number
  readonly totalFragments: number
  readonly body: Uint8Array
}
export interface UnknownPayload {
  readonly type: 'UNKNOWN'
  readonly payloadType: number
  readonly critical: boolean
  readonly body: Uint8Array
}
