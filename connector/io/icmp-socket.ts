/** A socket for ICMP echo: unprivileged where the kernel lets everybody have one, else a raw one. */
import { type Address, familyOf } from '../../protocol/net.ts'
import { writeSockaddr } from '../data/sockaddr.ts'
import { errnoName, libc, O_CLOEXEC, O_NONBLOCK, Scratch, SOCK_DGRAM, SOCK_RAW, setOption } from './ffi.ts'

const AF_INET = 2
const AF_INET6 = 10
const IPPROTO_ICMP = 1
const IPPROTO_ICMPV6 = 58
const SOL_SOCKET = 1
const SO_RCVBUF = 8

export interface EchoSocket {
  readonly fd: number
  /** With IPv4, the IP header comes along. */
  readonly raw: boolean
  readonly family: 4 | 6
}

/** Not blocking; or the name of the error. */
export function openEchoSocket(family: 4 | 6, source: Address | undefined): EchoSocket | string {
  const c = libc()
  const domain = family === 6 ? AF_INET6 : AF_INET
  const protocol = family === 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP
  const flags = O_NONBLOCK | O_CLOEXEC
  let raw = false
  let fd = c.socket(domain, SOCK_DGRAM | flags, protocol)
  if (fd < 0) {
    raw = true
    fd = c.socket(domain, SOCK_RAW | flags, protocol)
  }
  if (fd < 0) return errnoName(c.errno())
  setOption(fd, SOL_SOCKET, SO_RCVBUF, 1 << 20)
  if (source === undefined || familyOf(source) !== family) return { fd, raw, family }
  const scratch = new Scratch(32)
  const length = writeSockaddr(scratch.view, 0, { address: source, port: 0 })
  if (c.bind(fd, scratch.address, length) >= 0) return { fd, raw, family }
  const reason = errnoName(c.errno())
  c.close(fd)
  return reason
}
