/** The TUN device: one per connector, gone with the process (not persistent), with a queue for each packet worker. */
import { writeFileSync } from 'node:fs'
import { VNET_HEADER } from '../../wasm/abi.ts'
import { EXIT, StartFailure } from '../handle.ts'
import { errnoName, libc, O_CLOEXEC, O_NONBLOCK, O_RDWR, Scratch } from './ffi.ts'

const TUNSETIFF = 0x400454ca
const IFF_TUN = 1
const IFF_MULTI_QUEUE = 0x0100
const IFF_NO_PI = 0x1000
const IFF_VNET_HDR = 0x4000
const IFF_TUN_EXCL = 0x8000
const TUNSETOFFLOAD = 0x400454d0
const TUNSETVNETHDRSZ = 0x400454d8
/** TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 and, of kernels since 6.2, TUN_F_USO4 and TUN_F_USO6; CWR is dealt with. */
const OFFLOAD_TSO = 0x01 | 0x02 | 0x04
const OFFLOAD_ECN = 0x08
const OFFLOAD_USO = 0x20 | 0x40
/** IFNAMSIZ without the terminating zero. */
const NAME_BYTES = 15
const IFREQ_BYTES = 40

/** How the kernel and the packet path hand packets over; with `step` not `none` each has a virtio_net_hdr. */
export interface TunOffload {
  readonly step: 'tso+uso' | 'tso' | 'none'
  /** What stands in the way of more. */
  readonly why: string
}

export interface TunDevice {
  /** A descriptor of each queue. The kernel keeps a flow on the queue into which its answers are written. */
  readonly queues: readonly number[]
  readonly name: string
  readonly offload: TunOffload
  close(): void
}

const CAPABILITY_REMEDY =
  'Run it as root, grant the capability (systemd: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE; ' +
  'containers: --cap-add NET_ADMIN), or try it in a namespace of your own: unshare -Urnm.'

/**
 * Opens and names the device; a StartFailure tells what is missing. Reads and writes do not block. Nobody shares it: a
 * device with one queue cannot be joined, and one with several has to be new.
 */
export function openTun(name: string, wanted: { readonly tso: boolean; readonly uso: boolean }, queues = 1): TunDevice {
  const encoded = new TextEncoder().encode(name)
  if (encoded.length === 0 || encoded.length > NAME_BYTES || /[\s/]/.test(name)) {
    throw new StartFailure(
      'tun-name',
      `"${name}" cannot be the name of a TUN device.`,
      `Choose a name of 1 to ${NAME_BYTES} bytes without spaces and slashes.`,
      EXIT.badConfig,
    )
  }
  const several = queues > 1 ? IFF_MULTI_QUEUE : 0
  const alone = queues > 1 ? IFF_TUN_EXCL : 0
  if (wanted.tso) {
    const first = attach(encoded, name, several | alone | IFF_VNET_HDR)
    const offload = typeof first === 'number' ? setOffload(first, wanted.uso) : undefined
    if (typeof first === 'number' && offload !== undefined) {
      return device(attachMore(first, queues, encoded, name, several | IFF_VNET_HDR), name, offload)
    }
    if (typeof first === 'number') libc().close(first)
  }
  const first = attach(encoded, name, several | alone)
  if (typeof first !== 'number') throw first
  const why = 'this kernel has no virtio_net_hdr for TUN devices'
  return device(attachMore(first, queues, encoded, name, several), name, { step: 'none', why })
}

/** The device's first queue, and as many more as it is to have; header and offloads are the device's and hold for all. */
function attachMore(first: number, queues: number, encoded: Uint8Array, name: string, flags: number): number[] {
  const fds = [first]
  while (fds.length < queues) {
    const fd = attach(encoded, name, flags)
    if (typeof fd !== 'number') {
      closeAll(fds)
      throw fd
    }
    fds.push(fd)
  }
  return fds
}

function closeAll(fds: readonly number[]): void {
  for (const fd of fds) libc().close(fd)
}

function device(queues: readonly number[], name: string, offload: TunOffload): TunDevice {
  quietIpv6(name)
  return { queues, name, offload, close: () => closeAll(queues) }
}

/** A descriptor of the device, made with these flags besides those of every one, or why there is none. */
function attach(encoded: Uint8Array, name: string, flags: number): number | StartFailure {
  const c = libc()
  const fd = c.open('/dev/net/tun', O_RDWR | O_NONBLOCK | O_CLOEXEC, 0)
  if (fd < 0) return openFailure(errnoName(c.errno()))
  const request = new Scratch(IFREQ_BYTES)
  request.bytes.set(encoded)
  request.view.setUint16(16, IFF_TUN | IFF_NO_PI | flags, true)
  if (c.ioctl(fd, TUNSETIFF, request.address) < 0) {
    const reason = errnoName(c.errno())
    c.close(fd)
    return createFailure(name, reason)
  }
  return fd
}

/** Has the kernel leave segments and checksums to us, as far as it can. Undefined where it cannot at all. */
function setOffload(fd: number, uso: boolean): TunOffload | undefined {
  const c = libc()
  const size = new Scratch(4)
  size.view.setInt32(0, VNET_HEADER, true)
  if (c.ioctl(fd, TUNSETVNETHDRSZ, size.address) < 0) return undefined
  const tcp = OFFLOAD_TSO | OFFLOAD_ECN
  if (uso && c.ioctl(fd, TUNSETOFFLOAD, tcp | OFFLOAD_USO) >= 0) return { step: 'tso+uso', why: '' }
  const why = uso ? 'UDP runs need Linux 6.2' : 'UDP runs switched off'
  return c.ioctl(fd, TUNSETOFFLOAD, tcp) >= 0 ? { step: 'tso', why } : undefined
}

export function openFailure(reason: string): StartFailure {
  if (reason === 'EACCES' || reason === 'EPERM') {
    return new StartFailure(
      'tun-permission',
      `/dev/net/tun may not be opened (${reason}).`,
      CAPABILITY_REMEDY,
      EXIT.permission,
    )
  }
  return new StartFailure(
    'tun-missing',
    `The TUN device /dev/net/tun is not there (${reason}).`,
    'Load the module with "modprobe tun"; in a container pass the device in with --device /dev/net/tun.',
    EXIT.noTun,
  )
}

export function createFailure(name: string, reason: string): StartFailure {
  if (reason === 'EPERM' || reason === 'EACCES') {
    return new StartFailure(
      'tun-permission',
      `Making the TUN device ${name} needs the capability CAP_NET_ADMIN (${reason}).`,
      CAPABILITY_REMEDY,
      EXIT.permission,
    )
  }
  if (reason === 'EBUSY') {
    return new StartFailure(
      'tun-busy',
      `The TUN device ${name} is in use by another process.`,
      'End the other connector, or give this one a different device name.',
      EXIT.noTun,
    )
  }
  return new StartFailure(
    'tun-failed',
    `The TUN device ${name} could not be made (${reason}).`,
    `See whether a device of another kind has that name: ip link show ${name}`,
    EXIT.noTun,
  )
}

/** No link-local address, no duplicate detection, no router solicitations: nothing that would knock at the tunnel. */
function quietIpv6(name: string): void {
  const settings = { addr_gen_mode: 1, accept_dad: 0, accept_ra: 0, autoconf: 0, router_solicitations: 0 }
  for (const [key, value] of Object.entries(settings)) {
    try {
      writeFileSync(`/proc/sys/net/ipv6/conf/${name}/${key}`, String(value))
    } catch {
      // Without IPv6, or with a read-only /proc, there is a little noise and nothing else.
    }
  }
}
