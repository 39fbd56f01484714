/**
 * The system calls of the packet path, as an argument: koffi's libc in production (`connector/io/ffi.ts`), a script
 * in tests. Addresses are absolute, as Numbers. A negative result is a failure whose reason `errno` tells.
 */
export interface PacketSyscalls {
  read(fd: number, address: number, length: number): number
  write(fd: number, address: number, length: number): number
  recvmmsg(fd: number, headers: number, count: number, flags: number, timeout: number): number
  sendmmsg(fd: number, headers: number, count: number, flags: number): number
  /** `value` is the address of `length` bytes. */
  setsockopt(fd: number, level: number, option: number, value: number, length: number): number
  /** `lengthAddress` is that of an int, which has the length before and after. */
  getsockopt(fd: number, level: number, option: number, value: number, lengthAddress: number): number
  socket(domain: number, type: number, protocol: number): number
  connect(fd: number, sockaddr: number, length: number): number
  close(fd: number): number
  poll(pollfds: number, count: number, timeoutMs: number): number
  errno(): number
}

export const MSG_DONTWAIT = 0x40

/** Linux, x64 and arm64 alike. */
export const EINTR = 4
export const EAGAIN = 11
export const EMSGSIZE = 90
export const ENOBUFS = 105

export const POLLIN = 1
export const POLLOUT = 4
export const POLLERR = 8
export const POLLNVAL = 32
