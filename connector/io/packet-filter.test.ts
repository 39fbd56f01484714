import { afterEach, describe, expect, it } from 'vitest'
import { address } from '../../protocol/net.ts'
import type { WireSocket } from '../data/commands.ts'
import { writeSockaddr } from '../data/sockaddr.ts'
import { libc, Scratch } from './ffi.ts'
import { type Instruction, ownProgram, shareProgram } from './packet-filter.ts'
import { closeSockets, openSockets } from './sockets.ts'
import { freePort } from './testing/free-port.ts'

/** Runs a program as the kernel does: a load beyond the packet ends it with 0. */
function run(program: readonly Instruction[], packet: Uint8Array): number {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length)
  let a = 0
  let x = 0
  for (let at = 0; ; at++) {
    const [operation, onTrue, onFalse, k] = program[at]!
    const from = operation === 0x40 ? x + k : k
    if ((operation === 0x20 || operation === 0x40) && from + 4 > packet.length) return 0
    if (operation === 0x20 || operation === 0x40) a = view.getUint32(from)
    else if (operation === 0xb1) x = (packet[k]! & 15) * 4
    else if (operation === 0x54) a &= k
    else if (operation === 0x15) at += a === k ? onTrue : onFalse
    else if (operation === 0x35) at += a >= k ? onTrue : onFalse
    else if (operation === 0x06) return k
    else if (operation === 0x16) return a
    else throw new Error(`operation ${operation}`)
  }
}

const esp = (spi: number): Uint8Array => Uint8Array.of(spi >>> 24, spi >> 16, spi >> 8, spi, 0, 0, 0, 1)
const behindIp = (words: number, spi: number): Uint8Array => {
  const packet = new Uint8Array(words * 4 + 8)
  packet[0] = 0x40 | words
  packet.set(esp(spi), words * 4)
  return packet
}

describe('sharing a UDP port', () => {
  it('goes by the low bits of the SPI; IKE, keepalives and strangers are for the first worker', () => {
    const program = shareProgram(3)
    for (let worker = 0; worker < 3; worker++) expect(run(program, esp(0xdeadbe70 + worker))).toBe(worker)
    expect(run(program, esp(0xdeadbe73))).toBe(0)
    expect(run(program, esp(0xffffffff))).toBe(0)
    expect(run(program, esp(0))).toBe(0)
    expect(run(program, Uint8Array.of(0xff))).toBe(0)
    expect(run(program, Uint8Array.of(0, 0, 2))).toBe(0)
    expect(run(shareProgram(16), esp(0x1000f))).toBe(15)
  })
})

describe('the filter of a raw socket', () => {
  const takers = (packet: (spi: number) => Uint8Array, family: 4 | 6, spi: number): number[] =>
    [0, 1, 2].filter((worker) => run(ownProgram(worker, 3, family), packet(spi)) > 0)

  it.each([
    ['IPv4', 4, (spi: number) => behindIp(5, spi)],
    ['IPv4 with options', 4, (spi: number) => behindIp(7, spi)],
    ['IPv6', 6, esp],
  ] as const)('lets each packet through to exactly one worker: %s', (_, family, packet) => {
    for (let low = 0; low < 16; low++) {
      expect(takers(packet, family, 0x5a5a5a50 + low)).toEqual([low < 3 ? low : 0])
    }
  })

  it('lets nothing through that has no SPI', () => {
    expect(takers(() => Uint8Array.of(1, 2, 3), 6, 0)).toEqual([])
    expect(takers(() => behindIp(5, 0).subarray(0, 22), 4, 0)).toEqual([])
  })
})

const local = { address: address('127.0.0.1'), port: await freePort() }

describe('the sockets of several workers', () => {
  const wish = [{ kind: 'udp', local }] as const
  const without = { gso: false, gro: false }
  let opened: WireSocket[] = []
  afterEach(() => {
    closeSockets(opened)
    opened = []
  })
  const open = (workers: number): WireSocket[] => {
    const sockets = openSockets(wish, without, workers).flat()
    opened.push(...sockets)
    return sockets
  }

  function send(...packets: Uint8Array[]): void {
    const [out] = openSockets([{ kind: 'ike', local: { ...local, port: 0 } }], without)[0]!
    opened.push(out!)
    const scratch = new Scratch(64)
    const length = writeSockaddr(scratch.view, 0, local)
    for (const packet of packets) {
      scratch.bytes.set(packet, 32)
      libc().sendto(out!.fd, scratch.address + 32, packet.length, 0, scratch.address, length)
    }
  }

  function received({ fd }: WireSocket): string[] {
    const scratch = new Scratch(64)
    const all: string[] = []
    for (;;) {
      const length = libc().recvfrom(fd, scratch.address, 64, 0x40, 0, 0)
      if (length < 0) return all
      all.push(Buffer.from(scratch.bytes.subarray(0, Math.min(length, 4))).toString('hex'))
    }
  }

  it('get what the kernel reads from the SPI, in order', () => {
    const sockets = open(3)
    send(esp(0x1001), esp(0x1002), esp(0x2001), esp(0), Uint8Array.of(0xff), esp(0x1007))
    expect(sockets.map(received)).toEqual([['00000000', 'ff', '00001007'], ['00001001', '00002001'], ['00001002']])
  })

  it('are nobody else’s to join, with several workers or one', () => {
    for (const [first, second] of [
      [2, 2],
      [1, 2],
      [2, 1],
    ] as const) {
      const sockets = open(first)
      expect(() => open(second)).toThrow(`UDP 127.0.0.1:${local.port} is in use`)
      closeSockets(sockets)
      opened = []
    }
  })
})
