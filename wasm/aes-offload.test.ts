import { beforeAll, describe, expect, it } from 'vitest'
import { SeededRandom } from '../test/vectors/aead-node.ts'
import { BATCH, VERDICT_DELIVERED, VERDICT_DROPPED } from './abi.ts'
import { chooseAes, fixedAes, NodeAes } from './aes-offload.ts'
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
    const { host, offloaded } = pair('aes-128-gcm', { plan: { suites: ['aes-128-gcm'], leastBlocks: 100_000 }, use })
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

  it('is chosen by measuring, and says why', () => {
    const { plan, use } = chooseAes(() => createEngine({ capacity: 'small' }))
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
