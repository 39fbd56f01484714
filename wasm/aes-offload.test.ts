import { beforeAll, describe, expect, it } from 'vitest'
import { SeededRandom } from '../test/vectors/aead-node.ts'
import { BATCH, VERDICT_DELIVERED, VERDICT_DROPPED } from './abi.ts'
import { chooseAes, chooseFrom, fixedAes } from './aes-choice.ts'
import { NodeAes } from './aes-offload.ts'
import { build } from './build.ts'
import type { WasmEngine } from './engine.ts'
import type { AesSuite, HostAes } from './engine-offload.ts'
import { fillSynthetic, installSynthetic, openSynthetic, sealSynthetic, setUpSynthetic } from './engine-synthetic.ts'
import { createEngine } from './load.ts'
import type { AeadSuite, SaHandle } from './packet-engine.ts'

const SUITES: readonly AeadSuite[] = ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305']

/** Counts calls; fails on demand. */
class WatchedAes implements HostAes {
  readonly name = 'watched'
  readonly inner = new NodeAes()
  readonly installed = new Set<SaHandle>()
  calls = 0
  /** Packets that were sealed or opened whole. */
  whole = 0
  fails = false

  install(sa: SaHandle, suite: AesSuite, key: Uint8Array): void {
    this.installed.add(sa)
    this.inner.install(sa, suite, key)
  }

  remove(sa: SaHandle): void {
    this.installed.delete(sa)
    this.inner.remove(sa)
  }

  encrypt(sa: SaHandle, blocks: Uint8Array): void {
    this.calls++
    if (this.fails) throw new Error('no cipher today')
    this.inner.encrypt(sa, blocks)
  }

  seal(sa: SaHandle, nonce: Uint8Array, aad: Uint8Array, text: Uint8Array) {
    this.#count()
    return this.inner.seal(sa, nonce, aad, text)
  }

  open(sa: SaHandle, nonce: Uint8Array, aad: Uint8Array, text: Uint8Array, tag: Uint8Array) {
    this.#count()
    return this.inner.open(sa, nonce, aad, text, tag)
  }

  /** Fails in the middle of a batch. */
  #count(): void {
    if (this.fails && this.whole % BATCH === BATCH / 2) throw new Error('no cipher today')
    this.whole++
  }
}

const AES = ['aes-128-gcm', 'aes-256-gcm'] as const
/** Every packet of 400 bytes and more is the host's, others as `way` says. */
const wholeFrom400 = (way: 'wasm' | 'offload') => {
  const { plan, use } = fixedAes(way)
  return { plan: { ...plan, leastWhole: { 'aes-128-gcm': 400, 'aes-256-gcm': 400 } }, use }
}

beforeAll(() => build())

describe('AES by the host', () => {
  it.each(SUITES)('seals and opens %s as the engine does, at every size', (suite) => {
    const { host, offloaded, alone } = pair(suite)
    for (let size = 20; size <= 1400; size += size < 120 ? 1 : 37) {
      for (const engine of [offloaded, alone]) {
        fillSynthetic(engine, size)
        sealSynthetic(engine, 0)
      }
      expect(sealedBy(offloaded)).toEqual(sealedBy(alone))
      openSynthetic(offloaded, 0)
      for (let i = 0; i < BATCH; i++) expect(offloaded.lanTx.packet(i)).toEqual(offloaded.lanRx.slot(i, size))
    }
    expect(host.calls > 0).toBe(suite !== 'chacha20-poly1305')
  })

  it.each(['aes-128-gcm', 'aes-256-gcm'] as const)('drops what is forged in a batch of %s, and only that', (suite) => {
    const { offloaded } = pair(suite)
    const random = new SeededRandom(`forged ${suite}`)
    for (let round = 0; round < 20; round++) {
      fillSynthetic(offloaded, 20 + random.below(1380))
      sealSynthetic(offloaded, 0)
      const forged = new Set<number>()
      for (let i = 0; i < BATCH; i++) {
        const sealed = offloaded.wireTx.packet(i)
        if (random.below(4) === 0) {
          forged.add(i)
          sealed[16 + random.below(sealed.length - 16)]! ^= 1 << random.below(8)
        }
        offloaded.wireRx.slot(i, sealed.length).set(sealed)
        offloaded.wireRx.length[i] = sealed.length
      }
      const before = Array.from({ length: BATCH }, (_, i) => offloaded.wireTx.packet(i).slice())
      offloaded.openBatch(BATCH, 'udp', 0)
      for (let i = 0; i < BATCH; i++) {
        expect(offloaded.wireRx.verdict[i]).toBe(forged.has(i) ? VERDICT_DROPPED : VERDICT_DELIVERED)
        if (forged.has(i)) expect(offloaded.wireRx.slot(i, before[i]!.length)).toEqual(before[i])
      }
    }
  })

  it('goes on by itself where the cipher fails', () => {
    const { host, offloaded, alone } = pair('aes-128-gcm')
    host.fails = true
    for (const engine of [offloaded, alone]) {
      fillSynthetic(engine, 1400)
      sealSynthetic(engine, 0)
    }
    expect(host.calls).toBe(1)
    expect(sealedBy(offloaded)).toEqual(sealedBy(alone))
    openSynthetic(offloaded, 0)
    expect(host.calls).toBe(2)
  })

  it('holds packets back until they are encrypted', () => {
    const { host, offloaded } = pair('aes-128-gcm')
    let seen = -1
    const encrypt = host.inner.encrypt.bind(host.inner)
    host.inner.encrypt = (sa, blocks) => {
      seen = offloaded.wireTx.count
      encrypt(sa, blocks)
    }
    fillSynthetic(offloaded, 1400)
    sealSynthetic(offloaded, 0)
    expect(seen).toBe(0)
    expect(offloaded.wireTx.count).toBe(BATCH)
  })

  it('asks for nothing below the number of blocks that is worth a call', () => {
    const { use } = fixedAes('offload')
    const { host, offloaded } = pair('aes-128-gcm', {
      plan: { suites: ['aes-128-gcm'], leastBlocks: 100_000, leastWhole: {} },
      use,
    })
    fillSynthetic(offloaded, 1400)
    sealSynthetic(offloaded, 0)
    openSynthetic(offloaded, 0)
    expect(host.calls).toBe(0)
  })

  it('lets go of the cipher when its SA is removed', () => {
    const { host, offloaded } = pair('aes-256-gcm')
    expect(host.installed.size).toBe(2)
    for (const sa of host.installed) offloaded.removeSa(sa)
    expect(host.installed.size).toBe(0)
    expect(() => host.inner.encrypt(1, new Uint8Array(16))).toThrow('no cipher')
  })

  it.each(AES)('seals and opens whole packets of %s as the engine does', (suite) => {
    for (const way of ['wasm', 'offload'] as const) {
      const { host, offloaded, alone } = pair(suite, wholeFrom400(way))
      for (const size of [380, 394, 395, 397, 398, 399, 400, 401, 1400, 5003, 8999, 9000]) {
        const before = host.whole
        for (const engine of [offloaded, alone]) {
          fillSynthetic(engine, size)
          sealSynthetic(engine, 0)
        }
        expect(sealedBy(offloaded)).toEqual(sealedBy(alone))
        openSynthetic(offloaded, 0)
        for (let i = 0; i < BATCH; i++) expect(offloaded.lanTx.packet(i)).toEqual(offloaded.lanRx.slot(i, size))
        // With padding, pad length and next header.
        expect(host.whole - before).toBe(size > 394 ? 2 * BATCH : 0)
      }
      expect(host.calls > 0).toBe(way === 'offload')
    }
  })

  it('drops what is forged among whole packets, and leaves it as it came', () => {
    const { host, offloaded } = pair('aes-128-gcm', wholeFrom400('wasm'))
    fillSynthetic(offloaded, 2000)
    sealSynthetic(offloaded, 0)
    const came = sealedBy(offloaded)
    for (const [i, sealed] of came.entries()) {
      if (i % 3 === 0) sealed[16 + ((i * 37) % (sealed.length - 16))]! ^= 4
      offloaded.wireRx.slot(i, sealed.length).set(sealed)
      offloaded.wireRx.length[i] = sealed.length
    }
    offloaded.openBatch(BATCH, 'udp', 0)
    expect(host.whole).toBe(2 * BATCH)
    for (const [i, sealed] of came.entries()) {
      expect(offloaded.wireRx.verdict[i]).toBe(i % 3 === 0 ? VERDICT_DROPPED : VERDICT_DELIVERED)
      if (i % 3 === 0) expect(offloaded.wireRx.slot(i, sealed.length)).toEqual(sealed)
    }
    expect(offloaded.drops().auth_failed).toBe(Math.ceil(BATCH / 3))
  })

  it('does the rest of a batch by itself where the host fails at a whole packet', () => {
    const { host, offloaded, alone } = pair('aes-256-gcm', wholeFrom400('offload'))
    host.fails = true
    for (const engine of [offloaded, alone]) {
      fillSynthetic(engine, 1400)
      sealSynthetic(engine, 0)
    }
    expect(host.whole).toBe(BATCH / 2)
    expect(sealedBy(offloaded)).toEqual(sealedBy(alone))
    openSynthetic(offloaded, 0)
    expect(host.whole).toBe(BATCH / 2)
  })

  it('takes whole packets from where they are faster', () => {
    const wasm = { short: 2000, long: 12_000 }
    const offload = { short: 1000, long: 5500 }
    const choice = (over: Partial<Parameters<typeof chooseFrom>[1]>) =>
      chooseFrom('aes-128-gcm', { wasm, offload, whole: { short: 4000, long: 4200 }, ...over })
    const usual = choice({})
    expect(usual).toMatchObject({ way: 'offload', leastWhole: 6139 })
    expect(usual.why).toContain('from 6139 bytes on with node:crypto packet by packet (4.20 us for 8192 bytes')
    expect(choice({ whole: { short: 4000, long: 6000 } })).toMatchObject({ way: 'offload', leastWhole: undefined })
    expect(choice({ whole: { short: 900, long: 1000 } })).toMatchObject({ way: 'offload', leastWhole: 1246 })
    expect(choice({ whole: { short: 300, long: 1000 } }).leastWhole).toBe(512)
    expect(choice({ offload: { short: 3000, long: 5500 } })).toMatchObject({ way: 'wasm', leastWhole: 2787 })
    expect(choice({ offload: wasm, whole: wasm }).leastWhole).toBeUndefined()
  })

  it('is chosen by measuring, and says why', () => {
    const { plan, use } = chooseAes(() => createEngine({ capacity: 'small' }))
    for (const least of Object.values(plan.leastWhole)) expect(least).toBeGreaterThanOrEqual(512)
    for (const suite of ['aes-128-gcm', 'aes-256-gcm'] as const) {
      expect(use.suites[suite]).toBe(plan.suites.includes(suite) ? 'offload' : 'wasm')
      const way = use.suites[suite] === 'offload' ? 'with the AES of node:crypto' : 'in WebAssembly'
      expect(use.why).toContain(`${suite} ${way} (`)
    }
    expect(plan.suites.length === 0 || plan.leastBlocks > 0).toBe(true)
    expect(createEngine({ aes: 'offload' }).aes.suites['aes-128-gcm']).toBe('offload')
    expect(createEngine().aes.suites['aes-128-gcm']).toBe('wasm')
  })
})

/** Two engines with the same SAs, one with the host's AES. */
function pair(suite: AeadSuite, choice = fixedAes('offload')) {
  const host = new WatchedAes()
  const offloaded = createEngine({ capacity: 'small' })
  offloaded.offloadAes(host, choice)
  const alone = createEngine({ capacity: 'small' })
  for (const engine of [offloaded, alone]) {
    setUpSynthetic(engine)
    installSynthetic(engine, suite, 256)
  }
  return { host, offloaded, alone }
}

function sealedBy(engine: WasmEngine): Uint8Array[] {
  return Array.from({ length: engine.wireTx.count }, (_, i) => engine.wireTx.packet(i).slice())
}
