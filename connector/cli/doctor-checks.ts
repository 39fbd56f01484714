/** The doctor's checks of this machine. Each yields findings; none throws. */
import type { DoctorHost } from './doctor-host.ts'

export interface Finding {
  readonly name: string
  readonly state: 'ok' | 'warn' | 'fail'
  readonly detail: string
  /** With every `warn` and `fail`. */
  readonly remedy?: string
}

/** What the checks need to know of the configuration; defaults where there is none. */
export interface DoctorPlan {
  readonly ports: readonly number[]
  readonly wantsIpv6: boolean
  /** A connector runs, and holds the ports itself. */
  readonly isRunning: boolean
  readonly wasmFiles: readonly string[]
}

export async function checkHost(host: DoctorHost, plan: DoctorPlan): Promise<Finding[]> {
  if (host.platform !== 'linux') {
    const detail = `this is ${host.platform}: the connector needs the Linux TUN device and routes`
    return [fail('system', detail, 'run it on Linux; check, keygen and decode work here')]
  }
  return [
    ok('system', `Linux ${host.readText('/proc/sys/kernel/osrelease')?.trim() ?? ''}`.trim()),
    ok('node', `Node.js ${host.nodeVersion}`),
    checkTunDevice(host),
    ...checkCapabilities(host, plan),
    await checkIp(host),
    await checkFfi(host),
    checkWasm(host, plan),
    ...(await checkPorts(host, plan)),
    ...checkForwarding(host, plan),
    checkReversePath(host),
    checkUserNamespaces(host),
    checkClock(host),
  ]
}

function ok(name: string, detail: string): Finding {
  return { name, state: 'ok', detail }
}

function warn(name: string, detail: string, remedy: string): Finding {
  return { name, state: 'warn', detail, remedy }
}

function fail(name: string, detail: string, remedy: string): Finding {
  return { name, state: 'fail', detail, remedy }
}

function checkTunDevice(host: DoctorHost): Finding {
  const error = host.openError('/dev/net/tun')
  if (error === undefined) return ok('tun', '/dev/net/tun opens')
  if (error === 'ENOENT' || error === 'ENODEV') {
    const remedy = 'modprobe tun; in a container add --device /dev/net/tun'
    return fail('tun', `there is no TUN device (${error})`, remedy)
  }
  return fail('tun', `/dev/net/tun does not open (${error})`, 'run as root, or give the user access to it')
}

/** Bit numbers of linux/capability.h. */
const CAPABILITY = { netBindService: 10, netAdmin: 12, netRaw: 13 } as const

function checkCapabilities(host: DoctorHost, plan: DoctorPlan): Finding[] {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(host.readText('/proc/self/status') ?? '')?.[1]
  if (effective === undefined) {
    return [warn('capabilities', 'they could not be read', 'mount /proc; isthmus up will tell what is missing')]
  }
  const bits = BigInt(`0x${effective}`)
  const has = (bit: number) => ((bits >> BigInt(bit)) & 1n) === 1n
  const found: Finding[] = []
  const giveAll =
    'run as root (sudo), or under systemd with AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE'
  if (has(CAPABILITY.netAdmin)) found.push(ok('CAP_NET_ADMIN', 'held: device and routes can be made'))
  else found.push(fail('CAP_NET_ADMIN', 'not held: device and routes cannot be made', giveAll))
  if (has(CAPABILITY.netRaw)) found.push(ok('CAP_NET_RAW', 'held: plain ESP and ping are possible'))
  else found.push(warn('CAP_NET_RAW', 'not held: no plain ESP (encapsulation: auto) and no ping', giveAll))
  const firstFree = Number(host.readText('/proc/sys/net/ipv4/ip_unprivileged_port_start') ?? '1024')
  const low = plan.ports.filter((port) => port < firstFree)
  if (low.length > 0 && !has(CAPABILITY.netBindService)) {
    found.push(fail('CAP_NET_BIND_SERVICE', `not held: ports ${low.join(' and ')} cannot be bound`, giveAll))
  }
  return found
}

async function checkIp(host: DoctorHost): Promise<Finding> {
  const version = await host.run('ip', ['-V'])
  if (version !== undefined) return ok('ip', version)
  return fail('ip', 'the program ip is missing: routes cannot be set', 'install iproute2')
}

async function checkFfi(host: DoctorHost): Promise<Finding> {
  const error = await host.ffiError()
  if (error === undefined) return ok('ffi', 'koffi loads and finds the C library')
  return fail('ffi', `system calls cannot be made: ${error}`, 'run npm ci on this machine, so that it fits its system')
}

function checkWasm(host: DoctorHost, plan: DoctorPlan): Finding {
  const missing = plan.wasmFiles.filter((file) => !host.exists(file))
  if (missing.length === 0) return ok('engine', 'the WebAssembly engine is built')
  return fail('engine', `the WebAssembly engine is not built: ${missing.join(', ')} is missing`, 'npm run build')
}

async function checkPorts(host: DoctorHost, plan: DoctorPlan): Promise<Finding[]> {
  if (plan.isRunning) return [ok('ports', `${plan.ports.join(' and ')} belong to the running connector`)]
  const found: Finding[] = []
  for (const port of plan.ports) {
    const error = await host.bindError(port)
    const name = `UDP ${port}`
    if (error === undefined) found.push(ok(name, 'free'))
    else if (error === 'EADDRINUSE') {
      const remedy = `"ss -lunp sport = :${port}" shows who; stop it (often strongSwan or libreswan), or set ports`
      found.push(fail(name, 'another program has it', remedy))
    } else found.push(fail(name, `cannot be bound (${error})`, 'run as root, or set ports above 1023'))
  }
  return found
}

function checkForwarding(host: DoctorHost, plan: DoctorPlan): Finding[] {
  const keys: [string, string][] = [['ipv4', 'net.ipv4.ip_forward']]
  if (plan.wantsIpv6) keys.push(['ipv6', 'net.ipv6.conf.all.forwarding'])
  return keys.map(([family, key]) => {
    const value = host.readText(`/proc/sys/${key.replaceAll('.', '/')}`)?.trim()
    if (value !== undefined && value !== '0') return ok(`forwarding ${family}`, `${key} is ${value}`)
    const remedy = `sysctl -w ${key}=1, and the same line in /etc/sysctl.d/isthmus.conf`
    return warn(
      `forwarding ${family}`,
      `${key} is ${value ?? 'missing'}: only this host itself reaches the peers`,
      remedy,
    )
  })
}

function checkReversePath(host: DoctorHost): Finding {
  const value = host.readText('/proc/sys/net/ipv4/conf/all/rp_filter')?.trim()
  if (value !== '1') return ok('rp_filter', `net.ipv4.conf.all.rp_filter is ${value ?? 'missing'}`)
  const detail = 'net.ipv4.conf.all.rp_filter is 1 (strict): packets whose way back is another are dropped unseen'
  return warn('rp_filter', detail, 'if the ways differ, sysctl -w net.ipv4.conf.all.rp_filter=2')
}

function checkUserNamespaces(host: DoctorHost): Finding {
  const max = Number(host.readText('/proc/sys/user/max_user_namespaces') ?? '0')
  const clone = host.readText('/proc/sys/kernel/unprivileged_userns_clone')?.trim()
  const restricted = host.readText('/proc/sys/kernel/apparmor_restrict_unprivileged_userns')?.trim()
  if (host.uid === 0) return ok('user namespaces', 'not needed: running as root')
  if (max > 0 && clone !== '0' && restricted !== '1')
    return ok('user namespaces', 'allowed: isthmus demo works without root')
  return warn('user namespaces', 'not allowed for ordinary users: isthmus demo needs root', 'sudo isthmus demo')
}

/** Keys do not depend on the time of day, but the reader of a log does. */
function checkClock(host: DoctorHost): Finding {
  const now = new Date(host.wallClock)
  const text = now.toISOString().slice(0, 19).replace('T', ' ')
  if (now.getUTCFullYear() >= 2025) return ok('clock', `${text} UTC`)
  return warn(
    'clock',
    `it says ${text} UTC: times in logs and status will mislead`,
    'set the clock, best with an NTP client',
  )
}
