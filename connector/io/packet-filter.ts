/**
 * Which packets a worker's sockets get: classic BPF programs that read the SPI of an ESP packet, whose low bits are the
 * worker (`core/resource.ts`). With several sockets on one UDP port the kernel asks a program for the index of the
 * socket (SO_ATTACH_REUSEPORT_CBPF); every raw socket gets each packet that its own filter lets through.
 */
import { MAX_RESOURCES } from '../core/resource.ts'
import { libc, Scratch } from './ffi.ts'

const SOL_SOCKET = 1
const SO_ATTACH_FILTER = 26
const SO_ATTACH_REUSEPORT_CBPF = 51

/** Operations of linux/bpf_common.h, as far as they are of use here. */
const LOAD_WORD = 0x20
/** A word at X plus the operand. */
const LOAD_WORD_INDEXED = 0x40
/** X becomes the length of the IPv4 header that begins at the operand. */
const LOAD_HEADER_LENGTH = 0xb1
const LOAD_BYTE = 0x30
/** Added to an operand: from the IP header on, of any socket (SKF_NET_OFF). */
const NETWORK_HEADER = 0xfff0_0000
const AND = 0x54
const JUMP_EQUAL = 0x15
const JUMP_AT_LEAST = 0x35
const RETURN = 0x06
const RETURN_ACCUMULATOR = 0x16

const INSTRUCTION_BYTES = 8
const PROGRAM_BYTES = 16
/** What a filter returns for a packet that may pass: as many of its bytes. */
const WHOLE = 0x7fff_ffff

/** `struct sock_filter`: operation, instructions to skip if true and if false, operand. */
export type Instruction = readonly [operation: number, onTrue: number, onFalse: number, operand: number]

/**
 * The index of the socket for a datagram, whose payload begins at 0: IKE, behind a marker of zeros, is for the first,
 * and so is an SPI that is nobody's. A load beyond the end returns 0 too.
 */
export function shareProgram(workers: number): readonly Instruction[] {
  return [
    [LOAD_WORD, 0, 0, 0],
    [AND, 0, 0, MAX_RESOURCES - 1],
    [JUMP_AT_LEAST, 0, 1, workers],
    [RETURN, 0, 0, 0],
    [RETURN_ACCUMULATOR, 0, 0, 0],
  ]
}

/**
 * Lets only ESP packets pass that are this worker's; the first one's are also those of nobody. A raw socket of IPv4
 * sees the IP header, one of IPv6 does not.
 */
export function ownProgram(worker: number, workers: number, family: 4 | 6): readonly Instruction[] {
  const load: Instruction[] =
    family === 6
      ? [[LOAD_WORD, 0, 0, 0]]
      : [
          [LOAD_HEADER_LENGTH, 0, 0, 0],
          [LOAD_WORD_INDEXED, 0, 0, 0],
        ]
  const nobodys: Instruction[] = worker === 0 ? [[JUMP_AT_LEAST, 1, 0, workers]] : []
  return [
    ...load,
    [AND, 0, 0, MAX_RESOURCES - 1],
    ...nobodys,
    [JUMP_EQUAL, 0, 1, worker],
    [RETURN, 0, 0, WHOLE],
    [RETURN, 0, 0, 0],
  ]
}

/** Lets only packets pass that come with that TTL or hop limit. */
export function ttlProgram(ttl: number, family: 4 | 6): readonly Instruction[] {
  return [
    [LOAD_BYTE, 0, 0, NETWORK_HEADER + (family === 6 ? 7 : 8)],
    [JUMP_EQUAL, 0, 1, ttl],
    [RETURN, 0, 0, WHOLE],
    [RETURN, 0, 0, 0],
  ]
}

export function attachTtl(fd: number, ttl: number, family: 4 | 6): boolean {
  return attach(fd, SO_ATTACH_FILTER, ttlProgram(ttl, family))
}

/** Has the kernel share out datagrams among all sockets of `fd`'s port, in the order in which they were bound. */
export function attachShare(fd: number, workers: number): boolean {
  return attach(fd, SO_ATTACH_REUSEPORT_CBPF, shareProgram(workers))
}

/** Has the kernel keep from a raw socket what is another worker's. */
export function attachOwn(fd: number, worker: number, workers: number, family: 4 | 6): boolean {
  return attach(fd, SO_ATTACH_FILTER, ownProgram(worker, workers, family))
}

/** Hands over a `struct sock_fprog`; the kernel copies it. */
function attach(fd: number, option: number, program: readonly Instruction[]): boolean {
  const { view, address } = new Scratch(PROGRAM_BYTES + program.length * INSTRUCTION_BYTES)
  view.setUint16(0, program.length, true)
  view.setBigUint64(8, BigInt(address + PROGRAM_BYTES), true)
  for (const [i, [operation, onTrue, onFalse, operand]] of program.entries()) {
    const at = PROGRAM_BYTES + i * INSTRUCTION_BYTES
    view.setUint16(at, operation, true)
    view.setUint8(at + 2, onTrue)
    view.setUint8(at + 3, onFalse)
    view.setUint32(at + 4, operand, true)
  }
  return libc().setsockopt(fd, SOL_SOCKET, option, address, PROGRAM_BYTES) >= 0
}
