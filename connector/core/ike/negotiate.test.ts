import { describe, expect, test } from 'vitest'
import { parseEspProposal, parseIkeProposal } from './names.ts'
import {
  acceptEsp,
  acceptIke,
  chooseEsp,
  chooseIke,
  groupBytes,
  groupToRequest,
  offerEsp,
  offerIke,
  requestedGroup,
} from './negotiate.ts'
import type { EspProposal, IkeProposal } from './types.ts'
import type { Proposal, Transform } from './wire/types.ts'

const ike = (...texts: string[]) => texts.map((text) => parseIkeProposal(text) as IkeProposal)
const esp = (...texts: string[]) => texts.map((text) => parseEspProposal(text) as EspProposal)
const NO_SPI = new Uint8Array(0)
const OUR_SPI = Uint8Array.of(0xc0, 0, 0, 1)
const PEER_SPI = Uint8Array.of(0xc1, 0, 0, 2)
const [ENCR, PRF, INTEG, KE, ESN] = [1, 2, 3, 4, 5]
const t = (type: number, id: number, keyLength?: number): Transform =>
  keyLength === undefined ? { type, id } : { type, id, keyLength }
const ikeOffer = (...transforms: Transform[]): Proposal => ({ number: 1, protocol: 1, spi: NO_SPI, transforms })
const espOffer = (...transforms: Transform[]): Proposal => ({ number: 1, protocol: 3, spi: PEER_SPI, transforms })

describe('offers', () => {
  test('each IKE suite is a numbered proposal', () => {
    expect(offerIke(ike('aes256-sha256-prfsha384-ecp256', 'chacha20poly1305-x25519'), NO_SPI)).toEqual([
      {
        number: 1,
        protocol: 1,
        spi: NO_SPI,
        transforms: [t(ENCR, 12, 256), t(PRF, 6), t(INTEG, 12), t(KE, 19)],
      },
      { number: 2, protocol: 1, spi: NO_SPI, transforms: [t(ENCR, 28), t(PRF, 5), t(KE, 31)] },
    ])
  })

  test('in IKE_AUTH an ESP offer has no groups, and no suite twice', () => {
    const ours = esp('aes128gcm16-x25519', 'aes128gcm16-ecp256', 'aes256gcm16-esn')
    expect(offerEsp(ours, OUR_SPI, 'IKE_AUTH')).toEqual([
      { number: 1, protocol: 3, spi: OUR_SPI, transforms: [t(ENCR, 20, 128), t(ESN, 0)] },
      { number: 2, protocol: 3, spi: OUR_SPI, transforms: [t(ENCR, 20, 256), t(ESN, 1)] },
    ])
    expect(offerEsp(ours, OUR_SPI, 'CREATE_CHILD_SA').map((it) => it.transforms)).toEqual([
      [t(ENCR, 20, 128), t(KE, 31), t(ESN, 0)],
      [t(ENCR, 20, 128), t(KE, 19), t(ESN, 0)],
      [t(ENCR, 20, 256), t(ESN, 1)],
    ])
  })

  test('no more proposals than their number has room for', () => {
    expect(offerIke(new Array(300).fill(ike('aes128gcm16-x25519')[0]!), NO_SPI)).toHaveLength(255)
  })
})

describe('choosing an IKE suite', () => {
  const ours = ike('aes256gcm16-prfsha384-ecp384', 'aes128gcm16-prfsha256-x25519', 'aes256-sha256-modp2048')

  test('what one side offers the other chooses and the first accepts, each suite', () => {
    for (const suite of ours) {
      const choice = chooseIke(offerIke([suite], NO_SPI), ours, NO_SPI)
      expect(choice?.suite).toEqual(suite)
      expect(acceptIke([choice!.answer], ours, 0)).toEqual({ suite, peerSpi: NO_SPI })
    }
  })

  test('our preference decides, not the order of the offer', () => {
    const choice = chooseIke(offerIke([...ours].reverse(), NO_SPI), ours, NO_SPI)
    expect(choice?.suite).toEqual(ours[0])
    expect(choice?.answer.number).toBe(3)
  })

  test('one proposal with many transforms of each type', () => {
    const many = ikeOffer(
      ...[128, 192, 256].map((bits) => t(ENCR, 20, bits)),
      ...[2, 5, 6, 7].map((id) => t(PRF, id)),
      ...[2, 14, 19, 20, 31].map((id) => t(KE, id)),
    )
    const choice = chooseIke([many], ours, NO_SPI)
    expect(choice?.answer.transforms).toEqual([t(ENCR, 20, 256), t(PRF, 6), t(KE, 20)])
  })

  test('ciphers with and without own integrity mixed in one proposal', () => {
    const mixed = ikeOffer(t(ENCR, 12, 256), t(ENCR, 20, 128), t(INTEG, 12), t(PRF, 5), t(KE, 14), t(KE, 31))
    expect(chooseIke([mixed], ours, NO_SPI)?.answer.transforms).toEqual([t(ENCR, 20, 128), t(PRF, 5), t(KE, 31)])
    const cbc = chooseIke([mixed], ike('aes256-sha256-modp2048'), NO_SPI)
    expect(cbc?.answer.transforms).toEqual([t(ENCR, 12, 256), t(INTEG, 12), t(PRF, 5), t(KE, 14)])
  })

  test('INTEG NONE beside an AEAD is echoed, and accepted in an answer', () => {
    const none = ikeOffer(t(ENCR, 20, 128), t(INTEG, 0), t(PRF, 5), t(KE, 31))
    const choice = chooseIke([none], ours, NO_SPI)
    expect(choice?.answer.transforms).toEqual(none.transforms)
    expect(acceptIke([none], ours, 0)?.suite).toEqual(ours[1])
  })

  test('a transform with an unknown attribute is passed over', () => {
    const odd = { ...t(KE, 31), unknownAttribute: true }
    expect(chooseIke([ikeOffer(t(ENCR, 20, 128), t(PRF, 5), odd)], ours, NO_SPI)).toBeUndefined()
    const also = ikeOffer(t(ENCR, 20, 128), t(PRF, 5), odd, t(KE, 31))
    expect(chooseIke([also], ours, NO_SPI)?.answer.transforms).toEqual([t(ENCR, 20, 128), t(PRF, 5), t(KE, 31)])
  })

  test.each([
    ['an unknown transform type', [t(ENCR, 20, 128), t(PRF, 5), t(KE, 31), t(6, 36)]],
    ['no PRF', [t(ENCR, 20, 128), t(KE, 31)]],
    ['no group', [t(ENCR, 20, 128), t(PRF, 5)]],
    ['no key length', [t(ENCR, 20), t(PRF, 5), t(KE, 31)]],
    ['CBC without integrity', [t(ENCR, 12, 256), t(PRF, 5), t(KE, 14)]],
    ['ESN, which is not IKE', [t(ENCR, 20, 128), t(PRF, 5), t(KE, 31), t(ESN, 0)]],
    ['nothing', []],
  ])('%s makes a proposal unacceptable; the next one is tried', (_name, transforms) => {
    const bad = ikeOffer(...transforms)
    expect(chooseIke([bad], ours, NO_SPI)).toBeUndefined()
    const good = { ...offerIke(ours.slice(1, 2), NO_SPI)[0]!, number: 2 }
    expect(chooseIke([bad, good], ours, NO_SPI)?.answer.number).toBe(2)
  })

  test('other protocols and SPI lengths are passed over', () => {
    const offer = offerIke(ours, NO_SPI)
    expect(chooseIke([{ ...offer[0]!, protocol: 3 }], ours, NO_SPI)).toBeUndefined()
    expect(chooseIke(offer, ours, new Uint8Array(8).fill(1))).toBeUndefined()
    expect(chooseIke([], ours, NO_SPI)).toBeUndefined()
  })

  test('at a rekey the SPIs change places', () => {
    const theirs = new Uint8Array(8).fill(7)
    const mine = new Uint8Array(8).fill(8)
    const choice = chooseIke(offerIke(ours, theirs), ours, mine)
    expect(choice?.peerSpi).toEqual(theirs)
    expect(choice?.answer.spi).toEqual(mine)
    expect(acceptIke([choice!.answer], ours, 8)?.peerSpi).toEqual(mine)
  })
})

describe('accepting an IKE answer', () => {
  const ours = ike('aes128gcm16-prfsha256-x25519', 'aes256-sha256-modp2048')
  const [good] = offerIke(ours, NO_SPI) as [Proposal]

  test('the number does not matter: some peers always say 1', () => {
    const second = { ...offerIke(ours, NO_SPI)[1]!, number: 1 }
    expect(acceptIke([second], ours, 0)?.suite).toEqual(ours[1])
  })

  test.each([
    ['two proposals', [good, good]],
    ['no proposal', []],
    ['another protocol', [{ ...good, protocol: 3 }]],
    ['an SPI', [{ ...good, spi: OUR_SPI }]],
    ['two of a type', [{ ...good, transforms: [...good.transforms, t(KE, 14)] }]],
    ['one too few', [{ ...good, transforms: good.transforms.slice(1) }]],
    ['a group that we did not offer', [ikeOffer(t(ENCR, 20, 128), t(PRF, 5), t(KE, 14))]],
    ['another key length', [ikeOffer(t(ENCR, 20, 256), t(PRF, 5), t(KE, 31))]],
    ['parts of two suites', [ikeOffer(t(ENCR, 20, 128), t(PRF, 5), t(KE, 14))]],
    ['integrity that we did not offer', [{ ...good, transforms: [...good.transforms, t(INTEG, 12)] }]],
    ['an unknown type', [{ ...good, transforms: [...good.transforms, t(6, 36)] }]],
    [
      'an unknown attribute',
      [{ ...good, transforms: good.transforms.map((it) => ({ ...it, unknownAttribute: true })) }],
    ],
  ])('%s is refused', (_name, answer) => {
    expect(acceptIke(answer, ours, 0)).toBeUndefined()
  })
})

describe('ESP', () => {
  const plain = esp('aes128gcm16')
  const pfs = esp('aes256gcm16-x25519', 'aes128gcm16-ecp256')

  test('IKE_AUTH: a key exchange transform is left out, offered or not', () => {
    const offered = espOffer(t(ENCR, 20, 128), t(KE, 14), t(KE, 31), t(ESN, 0))
    for (const ours of [plain, pfs]) {
      const choice = chooseEsp([offered], ours, OUR_SPI, 'IKE_AUTH')
      expect(choice?.suite).toEqual({ encryption: 'aes128gcm16', esn: false })
      expect(choice?.peerSpi).toEqual(PEER_SPI)
      expect(choice?.answer).toEqual({
        number: 1,
        protocol: 3,
        spi: OUR_SPI,
        transforms: [t(ENCR, 20, 128), t(ESN, 0)],
      })
      const answer = { ...offered, transforms: [t(ENCR, 20, 128), t(KE, 31), t(ESN, 0)] }
      expect(acceptEsp([answer], ours, 'IKE_AUTH')?.suite).toEqual(choice?.suite)
    }
  })

  test('CREATE_CHILD_SA: the group must be one of ours', () => {
    const offered = espOffer(t(ENCR, 20, 128), t(KE, 14), t(KE, 19), t(ESN, 0))
    const choice = chooseEsp([offered], pfs, OUR_SPI, 'CREATE_CHILD_SA')
    expect(choice?.suite).toEqual(pfs[1])
    expect(choice?.answer.transforms).toEqual([t(ENCR, 20, 128), t(KE, 19), t(ESN, 0)])
    const other = espOffer(t(ENCR, 20, 128), t(KE, 14), t(ESN, 0))
    expect(chooseEsp([other], pfs, OUR_SPI, 'CREATE_CHILD_SA')).toBeUndefined()
  })

  test('CREATE_CHILD_SA: with and without a group are different suites', () => {
    const without = espOffer(t(ENCR, 20, 128), t(ESN, 0))
    const with19 = espOffer(t(ENCR, 20, 128), t(KE, 19), t(ESN, 0))
    const either = espOffer(t(ENCR, 20, 128), t(KE, 19), t(KE, 0), t(ESN, 0))
    expect(chooseEsp([without], pfs, OUR_SPI, 'CREATE_CHILD_SA')).toBeUndefined()
    expect(chooseEsp([with19], plain, OUR_SPI, 'CREATE_CHILD_SA')).toBeUndefined()
    expect(chooseEsp([without], plain, OUR_SPI, 'CREATE_CHILD_SA')?.suite).toEqual(plain[0])
    expect(chooseEsp([either], pfs, OUR_SPI, 'CREATE_CHILD_SA')?.suite).toEqual(pfs[1])
    const none = chooseEsp([either], plain, OUR_SPI, 'CREATE_CHILD_SA')
    expect(none?.answer.transforms).toEqual([t(ENCR, 20, 128), t(KE, 0), t(ESN, 0)])
    expect(acceptEsp([none!.answer], plain, 'CREATE_CHILD_SA')?.suite).toEqual(plain[0])
    expect(acceptEsp([with19], plain, 'CREATE_CHILD_SA')).toBeUndefined()
  })

  test('ESN: as offered, never by default', () => {
    const both = espOffer(t(ENCR, 20, 128), t(ESN, 1), t(ESN, 0))
    expect(chooseEsp([both], plain, OUR_SPI, 'IKE_AUTH')?.suite.esn).toBe(false)
    expect(chooseEsp([both], esp('aes128gcm16-esn'), OUR_SPI, 'IKE_AUTH')?.suite.esn).toBe(true)
    const missing = espOffer(t(ENCR, 20, 128))
    expect(chooseEsp([missing], plain, OUR_SPI, 'IKE_AUTH')).toBeUndefined()
    expect(acceptEsp([missing], plain, 'IKE_AUTH')).toBeUndefined()
  })

  test('reserved SPIs are refused', () => {
    const suite = [t(ENCR, 20, 128), t(ESN, 0)]
    for (const spi of [NO_SPI, new Uint8Array(4), Uint8Array.of(0, 0, 0, 255), new Uint8Array(8).fill(1)]) {
      const proposal = { ...espOffer(...suite), spi }
      expect(chooseEsp([proposal], plain, OUR_SPI, 'IKE_AUTH')).toBeUndefined()
      expect(acceptEsp([proposal], plain, 'IKE_AUTH')).toBeUndefined()
    }
    const first = { ...espOffer(...suite), spi: Uint8Array.of(0, 0, 1, 0) }
    expect(chooseEsp([first], plain, OUR_SPI, 'IKE_AUTH')).toBeDefined()
  })

  test('AH is not ESP', () => {
    const ah = { ...espOffer(t(INTEG, 12), t(ESN, 0)), protocol: 2 }
    expect(chooseEsp([ah], plain, OUR_SPI, 'IKE_AUTH')).toBeUndefined()
  })
})

describe('groups', () => {
  const ours = ike('aes128gcm16-x25519', 'aes128gcm16-ecp256')

  test('the group to ask for in INVALID_KE_PAYLOAD', () => {
    expect(groupToRequest({ group: 'x25519' }, 31)).toBeUndefined()
    expect(groupToRequest({ group: 'x25519' }, 14)).toBe(31)
    expect(groupToRequest({ group: 'ecp256' }, undefined)).toBe(19)
    expect(groupToRequest({}, 14)).toBeUndefined()
    expect(groupToRequest({}, undefined)).toBeUndefined()
  })

  test('the group asked of us, if it is one that we offered', () => {
    expect(requestedGroup(groupBytes(19), ours)).toBe('ecp256')
    expect(requestedGroup(groupBytes(14), ours)).toBeUndefined()
    expect(requestedGroup(groupBytes(0x0113), ours)).toBeUndefined()
    expect(requestedGroup(Uint8Array.of(19), ours)).toBeUndefined()
    expect(requestedGroup(groupBytes(19), esp('aes128gcm16'))).toBeUndefined()
  })
})
