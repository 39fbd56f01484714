import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
} from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { toBase64url } from '../../../protocol/control/base64url.ts'
import type { ConnectorDocument, DocumentEpoch, EpochKey } from '../../../protocol/control/document.ts'
import { Keeper, type KeeperEffect, type TunnelPlan } from './keeper.ts'
import type { EpochCrypto } from './psk.ts'
import { type ManagedState, managedStateSchema } from './state.ts'

const NETWORK = 'net_00000000000000000000'
const TUNNEL = 'tun_00000000000000000000'
const IDS = { a: 'con_aaaaaaaaaaaaaaaaaaaa', b: 'con_bbbbbbbbbbbbbbbbbbbb' } as const
const IDENTITY = { a: toBase64url(new Uint8Array(32).fill(1)), b: toBase64url(new Uint8Array(32).fill(2)) } as const
type Name = keyof typeof IDS

const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex')
const SPKI = Buffer.from('302a300506032b656e032100', 'hex')
const crypto: EpochCrypto = {
  sharedSecret(privateKey, publicKey) {
    try {
      return new Uint8Array(
        diffieHellman({
          privateKey: createPrivateKey({ key: Buffer.concat([PKCS8, privateKey]), format: 'der', type: 'pkcs8' }),
          publicKey: createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' }),
        }),
      )
    } catch {
      return undefined
    }
  },
  hkdfSha256: (secret, salt, info, length) => new Uint8Array(hkdfSync('sha256', secret, salt, info, length)),
  sha256: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
}

function pair(): { privateKey: Uint8Array; publicKey: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  return {
    privateKey: new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)),
    publicKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)),
  }
}

/** One end: a keeper, what it saved, and a plain rendering of what it wants. A half's text is its name here. */
class End {
  readonly me: Name
  readonly peer: Name
  keeper: Keeper
  saved: ManagedState | undefined
  plan: readonly TunnelPlan[] = []
  readonly events: string[] = []
  readonly published = new Map<number, EpochKey>()

  constructor(me: Name) {
    this.me = me
    this.peer = me === 'a' ? 'b' : 'a'
    this.keeper = new Keeper({ network: NETWORK, connector: IDS[me] }, undefined, crypto)
  }

  restart(): void {
    this.keeper = new Keeper({ network: NETWORK, connector: IDS[this.me] }, this.saved, crypto)
    this.keeper.handle({ type: 'document', document: this.keeper.document!, halves: new Map() })
    this.drain()
  }

  document(epochs: DocumentEpoch[], halves: EpochKey[] = [], identityKey: string = IDENTITY[this.peer]): void {
    const peer = { connector: IDS[this.peer], site: 'there', identityKey, prefixes: ['10.2.0.0/16'] }
    const document: ConnectorDocument = {
      format: 1,
      network: NETWORK,
      connector: IDS[this.me],
      version: this.keeper.version + 1,
      site: { name: 'here', prefixes: ['10.1.0.0/16'] },
      tunnels: [{ id: TUNNEL, name: 'here-there', initiate: true, peer, epochs }],
    }
    this.keeper.handle({
      type: 'document',
      document,
      halves: new Map(halves.map((half) => [`${half.tunnel}/${half.epoch}`, half])),
    })
    this.drain()
  }

  drain(): void {
    for (let effect = this.keeper.poll(); effect !== undefined; effect = this.keeper.poll()) this.#perform(effect)
  }

  keys(): string[] {
    return this.plan.flatMap(({ keys }) => keys.map(({ id, psk }) => `${id}=${toBase64url(psk)}`))
  }

  #perform(effect: KeeperEffect): void {
    if (effect.type === 'event') this.events.push(effect.code)
    if (effect.type === 'settle') {
      this.saved = managedStateSchema.parse(JSON.parse(JSON.stringify(effect.state)))
      this.plan = effect.tunnels
    }
    if (effect.type !== 'make-half') return
    const { privateKey, publicKey } = pair()
    const { tunnel, epoch, peer } = effect
    this.published.set(epoch, {
      use: 'isthmus-epoch-key',
      network: NETWORK,
      tunnel,
      epoch,
      connector: IDS[this.me],
      peer,
      key: toBase64url(publicKey),
    })
    this.keeper.handle({ type: 'half-made', tunnel, epoch, peer, privateKey, publicKey, half: 'a.b.c' })
  }
}

/** Both ends with epoch 1 in use. */
function established(): { a: End; b: End } {
  const a = new End('a')
  const b = new End('b')
  for (const end of [a, b]) end.document([{ epoch: 1, phase: 'offer' }])
  use(a, b, 1)
  use(b, a, 1)
  return { a, b }
}

function use(end: End, other: End, epoch: number, phase: 'accept' | 'use' = 'use', before: DocumentEpoch[] = []): void {
  end.document([...before, { epoch, phase, peerKey: 'a.b.c' }], [other.published.get(epoch)!])
}

const OLD: DocumentEpoch[] = [{ epoch: 1, phase: 'use', peerKey: 'a.b.c' }]

describe('Keeper', () => {
  it('derives the same key at both ends, and none before the peer has published', () => {
    const a = new End('a')
    a.document([{ epoch: 1, phase: 'offer' }])
    expect(a.keys()).toEqual([])
    expect(a.keeper.epochs(TUNNEL)).toMatchObject([{ epoch: 1, accepted: false }])
    const pairOfEnds = established()
    expect(pairOfEnds.a.keys()).toEqual(pairOfEnds.b.keys())
    expect(pairOfEnds.a.keys()).toHaveLength(1)
    expect(pairOfEnds.a.keeper.epochs(TUNNEL)[0]!.fingerprint).toBe(pairOfEnds.b.keeper.epochs(TUNNEL)[0]!.fingerprint)
  })

  it('goes through a rotation: the old key first, then the new one first, then the new one alone', () => {
    const { a, b } = established()
    const [old] = a.keys()
    for (const end of [a, b]) end.document([...OLD, { epoch: 2, phase: 'offer' }])
    expect(a.keys()).toEqual([old])
    use(a, b, 2, 'accept', OLD)
    use(b, a, 2, 'accept', OLD)
    expect(a.keys()[0]).toBe(old)
    expect(a.keys()).toHaveLength(2)
    expect(a.keys()).toEqual(b.keys())
    use(a, b, 2, 'use', [{ epoch: 1, phase: 'accept', peerKey: 'a.b.c' }])
    expect(a.keys().map((key) => key.split('=')[0])).toEqual(['epoch-2', 'epoch-1'])
    use(a, b, 2)
    expect(a.keys().map((key) => key.split('=')[0])).toEqual(['epoch-2'])
    expect(a.events.at(-1)).toBe('epoch-forgotten')
    expect(JSON.stringify(a.saved)).not.toContain(old!.split('=')[1])
  })

  it('keeps no private half once the key is derived', () => {
    const { a } = established()
    expect(JSON.stringify(a.saved)).not.toContain('privateKey')
  })

  it('goes on after a restart at any point, with the same halves and keys', () => {
    const { a, b } = established()
    const before = a.keys()
    a.restart()
    expect(a.keys()).toEqual(before)
    for (const end of [a, b]) end.document([...OLD, { epoch: 2, phase: 'offer' }])
    const half = a.published.get(2)
    a.restart()
    a.document([...OLD, { epoch: 2, phase: 'offer' }])
    expect(a.published.get(2)).toBe(half)
    use(a, b, 2, 'accept', OLD)
    use(b, a, 2, 'accept', OLD)
    expect(a.keys()).toEqual(b.keys())
  })

  it('goes back to the old key when a rotation is aborted', () => {
    const { a, b } = established()
    const before = a.keys()
    for (const end of [a, b]) end.document([...OLD, { epoch: 2, phase: 'offer' }])
    use(a, b, 2, 'accept', OLD)
    a.document(OLD, [b.published.get(1)!])
    expect(a.keys()).toEqual(before)
    expect(a.keeper.epochs(TUNNEL).map(({ epoch }) => epoch)).toEqual([1])
  })

  it('refuses another identity key of a known connector, and the tunnel goes on as it was', () => {
    const { a } = established()
    const before = a.keys()
    const foreign = toBase64url(new Uint8Array(32).fill(9))
    a.document([...OLD, { epoch: 2, phase: 'offer' }], [], foreign)
    expect(a.events.at(-1)).toBe('identity-changed')
    expect(a.keeper.refusal(TUNNEL)).toMatchObject({ code: 'identity-changed' })
    expect(a.keys()).toEqual(before)
    expect(a.published.has(2)).toBe(false)
    a.restart()
    expect(a.keys()).toEqual(before)
    expect(a.keeper.refusal(TUNNEL)).toMatchObject({ code: 'identity-changed' })
    a.keeper.handle({ type: 'trust', connector: IDS.b, identityKey: foreign })
    a.drain()
    expect(a.keeper.refusal(TUNNEL)).toBeUndefined()
    expect(a.published.has(2)).toBe(true)
  })

  it.each([
    ['of another tunnel', { tunnel: 'tun_11111111111111111111' }],
    ['of another epoch', { epoch: 7 }],
    ['of another connector', { connector: 'con_cccccccccccccccccccc' }],
    ['for another connector', { peer: 'con_cccccccccccccccccccc' }],
    ['of another network', { network: 'net_11111111111111111111' }],
    ['of low order', { key: toBase64url(new Uint8Array(32)) }],
  ])('refuses a half %s', (_what, change) => {
    const { a, b } = established()
    for (const end of [a, b]) end.document([...OLD, { epoch: 2, phase: 'offer' }])
    const half = { ...b.published.get(2)!, ...change }
    const document: DocumentEpoch[] = [...OLD, { epoch: 2, phase: 'accept', peerKey: 'a.b.c' }]
    a.document(document, [{ ...half, tunnel: TUNNEL, epoch: 2, ...change }])
    expect(a.events.at(-1)).toBe('half-refused')
    expect(a.keys()).toHaveLength(1)
    expect(a.keeper.epochs(TUNNEL)).toMatchObject([{ accepted: true }, { accepted: false }])
  })

  it('refuses a document for another connector', () => {
    const { a, b } = established()
    const before = a.keys()
    a.keeper.handle({ type: 'document', document: b.keeper.document!, halves: new Map() })
    a.drain()
    expect(a.events.at(-1)).toBe('document-refused')
    expect(a.keys()).toEqual(before)
  })

  it('refuses a document that is older than the one that it carries out', () => {
    const { a } = established()
    const before = a.keys()
    const old = { ...a.keeper.document!, version: a.keeper.version - 1, tunnels: [] }
    a.keeper.handle({ type: 'document', document: old, halves: new Map() })
    a.drain()
    expect(a.events.at(-1)).toBe('document-refused')
    expect(a.keys()).toEqual(before)
  })

  it('ends a tunnel that the document no longer has, and forgets its keys', () => {
    const { a } = established()
    a.keeper.handle({ type: 'document', document: { ...a.keeper.document!, tunnels: [] }, halves: new Map() })
    a.drain()
    expect(a.keys()).toEqual([])
    expect(a.saved!.epochs).toEqual({})
  })
})
