import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BFD_FAULTS, BFD_STATES, type BfdFaultKind, type BfdPacket, decodeBfd, encodeBfd, isBfdFault } from './wire.ts'

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

const PLAIN: BfdPacket = {
  diagnostic: 0,
  state: 'down',
  poll: false,
  final: false,
  controlPlaneIndependent: false,
  demand: false,
  detectMult: 3,
  myDiscriminator: 1,
  yourDiscriminator: 25,
  desiredMinTxUs: 1_000_000,
  requiredMinRxUs: 1_000_000,
  requiredMinEchoRxUs: 0,
}

/** Packets as they are seen on real links. */
const SEEN: readonly [string, BfdPacket][] = [
  ['20400318 00000001 00000019 000f4240 000f4240 00000000', PLAIN],
  [
    '20c80318 00000012 00010002 0000c350 0000c350 00000000',
    {
      ...PLAIN,
      state: 'up',
      controlPlaneIndependent: true,
      myDiscriminator: 0x12,
      yourDiscriminator: 0x10002,
      desiredMinTxUs: 50_000,
      requiredMinRxUs: 50_000,
    },
  ],
  [
    '20480318 00000010 00000000 001e8480 001e8480 00000000',
    {
      ...PLAIN,
      controlPlaneIndependent: true,
      myDiscriminator: 0x10,
      yourDiscriminator: 0,
      desiredMinTxUs: 2_000_000,
      requiredMinRxUs: 2_000_000,
    },
  ],
]

/** Of one session of BIRD 2.0.12, from its first packet to the loss of the session. */
const BIRD: readonly [string, Partial<BfdPacket>][] = [
  ['20400318 705102e2 00000000 000f4240 000493e0 00000000', { state: 'down', yourDiscriminator: 0 }],
  ['20800318 705102e2 ecee3bc2 000f4240 000493e0 00000000', { state: 'init', yourDiscriminator: 0xecee3bc2 }],
  ['20e00318 705102e2 ecee3bc2 000493e0 000493e0 00000000', { state: 'up', poll: true, desiredMinTxUs: 300_000 }],
  ['20d00318 705102e2 ecee3bc2 000493e0 000493e0 00000000', { state: 'up', final: true, requiredMinRxUs: 300_000 }],
  ['23600318 705102e2 ecee3bc2 000f4240 000493e0 00000000', { state: 'down', diagnostic: 3, poll: true }],
  ['23500318 705102e2 ecee3bc2 000f4240 000493e0 00000000', { state: 'down', diagnostic: 3, final: true }],
]

describe('a Control packet', () => {
  test.each(SEEN)('%s', (text, packet) => {
    expect(decodeBfd(hex(text))).toEqual(packet)
    expect(encodeBfd(packet)).toEqual(hex(text))
  })

  test.each(BIRD)('of BIRD: %s', (text, fields) => {
    const packet = decodeBfd(hex(text))
    if (isBfdFault(packet)) throw new Error(packet.reason)
    expect(packet).toMatchObject({ myDiscriminator: 0x705102e2, detectMult: 3, demand: false, ...fields })
    expect(encodeBfd(packet)).toEqual(hex(text))
  })

  test('bytes behind its length are ignored', () => {
    expect(decodeBfd(hex(`${SEEN[0]![0]} ffff`))).toEqual(PLAIN)
  })

  test('with an authentication section', () => {
    const bytes = hex('20440321 00000001 00000019 000f4240 000f4240 00000000 010901 736563726574')
    expect(decodeBfd(bytes)).toEqual({ ...PLAIN, authentication: { type: 1, data: hex('01736563726574') } })
  })

  test('as a view into a larger buffer', () => {
    const room = new Uint8Array(64).fill(0xff)
    room.set(hex(SEEN[0]![0]), 7)
    expect(decodeBfd(room.subarray(7, 31))).toEqual(PLAIN)
  })

  test('of any content survives encoding', () => {
    fc.assert(
      fc.property(packets(), (packet) => {
        expect(decodeBfd(encodeBfd(packet))).toEqual(packet)
      }),
    )
  })

  test('out of range is the caller’s mistake', () => {
    expect(() => encodeBfd({ ...PLAIN, myDiscriminator: 0 })).toThrow(RangeError)
    expect(() => encodeBfd({ ...PLAIN, detectMult: 256 })).toThrow(RangeError)
    expect(() => encodeBfd({ ...PLAIN, desiredMinTxUs: 2 ** 32 })).toThrow(RangeError)
    expect(() => encodeBfd({ ...PLAIN, requiredMinRxUs: 0.5 })).toThrow(RangeError)
  })
})

describe('what section 6.8.6 discards without looking at a session', () => {
  const bad: readonly [BfdFaultKind, string][] = [
    ['truncated', '20400318 00000001 00000019 000f4240 000f4240 000000'],
    ['truncated', ''],
    ['bad-version', '00400318 00000001 00000019 000f4240 000f4240 00000000'],
    ['bad-version', '40400318 00000001 00000019 000f4240 000f4240 00000000'],
    ['bad-length', '20400317 00000001 00000019 000f4240 000f4240 00000000'],
    ['bad-length', '20400319 00000001 00000019 000f4240 000f4240 00000000'],
    ['bad-length', '20440318 00000001 00000019 000f4240 000f4240 00000000 0102'],
    ['zero-detect-mult', '20400018 00000001 00000019 000f4240 000f4240 00000000'],
    ['multipoint', '20410318 00000001 00000019 000f4240 000f4240 00000000'],
    ['zero-my-discriminator', '20400318 00000000 00000019 000f4240 000f4240 00000000'],
    ['zero-your-discriminator', '20c00318 00000001 00000000 000f4240 000f4240 00000000'],
    ['zero-your-discriminator', '20800318 00000001 00000000 000f4240 000f4240 00000000'],
    ['poll-and-final', '20700318 00000001 00000019 000f4240 000f4240 00000000'],
    ['bad-authentication', '2044031a 00000001 00000019 000f4240 000f4240 00000000 0101'],
    ['bad-authentication', '2044031a 00000001 00000019 000f4240 000f4240 00000000 0103'],
  ]

  test.each(bad)('%s: %s', (fault, text) => {
    expect(decodeBfd(hex(text))).toMatchObject({ fault })
  })

  test('every fault has its case', () => {
    expect(new Set(bad.map(([fault]) => fault))).toEqual(new Set(BFD_FAULTS))
  })

  test('any bytes whatever are answered, and what decodes encodes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const packet = decodeBfd(bytes)
        if (!isBfdFault(packet)) expect(decodeBfd(encodeBfd(packet))).toEqual(packet)
      }),
    )
  })
})

function packets(): fc.Arbitrary<BfdPacket> {
  const u32 = fc.nat(0xffffffff)
  const authentication = fc.record({ type: fc.nat(255), data: fc.uint8Array({ maxLength: 40 }) })
  return fc
    .record(
      {
        diagnostic: fc.nat(31),
        state: fc.constantFrom(...BFD_STATES),
        flags: fc.constantFrom(
          { poll: false, final: false },
          { poll: true, final: false },
          { poll: false, final: true },
        ),
        controlPlaneIndependent: fc.boolean(),
        demand: fc.boolean(),
        detectMult: fc.integer({ min: 1, max: 255 }),
        myDiscriminator: fc.integer({ min: 1, max: 0xffffffff }),
        yourDiscriminator: fc.integer({ min: 1, max: 0xffffffff }),
        desiredMinTxUs: u32,
        requiredMinRxUs: u32,
        requiredMinEchoRxUs: u32,
        authentication,
      },
      {
        requiredKeys: [
          'diagnostic',
          'state',
          'flags',
          'controlPlaneIndependent',
          'demand',
          'detectMult',
          'myDiscriminator',
          'yourDiscriminator',
          'desiredMinTxUs',
          'requiredMinRxUs',
          'requiredMinEchoRxUs',
        ],
      },
    )
    .map(({ flags, ...rest }) => ({ ...rest, ...flags }) as BfdPacket)
}
