/** The sockets of the outer network: UDP for IKE and encapsulated ESP, raw for plain ESP. */
import { execFileSync } from 'node:child_process'
import { type Address, familyOf, formatSocketAddress, type SocketAddress } from '../../protocol/net.ts'
import type { WireSocket } from '../data/commands.ts'
import { writeSockaddr } from '../data/sockaddr.ts'
import { EXIT, StartFailure } from '../handle.ts'
import type { ConnectorPlan } from '../plan.ts'
import { errnoName, libc, O_CLOEXEC, O_NONBLOCK, Scratch, SOCK_DGRAM, SOCK_RAW, setOption } from './ffi.ts'
import { attachOwn, attachShare } from './packet-filter.ts'

const AF_INET = 2
const AF_INET6 = 10
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVBUF = 8
const SO_REUSEPORT = 15
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const IPPROTO_IP = 0
const IPPROTO_IPV6 = 41
const IPPROTO_UDP = 17
const IPPROTO_ESP = 50
const UDP_SEGMENT = 103
const UDP_GRO = 104
const IP_MTU_DISCOVER = 10
const IP_RECVTOS = 13
const IPV6_MTU_DISCOVER = 23
const IPV6_V6ONLY = 26
const IPV6_RECVTCLASS = 66
/** No DF bit, and no trust in learned path MTUs: an outer packet that is too long is fragmented, not lost. */
const PMTUDISC_DONT = 0
const BUFFER_BYTES = 8 << 20

/** A socket that is not open yet. */
export type SocketWish = Pick<WireSocket, 'kind' | 'local'>

/**
 * Opens what is asked for, or nothing: on a failure, what was opened before is closed again. Returns the sockets of each
 * worker. Each has its own of the NAT-traversal port and for plain ESP, and gets what its SPIs tell; IKE is the first
 * one's. With one worker no port can be shared with anybody.
 */
export function openSockets(
  wanted: readonly SocketWish[],
  offloads: { readonly gso: boolean; readonly gro: boolean },
  workers = 1,
): WireSocket[][] {
  const opened: WireSocket[][] = Array.from({ length: workers }, () => [])
  try {
    for (const socket of wanted) {
      const holders = socket.kind === 'ike' ? opened.slice(0, 1) : opened
      for (const [worker, own] of holders.entries()) {
        const fd = openSocket(socket, worker, holders.length)
        own.push({ ...socket, fd })
        if (holders.length > 1) share(socket, fd, worker, holders.length)
        own[own.length - 1] = prepareRuns({ ...socket, fd }, offloads)
      }
    }
    return opened
  } catch (error) {
    closeSockets(opened.flat())
    throw error
  }
}

export function closeSockets(sockets: readonly WireSocket[]): void {
  for (const socket of sockets) libc().close(socket.fd)
}

function openSocket(wanted: SocketWish, worker: number, workers: number): number {
  const c = libc()
  const { local, kind } = wanted
  const six = familyOf(local.address) === 6
  const type = (kind === 'esp' ? SOCK_RAW : SOCK_DGRAM) | O_NONBLOCK | O_CLOEXEC
  const fd = c.socket(six ? AF_INET6 : AF_INET, type, kind === 'esp' ? IPPROTO_ESP : 0)
  if (fd < 0) throw socketFailure(wanted, errnoName(c.errno()))
  prepare(fd, six)
  // The first of a port is bound as if alone: it fails where somebody else is, and only then lets the others join.
  if (kind === 'udp' && worker > 0) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1)
  const isFiltered = kind !== 'esp' || workers === 1 || attachOwn(fd, worker, workers, six ? 6 : 4)
  const scratch = new Scratch(32)
  const length = writeSockaddr(scratch.view, 0, kind === 'esp' ? { address: local.address, port: 0 } : local)
  if (!isFiltered || c.bind(fd, scratch.address, length) < 0) {
    const reason = errnoName(c.errno())
    c.close(fd)
    throw socketFailure(wanted, reason)
  }
  return fd
}

/** Lets the sockets of the other workers join the first one's port; the last has them share by SPI. */
function share(wanted: SocketWish, fd: number, worker: number, workers: number): void {
  if (wanted.kind !== 'udp') return
  const isShared =
    worker === 0 ? setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1) : worker < workers - 1 || attachShare(fd, workers)
  if (!isShared) throw socketFailure(wanted, errnoName(libc().errno()))
}

/** Many ESP packets in one message: sending is switched on message by message, receiving here. */
function prepareRuns(socket: WireSocket, offloads: { readonly gso: boolean; readonly gro: boolean }): WireSocket {
  if (socket.kind !== 'udp') return socket
  return {
    ...socket,
    segments: offloads.gso && setOption(socket.fd, IPPROTO_UDP, UDP_SEGMENT, 0),
    runs: offloads.gro && setOption(socket.fd, IPPROTO_UDP, UDP_GRO, 1),
  }
}

function prepare(fd: number, six: boolean): void {
  if (six) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
  setOption(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVTCLASS : IP_RECVTOS, 1)
  setOption(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, PMTUDISC_DONT)
  if (!setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)) setOption(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES)
  if (!setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES)) setOption(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES)
}

/** What stands in the way of a socket, in words. Exported for tests. */
export function socketFailure(
  wanted: SocketWish,
  reason: string,
  holder: (local: SocketAddress) => string | undefined = whoHolds,
): StartFailure {
  const where = socketText(wanted)
  if (reason === 'EADDRINUSE') {
    const who = holder(wanted.local)
    return new StartFailure(
      'port-busy',
      `${where} is in use${who === undefined ? '' : ` by ${who}`}.`,
      `Stop what holds it (see: ss -lunp sport = :${wanted.local.port}), often another IKE daemon, or configure other ports.`,
      EXIT.portBusy,
    )
  }
  if (reason === 'EACCES' || reason === 'EPERM') {
    const capability = wanted.kind === 'esp' ? 'CAP_NET_RAW' : 'CAP_NET_BIND_SERVICE'
    return new StartFailure(
      'socket-permission',
      `${where} may not be opened (${reason}).`,
      `Run it as root or grant the capability ${capability}${wanted.kind === 'esp' ? ", or set encapsulation to 'udp'" : ''}.`,
      EXIT.permission,
    )
  }
  if (reason === 'EADDRNOTAVAIL') {
    return new StartFailure(
      'address-missing',
      `${wanted.local.address} is not an address of this machine.`,
      'Put the address on an interface, or correct the local address in the configuration (see: ip address).',
      EXIT.badConfig,
    )
  }
  return new StartFailure('socket-failed', `${where} could not be opened (${reason}).`, 'See: ip address', EXIT.failed)
}

/** The process that `ss` names for the port, if it may see it. */
function whoHolds(local: SocketAddress): string | undefined {
  try {
    const text = execFileSync('ss', ['-lunpH', `sport = :${local.port}`], { encoding: 'utf8', timeout: 2000 })
    const found = text.match(/users:\(\("([^"]+)",pid=(\d+)/)
    return found === null ? undefined : `${found[1]} (pid ${found[2]})`
  } catch {
    return undefined
  }
}

/** The sockets that a plan needs: those of its connections, and of each address to listen on all that there can be. */
export function socketsOf({ connections, listen = [], ports }: SocketsPlan): SocketWish[] {
  const addresses = listen.map((localAddress) => ({ localAddress, encapsulation: 'auto' as const }))
  return socketsFor([...connections.map(({ ike }) => ike), ...addresses], ports)
}

/** The sockets of `wanted` that have not been opened for `running`, in words. */
export function lackingSockets(running: SocketsPlan, wanted: SocketsPlan): string[] {
  const open = new Set(socketsOf(running).map(socketText))
  return socketsOf(wanted)
    .map(socketText)
    .filter((text) => !open.has(text))
}

type SocketsPlan = Pick<ConnectorPlan, 'connections' | 'listen' | 'ports'>

function socketText({ kind, local }: SocketWish): string {
  return kind === 'esp' ? `IP protocol 50 on ${local.address}` : `UDP ${formatSocketAddress(local)}`
}

/** The sockets that connections with these local addresses need, each once. */
export function socketsFor(
  connections: readonly { localAddress: Address; encapsulation: 'auto' | 'udp' }[],
  ports: { readonly port: number; readonly natPort: number },
): SocketWish[] {
  const wanted = new Map<string, SocketWish>()
  const add = (kind: WireSocket['kind'], address: Address, port: number): void => {
    wanted.set(`${kind} ${address} ${port}`, { kind, local: { address, port } })
  }
  for (const { localAddress, encapsulation } of connections) {
    add('ike', localAddress, ports.port)
    add('udp', localAddress, ports.natPort)
    if (encapsulation === 'auto') add('esp', localAddress, 0)
  }
  return [...wanted.values()]
}
