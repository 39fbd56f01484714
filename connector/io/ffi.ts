/**
 * The C library, through koffi: the only file that knows koffi. Addresses are Numbers (declared int64), which is the
 * cheapest form to pass; user-space addresses stay below 2^47. Constants are those of Linux on x64 and arm64.
 */
import { constants } from 'node:os'
import koffi from 'koffi'
import type { PacketSyscalls } from '../data/syscalls.ts'
import { EXIT, StartFailure } from '../handle.ts'

export interface Libc extends PacketSyscalls {
  open(path: string, flags: number, mode: number): number
  /** `argument` is an address or a value, as the request wants. */
  ioctl(fd: number, request: number, argument: number): number
  /** `pair` is the address of two ints. */
  socketpair(domain: number, type: number, protocol: number, pair: number): number
  bind(fd: number, sockaddr: number, length: number): number
  sendto(fd: number, buffer: number, length: number, flags: number, sockaddr: number, addressLength: number): number
  recvfrom(fd: number, buffer: number, length: number, flags: number, sockaddr: number, lengthAddress: number): number
  ppoll(pollfds: number, count: number, timespec: number, signalMask: number): number
  eventfd(initial: number, flags: number): number
  flock(fd: number, operation: number): number
}

export const O_RDWR = 2
export const O_NONBLOCK = 0x800
export const O_CLOEXEC = 0x80000
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_SEQPACKET = 5
export const LOCK_EXCLUSIVE_NOW = 6

let loaded: Libc | undefined

/** The C library of this thread. Throws a StartFailure with code `platform` elsewhere than on Linux x64 or arm64. */
export function libc(): Libc {
  loaded ??= bindLibc()
  return loaded
}

/** The absolute address of the first byte. It holds as long as the buffer lives and is neither grown nor detached. */
export function addressOf(buffer: ArrayBuffer): number {
  return Number(koffi.address(buffer))
}

/** `ENOENT` and so on, or the number as text. */
export function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(constants.errno)) if (value === errno) return name
  return `errno ${errno}`
}

function bindLibc(): Libc {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    throw new StartFailure(
      'platform',
      `Isthmus moves packets on Linux x64 and arm64 only; this is ${process.platform} ${process.arch}.`,
      'Run the connector on a Linux machine, a virtual machine or a container with /dev/net/tun.',
      EXIT.failed,
    )
  }
  const library = loadLibrary()
  const bind = (name: string, result: string, parameters: string[]) => library.func(name, result, parameters)
  const functions = {
    open: bind('open', 'int', ['str', 'int', 'int']),
    close: bind('close', 'int', ['int']),
    ioctl: bind('ioctl', 'int', ['int', 'ulong', 'int64']),
    socket: bind('socket', 'int', ['int', 'int', 'int']),
    socketpair: bind('socketpair', 'int', ['int', 'int', 'int', 'int64']),
    bind: bind('bind', 'int', ['int', 'int64', 'uint']),
    connect: bind('connect', 'int', ['int', 'int64', 'uint']),
    setsockopt: bind('setsockopt', 'int', ['int', 'int', 'int', 'int64', 'uint']),
    getsockopt: bind('getsockopt', 'int', ['int', 'int', 'int', 'int64', 'int64']),
    read: bind('read', 'long', ['int', 'int64', 'size_t']),
    write: bind('write', 'long', ['int', 'int64', 'size_t']),
    sendto: bind('sendto', 'long', ['int', 'int64', 'size_t', 'int', 'int64', 'uint']),
    recvfrom: bind('recvfrom', 'long', ['int', 'int64', 'size_t', 'int', 'int64', 'int64']),
    recvmmsg: bind('recvmmsg', 'int', ['int', 'int64', 'uint', 'int', 'int64']),
    sendmmsg: bind('sendmmsg', 'int', ['int', 'int64', 'uint', 'int']),
    poll: bind('poll', 'int', ['int64', 'ulong', 'int']),
    ppoll: bind('ppoll', 'int', ['int64', 'ulong', 'int64', 'int64']),
    eventfd: bind('eventfd', 'int', ['uint', 'int']),
    flock: bind('flock', 'int', ['int', 'int']),
    errno: () => koffi.errno(),
  }
  return functions as unknown as Libc
}

function loadLibrary(): ReturnType<typeof koffi.load> {
  const musl = `libc.musl-${process.arch === 'x64' ? 'x86_64' : 'aarch64'}.so.1`
  let failure: unknown
  for (const name of ['libc.so.6', musl]) {
    try {
      return koffi.load(name)
    } catch (error) {
      failure = error
    }
  }
  throw new StartFailure(
    'platform',
    `The C library could not be loaded: ${failure instanceof Error ? failure.message : String(failure)}`,
    'Use a Linux with glibc or musl.',
    EXIT.failed,
  )
}

const M_TRIM_THRESHOLD = -1
const M_MMAP_THRESHOLD = -3
const MEGABYTE = 1 << 20

/**
 * Blocks of a megabyte and more get mappings of their own, which go back to the system when they are freed. By itself glibc
 * raises that limit up to 32 MB (mallopt(3)), and tables that grow leave holes behind. Other C libraries do as they do.
 */
export function returnLargeBlocks(): void {
  try {
    const mallopt = koffi.load('libc.so.6').func('mallopt', 'int', ['int', 'int'])
    mallopt(M_MMAP_THRESHOLD, MEGABYTE)
    mallopt(M_TRIM_THRESHOLD, MEGABYTE)
  } catch {
    // musl has no mallopt, and no such limit.
  }
}

/** Of OpenSSL's EVP_EncryptInit(3), with addresses as Numbers; 1 is success. */
export interface Libcrypto {
  EVP_aes_128_ecb(): number
  EVP_aes_256_ecb(): number
  EVP_CIPHER_CTX_new(): number
  EVP_CIPHER_CTX_free(context: number): void
  EVP_CIPHER_CTX_set_padding(context: number, padding: number): number
  EVP_EncryptInit_ex(context: number, cipher: number, engine: number, key: number, iv: number): number
  EVP_EncryptUpdate(context: number, out: number, outLength: number, from: number, length: number): number
}

/** The OpenSSL that this process has in it for `node:crypto`; undefined where its functions are not to be found. */
export function libcrypto(): Libcrypto | undefined {
  try {
    const program = koffi.load(null)
    const bind = (name: string, result: string, parameters: string[]) => program.func(name, result, parameters)
    const functions = {
      EVP_aes_128_ecb: bind('EVP_aes_128_ecb', 'int64', []),
      EVP_aes_256_ecb: bind('EVP_aes_256_ecb', 'int64', []),
      EVP_CIPHER_CTX_new: bind('EVP_CIPHER_CTX_new', 'int64', []),
      EVP_CIPHER_CTX_free: bind('EVP_CIPHER_CTX_free', 'void', ['int64']),
      EVP_CIPHER_CTX_set_padding: bind('EVP_CIPHER_CTX_set_padding', 'int', ['int64', 'int']),
      EVP_EncryptInit_ex: bind('EVP_EncryptInit_ex', 'int', ['int64', 'int64', 'int64', 'int64', 'int64']),
      EVP_EncryptUpdate: bind('EVP_EncryptUpdate', 'int', ['int64', 'int64', 'int64', 'int64', 'int']),
    }
    return functions as unknown as Libcrypto
  } catch {
    return undefined
  }
}

/** Room for the small structures that control calls take and fill; one per owner, not shared between threads. */
export class Scratch {
  readonly buffer: ArrayBuffer
  readonly view: DataView
  readonly bytes: Uint8Array
  readonly address: number

  constructor(length: number) {
    this.buffer = new ArrayBuffer(length)
    this.view = new DataView(this.buffer)
    this.bytes = new Uint8Array(this.buffer)
    this.address = addressOf(this.buffer)
  }
}

/** Sets an integer socket option. Returns whether the kernel took it. */
export function setOption(fd: number, level: number, option: number, value: number): boolean {
  const scratch = new Scratch(8)
  scratch.view.setInt32(0, value, true)
  return libc().setsockopt(fd, level, option, scratch.address, 4) >= 0
}
