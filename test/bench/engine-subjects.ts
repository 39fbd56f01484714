/** What `bench:engine` measures: ESP through the engine, one packet at a time through node:crypto, and OpenSSL. */
import { spawnSync } from 'node:child_process'
import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  type DecipherGCM,
  getCipherInfo,
  randomBytes,
} from 'node:crypto'
import { address, prefix } from '../../protocol/net.ts'
import { BATCH, NAME_STRIDE } from '../../wasm/abi.ts'
import type { HostAes } from '../../wasm/engine-offload.ts'
import type { AeadSuite, PacketEngine, TrafficSelector } from '../../wasm/packet-engine.ts'
import { AeadBatchModule, type BatchPacket } from '../vectors/aead-batch-module.ts'

export type Operation = 'seal' | 'open'

export interface Subject {
  /** Handles packets for about `milliseconds`, in batches; returns nanoseconds per packet. */
  measure(milliseconds: number): number
}

const SPI = 0x1000
const SALT_BYTES = 4
const IV_BYTES = 8
const AAD_BYTES = 8
const TAG_BYTES = 16
const UDP_PORT = 4500
const ANY: TrafficSelector = {
  protocol: 0,
  startPort: 0,
  endPort: 65535,
  startAddress: address('0.0.0.0'),
  endAddress: address('255.255.255.255'),
}

/**
 * ESP in batches of 64, everything included: parsing, forwarding, selectors, framing, counters. `size` is the inner
 * packet's. Each subject has an SA pair of its own.
 */
export function espSubject(engine: PacketEngine, suite: AeadSuite, size: number, operation: Operation): Subject {
  const sas = installPair(engine, suite)
  fillLan(engine, size)
  engine.sealBatch(0, BATCH, 0)
  const sealed = Array.from({ length: engine.wireTx.count }, (_, i) => Buffer.from(engine.wireTx.packet(i)))
  if (sealed.length !== BATCH) throw new Error(`${sealed.length} of ${BATCH} packets were sealed`)
  const prepare = () => {
    if (operation === 'seal') fillLan(engine, size)
    else fillWire(engine, sealed)
  }
  const batch = () => {
    if (operation === 'seal') engine.sealBatch(0, BATCH, 0)
    else engine.openBatch(BATCH, 'udp', 0)
  }
  const passed = () => (operation === 'seal' ? engine.wireTx.count : engine.lanTx.count)
  return {
    measure(milliseconds) {
      engine.setTunnel(0, { pathMtu: 9216, clampMss: false, sas: [sas.outbound], copyDscp: false })
      prepare()
      // Packets are opened where they lie, so that each batch takes fresh ones; that is not timed.
      const nanoseconds = timeBatches(batch, milliseconds, operation === 'open' ? prepare : undefined)
      if (passed() !== BATCH) throw new Error(`${passed()} of ${BATCH} packets passed`)
      return nanoseconds / BATCH
    },
  }
}

/** The AEAD alone in batches of 64, under one key. `size` is the text's. */
export function aeadSubject(
  module: Uint8Array,
  suite: AeadSuite,
  size: number,
  operation: Operation,
  aes?: HostAes,
): Subject {
  const aead = new AeadBatchModule(module, aes)
  const key = randomBytes(keyBytes(suite))
  aead.install(0, suite, key)
  const texts = Array.from({ length: BATCH }, (): BatchPacket => {
    const nonce = randomBytes(SALT_BYTES + IV_BYTES)
    return { suite, key: 0, nonce, aad: randomBytes(AAD_BYTES), text: randomBytes(size), inPlace: false }
  })
  const sealed = aead.seal(texts).map((text, i) => ({ ...texts[i]!, text }))
  if (aead.open(sealed).includes(undefined)) throw new Error('what was sealed does not open')
  if (operation === 'seal') aead.queue(texts, 0)
  return { measure: (milliseconds) => timeBatches(() => aead.run(operation), milliseconds) / BATCH }
}

/** node:crypto as a packet path would use it: one cipher object for each packet. `size` is the text's. */
export function nodeSubject(suite: AeadSuite, size: number, operation: Operation): Subject {
  const key = randomBytes(keyBytes(suite))
  const nonce = randomBytes(SALT_BYTES + IV_BYTES)
  const aad = randomBytes(AAD_BYTES)
  const text = randomBytes(size)
  const options = { authTagLength: TAG_BYTES }
  const lengths = { plaintextLength: size }
  // Both kinds of AEAD take the same calls; the types of node:crypto tell them apart by literal names.
  const gcm = suite as 'aes-128-gcm'
  const seal = () => {
    nonce.writeUInt32BE((nonce.readUInt32BE(8) + 1) >>> 0, 8)
    const cipher: CipherGCM = createCipheriv(gcm, key, nonce, options)
    cipher.setAAD(aad, lengths)
    const ciphertext = cipher.update(text)
    cipher.final()
    return { ciphertext, tag: cipher.getAuthTag() }
  }
  const { ciphertext, tag } = seal()
  const sealedNonce = Buffer.from(nonce)
  const open = () => {
    const decipher: DecipherGCM = createDecipheriv(gcm, key, sealedNonce, options)
    decipher.setAAD(aad, lengths)
    decipher.setAuthTag(tag)
    decipher.update(ciphertext)
    decipher.final()
  }
  const one: () => unknown = operation === 'seal' ? seal : open
  const batch = () => {
    for (let i = 0; i < BATCH; i++) one()
  }
  return { measure: (milliseconds) => timeBatches(batch, milliseconds) / BATCH }
}

/** Plaintext bytes of the ESP packet that carries `size` bytes: with padding, pad length and next header. */
export function espTextBytes(size: number): number {
  return Math.ceil((size + 2) / 4) * 4
}

/** The version line of the installed `openssl`, or undefined when there is none. */
export function opensslVersion(): string | undefined {
  const { status, stdout } = spawnSync('openssl', ['version'], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

/** Nanoseconds per block of `size` bytes as `openssl speed` has it, measured for one second; undefined when it fails. */
export function opensslNanoseconds(suite: AeadSuite, size: number): number | undefined {
  const args = ['speed', '-elapsed', '-mr', '-evp', suite, '-bytes', String(size), '-seconds', '1']
  const { stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8', timeout: 20_000 })
  // +R:<operations>:<name>:<seconds>
  const match = /^\+R:(\d+):[^:]+:([\d.]+)$/m.exec(`${stdout}\n${stderr}`)
  return match ? (Number(match[2]) * 1e9) / Number(match[1]) : undefined
}

/** Nanoseconds for each batch. `before` runs in front of each, and is not counted. */
function timeBatches(batch: () => void, milliseconds: number, before?: () => void): number {
  const budget = Math.round(milliseconds * 1e6)
  let elapsed = 0
  let batches = 0
  let start = process.hrtime.bigint()
  for (; elapsed < budget; batches++) {
    if (before !== undefined) {
      before()
      start = process.hrtime.bigint()
    }
    batch()
    const end = process.hrtime.bigint()
    elapsed += Number(end - start)
    start = end
  }
  return elapsed / batches
}

function installPair(engine: PacketEngine, suite: AeadSuite) {
  const keys = { suite, key: randomBytes(keyBytes(suite)), salt: randomBytes(SALT_BYTES) }
  const selectors = { local: [ANY], remote: [ANY] }
  engine.setEndpoint(0, { remote: { address: address('192.0.2.1'), port: UDP_PORT }, encapsulation: 'udp' })
  const spi = nextSpi++
  const outbound = engine.installOutbound({ ...keys, ...selectors, spi, esn: false, tunnel: 0, endpoint: 0 })
  // Without a window, so that the same packets can be opened again and again.
  engine.installInbound({ ...keys, ...selectors, spi, esn: false, replayWindow: 0, tunnel: 0 })
  engine.setTunnel(0, { pathMtu: 9216, clampMss: false, sas: [outbound], copyDscp: false })
  engine.setGroup(0, [0])
  engine.setRoute(prefix('0.0.0.0/0'), 0)
  return { outbound }
}

let nextSpi = SPI

function fillLan(engine: PacketEngine, size: number): void {
  for (let i = 0; i < BATCH; i++) {
    engine.lanRx.slot(i, size).set(udpPacket(size))
    engine.lanRx.length[i] = size
  }
}

function fillWire(engine: PacketEngine, packets: readonly Buffer[]): void {
  const names = Buffer.from(engine.memory, engine.wireRx.names, BATCH * NAME_STRIDE)
  for (const [i, packet] of packets.entries()) {
    engine.wireRx.slot(i, packet.length).set(packet)
    engine.wireRx.length[i] = packet.length
    engine.wireRx.tos[i] = 0
    // A sockaddr_in: family in the host's byte order, port, address.
    names.writeUInt16LE(2, i * NAME_STRIDE)
    names.writeUInt16BE(UDP_PORT, i * NAME_STRIDE + 2)
    names.set([192, 0, 2, 1], i * NAME_STRIDE + 4)
  }
}

/** An IPv4 packet with a UDP datagram that fills it; without a UDP checksum (RFC 768). */
function udpPacket(size: number): Buffer {
  const packet = randomBytes(size)
  packet.writeUInt32BE(0x45000000 + size, 0)
  packet.writeUInt32BE(0, 4)
  packet.set([64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1], 8)
  let sum = 0
  for (let i = 0; i < 20; i += 2) sum += packet.readUInt16BE(i)
  packet.writeUInt16BE(~((sum & 0xffff) + (sum >>> 16)) & 0xffff, 10)
  packet.set([0x27, 0x10, 0x27, 0x11], 20)
  packet.writeUInt16BE(size - 20, 24)
  packet.writeUInt16BE(0, 26)
  return packet
}

function keyBytes(suite: AeadSuite): number {
  return getCipherInfo(suite)!.keyLength
}
