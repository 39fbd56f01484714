/** What of groups, steering, refusals, probes and BFD spans keys. Reads the raw document. */
import { type Address, type Prefix, parseAddress, parsePrefix, prefixContains } from '../../protocol/net.ts'
import { checkBfd } from './checks-bfd.ts'
import { type Checked, type ConfigPath, type Finding, nearest } from './faults.ts'
import { insidesOf, isMapping, keysAt, listAt, prefixesAt, valueAt } from './raw.ts'
import { parseDuration } from './units.ts'
import { parseProtocol, WITH_PORTS } from './words.ts'

/** What the engines hold. */
const MAX_CLASSES = 32
const MAX_MATCHES = 64
/** Of probes that wake programs behind the peer. */
const LEAST_TARGET_MS = 200

export function checkPaths(root: unknown): Checked {
  const faults: Finding[] = []
  const warnings: Finding[] = []
  checkGroups(root, faults)
  checkSteering(root, faults, warnings)
  checkRefusals(root, faults, warnings)
  for (const name of keysAt(root, ['peers'])) {
    faults.push(...checkProbe(root, name), ...checkBfd(root, name))
  }
  warnings.push(...lonelyTransit(root))
  return { faults, warnings }
}

/** The group that both peers are in, if any. */
export function groupOfBoth(root: unknown, one: string, other: string): string | undefined {
  return keysAt(root, ['groups']).find((group) => {
    const members = membersOf(root, group).map(({ name }) => name)
    return members.includes(one) && members.includes(other)
  })
}

function membersOf(root: unknown, group: string): { name: string; path: ConfigPath }[] {
  const path = ['groups', group]
  const order = valueAt(root, [...path, 'order'])
  const listed = Array.isArray(order) ? order.map((name: unknown, i) => ({ name, path: [...path, 'order', i] })) : []
  const weighed = keysAt(root, [...path, 'weights']).map((name) => ({ name, path: [...path, 'weights', name] }))
  return [...listed, ...weighed].flatMap(({ name, path: at }) => (typeof name === 'string' ? [{ name, path: at }] : []))
}

function checkGroups(root: unknown, faults: Finding[]): void {
  const seen = new Map<string, string>()
  for (const group of keysAt(root, ['groups'])) {
    const path = ['groups', group]
    const [weights, order] = ['weights', 'order'].map((key) => valueAt(root, [...path, key]) !== undefined)
    if (isMapping(valueAt(root, path)) && weights === order) {
      const message = weights ? 'it has both weights and an order' : 'it has neither weights nor an order'
      faults.push({ path, message, remedy: 'write weights: { one: 3, other: 1 }, or order: [one, other]' })
    }
    const members = membersOf(root, group)
    for (const { name, path: at } of members) {
      faults.push(...unknownPeer(root, name, at))
      const other = seen.get(name)
      if (other === undefined) seen.set(name, group)
      else {
        const message = other === group ? `${name} is in it twice` : `${name} is in the group ${other} already`
        faults.push({ path: at, message, remedy: 'leave it to one place', atKey: true })
      }
    }
    if (members.length === 1) {
      faults.push({
        path: members[0]!.path,
        message: 'one peer alone is no group',
        remedy: 'add another, or leave it out',
      })
    }
  }
}

function checkSteering(root: unknown, faults: Finding[], warnings: Finding[]): void {
  const classes = keysAt(root, ['steering'])
  let matches = 0
  for (const name of classes) {
    const path: ConfigPath = ['steering', name]
    if (/^\d+$/.test(name)) {
      const message = 'a name of digits alone has no place in the order of the classes'
      faults.push({ path, message, remedy: 'give it a name with a letter', atKey: true })
    }
    const seen = new Set<string>()
    for (const [index, peer] of listAt(root, [...path, 'prefer']).entries()) {
      if (typeof peer !== 'string') continue
      const at = [...path, 'prefer', index]
      faults.push(...unknownPeer(root, peer, at))
      if (seen.has(peer)) faults.push({ path: at, message: `${peer} is in it twice`, remedy: 'name it once' })
      else if (valueAt(root, [...path, 'limits']) !== undefined) warnings.push(...unmeasured(root, peer, at))
      seen.add(peer)
    }
    const list = listAt(root, [...path, 'match'])
    matches += list.length
    for (const index of list.keys()) faults.push(...checkMatch(root, [...path, 'match', index]))
  }
  if (classes.length > MAX_CLASSES || matches > MAX_MATCHES) {
    const message = `${classes.length} classes with ${matches} matches; the engine takes ${MAX_CLASSES} with ${MAX_MATCHES}`
    faults.push({ path: ['steering'], message, remedy: 'merge some of them' })
  }
}

function checkMatch(root: unknown, path: ConfigPath): Finding[] {
  const match = valueAt(root, path)
  if (!isMapping(match)) return []
  if (Object.keys(match).length === 0) {
    return [{ path, message: 'it fits every packet', remedy: 'say at least one thing, such as dscp: ef' }]
  }
  const protocol = parseProtocol(String(match.protocol))
  const found: Finding[] = []
  for (const key of ['from_ports', 'to_ports']) {
    if (match[key] === undefined || (protocol !== undefined && WITH_PORTS.includes(protocol))) continue
    const message = 'ports mean nothing without a protocol that has them'
    found.push({ path: [...path, key], message, remedy: 'add protocol: tcp, udp or sctp' })
  }
  return [...found, ...mixedFamilies(match, path)]
}

function mixedFamilies(match: Record<string, unknown>, path: ConfigPath): Finding[] {
  const [from, to] = [match.from, match.to].map((text) => (typeof text === 'string' ? parsePrefix(text) : undefined))
  if (from === undefined || to === undefined || from.includes(':') === to.includes(':')) return []
  return [{ path: [...path, 'to'], message: 'from and to are of different families', remedy: 'write a match for each' }]
}

function unmeasured(root: unknown, peer: string, path: ConfigPath): Finding[] {
  const probe = valueAt(root, ['peers', peer, 'probe'])
  if (probe !== 'off' && valueAt(probe, ['kind']) !== 'off') return []
  const message = `the limits are nothing to ${peer}, whose path is not measured`
  return [{ path, message, remedy: `set probe of ${peer}` }]
}

function checkRefusals(root: unknown, faults: Finding[], warnings: Finding[]): void {
  const seen = new Set<Prefix>()
  const own = prefixesAt(root, ['networks'])
  for (const index of listAt(root, ['refuse']).keys()) {
    const path = ['refuse', index, 'prefix']
    const text = valueAt(root, path)
    const prefix = typeof text === 'string' ? parsePrefix(text) : undefined
    if (prefix === undefined) continue
    if (seen.has(prefix)) faults.push({ path, message: `${prefix} is refused twice`, remedy: 'keep one of the two' })
    seen.add(prefix)
    if (own.includes(prefix)) {
      const message = `${prefix} is a network of this site: its hosts would not be reached`
      faults.push({
        path,
        message,
        remedy: 'refuse a wider network; what the host itself has a route to is not refused',
      })
    }
    for (const peer of keysAt(root, ['peers'])) {
      const outer = addressAt(root, ['peers', peer, 'address'])
      if (outer !== undefined && prefixContains(prefix, outer)) {
        const message = `the address ${outer} of the peer ${peer} lies in it: the tunnel's packets would be refused`
        faults.push({ path, message, remedy: 'refuse narrower networks' })
      }
    }
    if (prefix.endsWith('/0')) {
      const message = `${prefix} refuses everything that no other route leads to, for this host too`
      warnings.push({ path, message, remedy: 'refuse the networks of your sites; if that is meant, all is well' })
    }
  }
}

function checkProbe(root: unknown, peer: string): Finding[] {
  const path: ConfigPath = ['peers', peer, 'probe']
  const probe = valueAt(root, path)
  if (!isMapping(probe)) return []
  const found: Finding[] = []
  const kind = probe.kind ?? 'auto'
  const asks = kind === 'icmp' || kind === 'tcp'
  const lacks = (key: string, remedy: string) => {
    if (probe[key] === undefined)
      found.push({ path: [...path, key], message: `it is missing: ${kind} needs it`, remedy })
  }
  if (asks) lacks('target', 'write an address behind the peer')
  if (kind === 'tcp') lacks('port', 'write a port of the target')
  else if (probe.port !== undefined) {
    found.push({ path: [...path, 'port'], message: 'only tcp has a port', remedy: 'remove it, or write kind: tcp' })
  }
  if (probe.mtu === true && kind !== 'auto' && kind !== 'esp') {
    const message = 'only probes within ESP measure the path MTU'
    found.push({ path: [...path, 'mtu'], message, remedy: 'remove it, or write kind: auto' })
  }
  const interval = typeof probe.interval === 'string' ? parseDuration(probe.interval) : undefined
  if (asks && interval !== undefined && interval < LEAST_TARGET_MS) {
    const message = `${probe.interval} is too often for a target`
    found.push({ path: [...path, 'interval'], message, remedy: `choose ${LEAST_TARGET_MS}ms or more` })
  }
  return [...found, ...(asks ? unreachableTarget(root, peer, probe.target) : [])]
}

/** Through another way than the tunnel, a probe would say nothing of it. */
function unreachableTarget(root: unknown, peer: string, text: unknown): Finding[] {
  const target = typeof text === 'string' ? parseAddress(text) : undefined
  if (target === undefined || valueAt(root, ['peers', peer, 'routes']) === 'bgp') return []
  const at = (key: string) => prefixesAt(root, ['peers', peer, key])
  const children = keysAt(root, ['peers', peer, 'children'])
  const remote = children.flatMap((child) => prefixesAt(root, ['peers', peer, 'children', child, 'remote']))
  const behind = at('routes').length > 0 ? at('routes') : [...at('networks'), ...remote]
  const inside = insidesOf(root, peer).map(({ network }) => network)
  if (behind.length === 0 || [...behind, ...inside].some((prefix) => prefixContains(prefix, target))) return []
  const message = `${target} is in no network that is routed to ${peer}`
  return [{ path: ['peers', peer, 'probe', 'target'], message, remedy: 'name an address behind the peer' }]
}

function lonelyTransit(root: unknown): Finding[] {
  const peers = keysAt(root, ['peers']).filter((peer) => valueAt(root, ['peers', peer, 'transit']) === true)
  if (peers.length !== 1) return []
  const message = 'no other tunnel has it: nothing can leave there'
  return [{ path: ['peers', peers[0]!, 'transit'], message, remedy: 'set it for the other tunnels too' }]
}

function unknownPeer(root: unknown, name: string, path: ConfigPath): Finding[] {
  const peers = keysAt(root, ['peers'])
  if (peers.includes(name)) return []
  const meant = nearest(name, peers)
  const remedy = meant === undefined ? 'write the name of one under peers' : `did you mean ${meant}?`
  return [{ path, message: `there is no peer ${name}`, remedy, atKey: true }]
}

function addressAt(root: unknown, path: ConfigPath): Address | undefined {
  const text = valueAt(root, path)
  return typeof text === 'string' ? parseAddress(text) : undefined
}
