/**
 * Mutated real packets through `openBatch` of both engines: no trap, no write outside the areas that an open may
 * write, equal verdicts, and nothing bent is ever delivered.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { address, prefix } from '../../protocol/net.ts'
import { MAX_OUTER, SLOT_BYTES, VERDICT_CONSUMED, VERDICT_DELIVERED } from '../../wasm/abi.ts'
import { createNodeEngine } from '../../wasm/engine-node.ts'
import { createEngine } from '../../wasm/load.ts'
import type { AeadSuite, InboundSa, OutboundSa, PacketEngine, TrafficSelector } from '../../wasm/packet-engine.ts'
import { keyLength } from '../../wasm/reference/aead.ts'
import { concat, setU16, setU32 } from '../../wasm/reference/bytes.ts'
import { EnginePair } from '../../wasm/testing/differential-pair.ts'
import { Random, randomPackets } from '../../wasm/testing/differential-random.ts'

const ROUNDS = 320
const BATCH = 64
const SUITES: readonly AeadSuite[] = ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305']
const REMOTE = { address: address('192.0.2.1'), port: 4500 }
const CORPUS = new URL('./corpus/engine/', import.meta.url)
/** One run by hand: ISTHMUS_SEED=17 vitest run test/fuzz/engine-open.test.ts */
const SEED = Number(process.env.ISTHMUS_SEED ?? 1)

it(`bent packets never pass, trap or write elsewhere (seed ${SEED})`, () => {
  const world = new FuzzWorld(SEED)
  let delivered = 0
  for (let round = 0; round < ROUNDS; round++) {
    try {
      delivered += world.round()
    } catch (cause) {
      throw new Error(`seed ${SEED}, round ${round}: ${(cause as Error).message}`, { cause })
    }
  }
  // Unbent packets run along, so that the path behind the tag is open too.
  expect(delivered).toBeGreaterThan(ROUNDS)
})

it('inputs that once failed stay harmless', () => {
  const names = readdirSync(CORPUS).filter((name) => name.endsWith('.hex'))
  expect(names.length).toBeGreaterThan(0)
  for (const name of names) {
    const lines = readFileSync(new URL(name, CORPUS), 'utf8')
      .split('\n')
      .filter((line) => /^[0-9a-f]+$/.test(line))
    const packets = lines.map((line) => Uint8Array.from(Buffer.from(line, 'hex')))
    for (const pathMtu of [576, 1500, 9216]) new FuzzWorld(1, pathMtu).lan(packets)
  }
})

interface Flight {
  readonly bytes: Uint8Array
  readonly bent: boolean
}

class FuzzWorld {
  readonly #random: Random
  readonly #wasm = createEngine()
  readonly #pair: EnginePair
  readonly #saved: Uint8Array[] = []
  #now = 1

  constructor(seed: number, pathMtu = 9216) {
    this.#random = new Random(seed)
    this.#pair = new EnginePair(this.#wasm, createNodeEngine())
    this.#pair.setEndpoint(0, { remote: REMOTE, encapsulation: 'udp' })
    const sas = SUITES.map((suite, i) => this.#install(suite, 0x1000 + i, i % 2 === 0))
    this.#pair.setTunnel(0, { pathMtu, clampMss: true, copyDscp: true, sas })
    this.#pair.setGroup(0, [0])
    this.#pair.setRoute(prefix('0.0.0.0/0'), 0)
    this.#pair.setRoute(prefix('::/0'), 0)
  }

  /** Seals some, bends most, opens all. Returns how many unbent ones passed. */
  round(): number {
    this.#now += 7
    const packets = Array.from({ length: 8 }, () => randomPackets(this.#random, 'near')).flat()
    const sealed = this.#pair.seal(packets.slice(0, 24), this.#now).wire.map(({ bytes }) => bytes)
    this.#saved.push(...sealed.slice(0, 4))
    if (this.#saved.length > 50) this.#saved.shift()
    const flights: Flight[] = sealed.map((bytes) => ({ bytes, bent: false }))
    while (flights.length < BATCH) flights.push({ bytes: this.#bend(this.#random.pick(this.#saved)), bent: true })
    const batch = this.#random.shuffle(flights).slice(0, BATCH)
    return this.#open(batch)
  }

  lan(packets: readonly Uint8Array[]): void {
    this.#pair.seal(packets, this.#now)
  }

  #open(batch: readonly Flight[]): number {
    const guards = guardSlots(this.#wasm)
    const datagrams = batch.map(({ bytes }) => ({ bytes, remote: REMOTE, tos: 0 }))
    const { verdicts } = this.#pair.open(datagrams, 'udp', this.#now)
    checkGuards(this.#wasm, guards)
    let passed = 0
    batch.forEach(({ bent }, i) => {
      const through = verdicts[i] === VERDICT_DELIVERED || verdicts[i] === VERDICT_CONSUMED
      if (bent && through) throw new Error(`bent packet ${i} passed: ${Buffer.from(batch[i]!.bytes).toString('hex')}`)
      if (through) passed++
    })
    return passed
  }

  /** Some change that leaves a packet no engine ever sealed. */
  #bend(packet: Uint8Array): Uint8Array {
    const random = this.#random
    const out = packet.slice()
    switch (random.below(7)) {
      case 0: {
        const at = random.below(out.length)
        out[at] = out[at]! ^ (1 << random.below(8))
        return out
      }
      case 1:
        return out.subarray(0, random.below(out.length))
      case 2:
        return concat(out, random.bytes(random.between(1, MAX_OUTER + 100 - out.length))).subarray(0, SLOT_BYTES)
      case 3:
        setU32(out, 4, random.next())
        out[8] = out[8]! ^ 0x55
        return out
      case 4: {
        const other = random.pick(this.#saved)
        const cut = random.between(9, 24)
        return differs(concat(out.subarray(0, cut), other.subarray(cut), Uint8Array.of(0)), packet)
      }
      case 5:
        setU16(out, random.between(8, out.length - 2), random.below(0x10000) | 1)
        return differs(out, packet)
      default:
        return concat(out.subarray(0, 16), random.bytes(random.below(300)))
    }
  }

  #install(suite: AeadSuite, spi: number, esn: boolean): number {
    const key = this.#random.bytes(keyLength(suite))
    // One suite for each range of ports, the last two with reassembly in play.
    const index = spi - 0x1000
    const ports = [
      [0, 65535],
      [0, 4000],
      [80, 65535],
    ][(index + 1) % 3]!
    const own = selectors(ports[0]!, ports[1]!)
    const base = { suite, key, salt: this.#random.bytes(4), spi, esn, tunnel: 0, local: own, remote: own }
    const inbound: InboundSa = { ...base, replayWindow: 4096 }
    const outbound: OutboundSa = { ...base, endpoint: 0 }
    this.#pair.installInbound(inbound)
    return this.#pair.installOutbound(outbound)
  }
}

function differs(bytes: Uint8Array, from: Uint8Array): Uint8Array {
  if (Buffer.compare(bytes, from) !== 0) return bytes
  const last = bytes.length - 1
  return bytes.with(last, bytes[last]! ^ 1)
}

function selectors(startPort: number, endPort: number): TrafficSelector[] {
  return [
    ['0.0.0.0', '255.255.255.255'],
    ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ].map(([start, end]) => ({
    protocol: 0,
    startPort,
    endPort,
    startAddress: address(start!),
    endAddress: address(end!),
  }))
}

/** The LAN receive area is no business of `openBatch`: its bytes stand guard, and so do the ends of all slots. */
function guardSlots(engine: PacketEngine): Uint8Array {
  const area = new Uint8Array(engine.memory, engine.lanRx.offset, BATCH * SLOT_BYTES)
  area.fill(0xa5)
  for (let i = 0; i < BATCH; i++) engine.wireRx.slot(i).fill(0x5a, MAX_OUTER + 512)
  return area
}

function checkGuards(engine: PacketEngine, area: Uint8Array): void {
  if (!area.every((byte) => byte === 0xa5)) throw new Error('the LAN receive area was written to')
  for (let i = 0; i < BATCH; i++) {
    const tail = engine.wireRx.slot(i).subarray(MAX_OUTER + 512)
    if (!tail.every((byte) => byte === 0x5a)) throw new Error(`the end of wire slot ${i} was written to`)
  }
}
