/**
 * TCP sockets of BGP, made here and handed to `node:net`, for what Node cannot set: signatures (RFC 2385) and the TTL
 * that a packet must have come with (RFC 5082). Both must be there before the first packet.
 */
import { type Address, familyOf, type SocketAddress } from '../../../protocol/net.ts'
import { AF_INET, AF_INET6, writeSockaddr } from '../../data/sockaddr.ts'
import { errnoName, libc, O_CLOEXEC, O_NONBLOCK, Scratch, setOption } from '../ffi.ts'

const SOCK_STREAM = 1
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const IPPROTO_IP = 0
const IPPROTO_TCP = 6
const IPPROTO_IPV6 = 41
const IP_TOS = 1
const IP_TTL = 2
const IP_MINTTL = 21
const IPV6_UNICAST_HOPS = 16
const IPV6_V6ONLY = 26
const IPV6_TCLASS = 67
const IPV6_MINHOPCOUNT = 73
const TCP_MD5SIG = 14
/** CS6, network control. */
const TOS = 0xc0
const MOST_TTL = 255

/** `struct tcp_md5sig` of linux/tcp.h: a `sockaddr_storage`, then flags, prefix length, key length, interface, key. */
const MD5SIG_BYTES = 216
const MD5SIG_KEY_LENGTH = 130
const MD5SIG_KEY = 136

/** What the system would not do, in its word: `EADDRINUSE`, `EADDRNOTAVAIL`, `ENOPROTOOPT`. */
export class SocketRefused extends Error {
  override readonly name = 'SocketRefused'
  readonly code: string

  constructor(what: string, code: string) {
    super(`${what}: ${code}`)
    this.code = code
  }
}

export interface Signing {
  readonly peer: Address
  /** 1 to 80 bytes. */
  readonly key: Uint8Array
}

/**
 * A descriptor, bound to `local` and neither connected nor listening; it is the caller's. `gtsmHops`: packets must have
 * come over no more than so many hops. Throws a SocketRefused.
 */
export function openSocket(local: SocketAddress, gtsmHops: number | undefined, signings: readonly Signing[]): number {
  const c = libc()
  const six = familyOf(local.address) === 6
  const fd = c.socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0)
  if (fd < 0) throw new SocketRefused('socket', errnoName(c.errno()))
  try {
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    if (six) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
    setOption(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_TCLASS : IP_TOS, TOS)
    setOption(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_UNICAST_HOPS : IP_TTL, MOST_TTL)
    if (gtsmHops !== undefined) requireTtl(fd, six, MOST_TTL + 1 - gtsmHops)
    for (const signing of signings) sign(fd, signing)
    const scratch = new Scratch(32)
    const length = writeSockaddr(scratch.view, 0, local)
    if (c.bind(fd, scratch.address, length) < 0) throw new SocketRefused('bind', errnoName(c.errno()))
    return fd
  } catch (error) {
    c.close(fd)
    throw error
  }
}

/** Of a listening socket, for whoever connects; of a connected one, for the packets that follow. */
function requireTtl(fd: number, six: boolean, ttl: number): void {
  const done = setOption(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_MINHOPCOUNT : IP_MINTTL, ttl)
  if (!done) throw new SocketRefused('TTL security', errnoName(libc().errno()))
}

/** From here on packets of that peer must be signed, and those to it are. */
function sign(fd: number, { peer, key }: Signing): void {
  const { view, bytes, address } = new Scratch(MD5SIG_BYTES)
  writeSockaddr(view, 0, { address: peer, port: 0 })
  view.setUint16(MD5SIG_KEY_LENGTH, key.length, true)
  bytes.set(key.subarray(0, MD5SIG_BYTES - MD5SIG_KEY), MD5SIG_KEY)
  const done = libc().setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, address, MD5SIG_BYTES) >= 0
  const reason = done ? '' : errnoName(libc().errno())
  bytes.fill(0)
  if (!done) throw new SocketRefused('TCP MD5 signatures', reason)
}
