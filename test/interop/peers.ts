/** Which real peers this machine has. `.ci/peers.sh` installs them all on Debian. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

// Where daemons and their tools are; an ordinary user's PATH often lacks it.
const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
process.env.PATH = [...new Set(FOLDERS)].join(delimiter)

const UNPACKED = process.env.ISTHMUS_PEERS ?? '/opt/isthmus-peers'

export type PeerName =
  | 'strongswan'
  | 'libreswan'
  | 'tshark'
  | 'nftables'
  | 'wireguard-go'
  | 'iperf3'
  | 'redis'
  | 'openssl'
  | 'bird'
  | 'frr'
  | 'gobgp'
  | 'exabgp'
  | 'aws'
  | 'systemd'
  | 'setcap'

const WHERE: Readonly<Record<PeerName, () => string | undefined>> = {
  strongswan: () => program('charon-systemd', 'swanctl'),
  libreswan: () => file(join(UNPACKED, 'libreswan/usr/libexec/ipsec/pluto')),
  tshark: () => program('tshark', 'dumpcap'),
  nftables: () => program('nft'),
  'wireguard-go': () => file(join(UNPACKED, 'wireguard-go/usr/bin/wireguard-go')),
  iperf3: () => program('iperf3'),
  bird: () => program('bird', 'birdc'),
  frr: () => (program('vtysh') === undefined ? undefined : file('/usr/lib/frr/bgpd')),
  gobgp: () => program('gobgpd', 'gobgp'),
  exabgp: () => program('python3-exabgp'),
  redis: () => program('redis-server'),
  openssl: () => program('openssl'),
  aws: () => program('aws'),
  systemd: () => program('systemd-analyze'),
  setcap: () => program('setcap', 'setpriv'),
}

/** Path of the peer's main program, or undefined when it is not installed. */
export function findPeer(name: PeerName): string | undefined {
  return WHERE[name]()
}

/** For `describe.skipIf(...)`: true when a peer is missing, after saying so; with CI=true it throws instead. */
export function skipWithoutPeers(what: string, ...names: PeerName[]): boolean {
  const missing = names.filter((name) => findPeer(name) === undefined)
  if (missing.length === 0) return false
  const message = `${what} needs ${missing.join(' and ')}, not installed here; .ci/peers.sh installs it on Debian`
  if (process.env.CI === 'true') throw new Error(message)
  process.stderr.write(`skipped: ${message}\n`)
  return true
}

function program(...names: string[]): string | undefined {
  const found = names.map((name) => FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path)))
  return found.includes(undefined) ? undefined : found[0]
}

function file(path: string): string | undefined {
  return existsSync(path) ? path : undefined
}
