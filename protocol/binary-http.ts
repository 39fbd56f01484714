/** Binary HTTP (RFC 9292) on one page: import from here. */
export { type DecoderOptions, RequestDecoder, ResponseDecoder } from './binary-http-decode.ts'
export { RequestEncoder, ResponseEncoder } from './binary-http-encode.ts'
export { endToEndFields, fieldFault, requestFault, responseFault, trailersFault } from './binary-http-rules.ts'
export * from './binary-http-types.ts'
