/** Generators of IKE messages for property tests. */
import fc from 'fast-check'
import type { IkeMessage, Payload, Proposal, Transform } from '../../connector/core/ike/wire/codec.ts'
import { CFG_TYPE, PAYLOAD } from '../../connector/core/ike/wire/codec.ts'

const byte = fc.integer({ min: 0, max: 255 })
const word = fc.integer({ min: 0, max: 65535 })

function bytes(minLength: number, maxLength = minLength): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength, maxLength })
}

const transform: fc.Arbitrary<Transform> = fc.oneof(
  fc.record({ type: byte, id: word }),
  fc.record({ type: byte, id: word, keyLength: word }),
  fc.record({
    type: byte,
    id: word,
    unknownAttribute: fc.constant(true),
    attributes: fc.array(
      fc.oneof(
        fc.record({ type: fc.integer({ min: 15, max: 0x7fff }), short: fc.constant(true), value: bytes(2) }),
        fc.record({ type: fc.integer({ min: 0, max: 0x7fff }), short: fc.constant(false), value: bytes(0, 20) }),
      ),
      { minLength: 1, maxLength: 4 },
    ),
  }),
)

const spiByProtocol = fc.oneof(
  fc.record({ protocol: fc.constant(1), spi: fc.oneof(bytes(0), bytes(8)) }),
  fc.record({ protocol: fc.constantFrom(2, 3), spi: bytes(4) }),
  fc.record({ protocol: fc.integer({ min: 4, max: 255 }), spi: bytes(0, 20) }),
)

const proposal: fc.Arbitrary<Proposal> = fc
  .record({ number: byte, identity: spiByProtocol, transforms: fc.array(transform, { maxLength: 6 }) })
  .map(({ number, identity, transforms }) => ({ number, ...identity, transforms }))

const deletion: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({ type: fc.constant('D' as const), protocol: fc.constant(1), spis: fc.constant([]) }),
  fc.record({
    type: fc.constant('D' as const),
    protocol: fc.constantFrom(2, 3),
    spis: fc.array(bytes(4), { maxLength: 9 }),
  }),
)

const none = new Uint8Array(0)
const selector = fc.oneof(
  ...[
    [7, 4],
    [8, 16],
  ].map(([tsType, size]) =>
    fc.record({
      tsType: fc.constant(tsType!),
      protocol: byte,
      startPort: word,
      endPort: word,
      startAddress: bytes(size!),
      endAddress: bytes(size!),
    }),
  ),
  fc.record({
    tsType: fc.integer({ min: 9, max: 255 }),
    protocol: byte,
    startPort: fc.constant(0),
    endPort: fc.constant(0),
    startAddress: fc.constant(none),
    endAddress: fc.constant(none),
    body: bytes(0, 30),
  }),
)

const known = new Set<number>(Object.values(PAYLOAD))

export const arbitraryPlainPayload: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({ type: fc.constant('SA' as const), proposals: fc.array(proposal, { minLength: 1, maxLength: 5 }) }),
  fc.record({ type: fc.constant('KE' as const), group: word, data: bytes(0, 300) }),
  fc.record({ type: fc.constantFrom('IDi' as const, 'IDr' as const), idType: byte, data: bytes(0, 60) }),
  fc.record({ type: fc.constantFrom('CERT' as const, 'CERTREQ' as const), encoding: byte, data: bytes(0, 60) }),
  fc.record({ type: fc.constant('AUTH' as const), method: byte, data: bytes(0, 70) }),
  fc.record({ type: fc.constant('NONCE' as const), data: bytes(16, 256) }),
  fc.record({
    type: fc.constant('N' as const),
    protocol: byte,
    spi: bytes(0, 9),
    notify: word,
    data: bytes(0, 70),
  }),
  deletion,
  fc.record({ type: fc.constant('V' as const), data: bytes(0, 40) }),
  fc.record({
    type: fc.constantFrom('TSi' as const, 'TSr' as const),
    selectors: fc.array(selector, { maxLength: 6 }),
  }),
  fc.record({
    type: fc.constant('CP' as const),
    cfgType: fc.constantFrom(...Object.values(CFG_TYPE)),
    attributes: fc.array(fc.record({ type: fc.integer({ min: 0, max: 0x7fff }), value: bytes(0, 20) }), {
      maxLength: 5,
    }),
  }),
  fc.record({ type: fc.constant('EAP' as const), data: bytes(0, 40) }),
  fc.record({
    type: fc.constant('UNKNOWN' as const),
    payloadType: byte.filter((value) => !known.has(value)),
    critical: fc.boolean(),
    body: bytes(0, 40),
  }),
)

export const arbitraryPlainPayloads = fc.array(arbitraryPlainPayload, { maxLength: 10 })

const sealed: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({ type: fc.constant('SK' as const), firstPayload: byte, body: bytes(0, 200) }),
  fc.record({
    type: fc.constant('SKF' as const),
    firstPayload: byte,
    fragmentNumber: fc.constant(1),
    totalFragments: fc.integer({ min: 1, max: 65535 }),
    body: bytes(0, 200),
  }),
)

export const arbitraryMessage: fc.Arbitrary<IkeMessage> = fc
  .record({
    header: fc.record({
      initiatorSpi: bytes(8),
      responderSpi: bytes(8),
      majorVersion: fc.constant(2),
      minorVersion: fc.integer({ min: 0, max: 15 }),
      exchangeType: byte,
      flags: fc.record({ initiator: fc.boolean(), response: fc.boolean(), version: fc.boolean() }),
      messageId: fc.nat({ max: 0xffffffff }),
    }),
    plain: arbitraryPlainPayloads,
    last: fc.option(sealed, { nil: undefined }),
  })
  .map(({ header, plain, last }) => ({ header, payloads: last === undefined ? plain : [...plain, last] }))
