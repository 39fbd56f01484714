/** What of BGP spans keys: peers, inner addresses and policies that neighbours name. Reads the raw document. */
import { type Address, familyOf, type Prefix, parseAddress, prefixContains } from '../../protocol/net.ts'
import { policyFindings } from './bgp-policies.ts'
import { type Checked, type ConfigPath, type Finding, nearest } from './faults.ts'
import { insidesOf, isMapping, keysAt, type PlacedInside, prefixesAt, valueAt } from './raw.ts'

export function checkBgp(root: unknown): Checked {
  const faults: Finding[] = [...checkInsides(root)]
  const warnings: Finding[] = []
  if (isMapping(valueAt(root, ['bgp']))) {
    faults.push(...policyFindings(root), ...checkRouterId(root))
    const seen = new Map<Address, string>()
    for (const name of keysAt(root, ['bgp', 'neighbours'])) checkNeighbour(root, name, seen, faults, warnings)
  }
  warnings.push(...idlePeers(root))
  return { faults, warnings }
}

/** Each network is inside one tunnel. */
function checkInsides(root: unknown): Finding[] {
  const found: Finding[] = []
  const seen: { network: Prefix; peer: string }[] = []
  for (const peer of keysAt(root, ['peers'])) {
    for (const { network, address, path } of insidesOf(root, peer)) {
      const other = seen.find((each) => prefixContains(each.network, address))
      if (other === undefined) seen.push({ network, peer })
      else {
        const message = `${address} lies in ${other.network}, which is inside the tunnel to ${other.peer}`
        found.push({ path, message, remedy: 'give each tunnel a network of its own' })
      }
    }
  }
  return found
}

function checkRouterId(root: unknown): Finding[] {
  if (valueAt(root, ['bgp', 'router_id']) !== undefined) return []
  const text = valueAt(root, ['address'])
  const address = typeof text === 'string' ? parseAddress(text) : undefined
  if (address === undefined || familyOf(address) === 4) return []
  const message = 'it is missing, and the address of the site is not IPv4'
  return [{ path: ['bgp', 'router_id'], message, remedy: 'write one like 10.1.0.1, unique within our AS' }]
}

function checkNeighbour(
  root: unknown,
  name: string,
  seen: Map<Address, string>,
  faults: Finding[],
  warnings: Finding[],
): void {
  const path: ConfigPath = ['bgp', 'neighbours', name]
  const at = (key: string) => valueAt(root, [...path, key])
  const text = at('address')
  const address = typeof text === 'string' ? parseAddress(text) : undefined
  faults.push(...checkPeer(root, path, address), ...checkFamilies(root, path))
  const other = address === undefined ? undefined : seen.get(address)
  if (address !== undefined && other === undefined) seen.set(address, name)
  if (other !== undefined) {
    const message = `${address} is also the neighbour ${other}`
    faults.push({ path: [...path, 'address'], message, remedy: 'name each neighbour once' })
  }
  const password = at('password')
  if (isMapping(password) && (password.file === undefined) === (password.env === undefined)) {
    const message = password.file === undefined ? 'it names neither file nor env' : 'it names both file and env'
    faults.push({ path: [...path, 'password'], message, remedy: 'write password: { file: <path> }' })
  }
  checkPolicies(root, path, at('as') !== valueAt(root, ['bgp', 'as']), faults, warnings)
}

function checkPeer(root: unknown, path: ConfigPath, address: Address | undefined): Finding[] {
  const peer = valueAt(root, [...path, 'peer'])
  if (typeof peer !== 'string') return []
  const peers = keysAt(root, ['peers'])
  if (!peers.includes(peer)) {
    const meant = nearest(peer, peers)
    const remedy = meant === undefined ? 'write the name of one under peers' : `did you mean ${meant}?`
    return [{ path: [...path, 'peer'], message: `there is no peer ${peer}`, remedy }]
  }
  const insides = insidesOf(root, peer)
  if (address === undefined) return []
  if (!insides.some((inside) => familyOf(inside.address) === familyOf(address))) {
    const message = `the peer ${peer} has no inside address of IPv${familyOf(address)}, from which the session comes`
    const remedy = `write inside: [169.254.10.2/30], or what was agreed on, into the peer ${peer}`
    return [{ path: ['peers', peer, 'inside'], message, remedy }]
  }
  if (insides.some((inside) => inside.address === address)) {
    const remedy = 'write the one at the other end of the tunnel'
    return [{ path: [...path, 'address'], message: 'this is our own address', remedy }]
  }
  return checkSelectors(root, path, peer, address, insides)
}

/** The tunnel must take the packets of the session. */
function checkSelectors(
  root: unknown,
  path: ConfigPath,
  peer: string,
  address: Address,
  insides: readonly PlacedInside[],
): Finding[] {
  const found: Finding[] = []
  const byBgp = valueAt(root, ['peers', peer, 'routes']) === 'bgp'
  const own = insides.find((inside) => familyOf(inside.address) === familyOf(address))!
  if (!insides.some(({ network }) => prefixContains(network, address))) {
    const message = `${address} is not in ${own.network}, which is inside the tunnel to ${peer}`
    found.push({ path: [...path, 'address'], message, remedy: 'correct one of the two' })
  }
  if (keysAt(root, ['peers', peer, 'children']).length > 0) return found
  const remote = prefixesAt(root, ['peers', peer, 'networks'])
  const bits = familyOf(address) === 4 ? 32 : 128
  const remedy = `write routes: bgp and no networks into the peer ${peer}, or list ${own.address}/${bits} in networks of the site and ${address}/${bits} in those of ${peer}`
  if ((remote.length > 0 || !byBgp) && !remote.some((prefix) => prefixContains(prefix, address))) {
    const message = `${address} is in no network of the peer ${peer}: the tunnel would not take the session`
    found.push({ path: [...path, 'address'], message, remedy })
  } else if (!byBgp && !prefixesAt(root, ['networks']).some((prefix) => prefixContains(prefix, own.address))) {
    const message = `${own.address} is in no network of this site: the tunnel would not take the session`
    found.push({ path: own.path, message, remedy })
  }
  return found
}

function checkFamilies(root: unknown, path: ConfigPath): Finding[] {
  const peer = valueAt(root, [...path, 'peer'])
  const families = valueAt(root, [...path, 'families'])
  if (!Array.isArray(families) || typeof peer !== 'string' || !keysAt(root, ['peers']).includes(peer)) return []
  const has = new Set(insidesOf(root, peer).map(({ address }) => `ipv${familyOf(address)}`))
  return families.flatMap((family: unknown, index) => {
    if ((family !== 'ipv4' && family !== 'ipv6') || has.has(family)) return []
    const message = `the peer ${peer} has no inside address of that family to be the next hop`
    return [{ path: [...path, 'families', index], message, remedy: 'add one to inside of the peer' }]
  })
}

function checkPolicies(
  root: unknown,
  path: ConfigPath,
  external: boolean,
  faults: Finding[],
  warnings: Finding[],
): void {
  const known = keysAt(root, ['bgp', 'policies'])
  for (const [key, effect] of [
    ['import', 'nothing is taken from it'],
    ['export', 'it is told nothing'],
  ] as const) {
    const name = valueAt(root, [...path, key])
    if (name === undefined && external) {
      const message = `there is no ${key} policy: ${effect} (RFC 8212)`
      warnings.push({ path: [...path, key], message, remedy: 'name a policy' })
    } else if (typeof name === 'string' && !known.includes(name)) {
      const meant = nearest(name, known)
      const remedy = meant === undefined ? 'write it under bgp.policies' : `did you mean ${meant}?`
      faults.push({ path: [...path, key], message: `there is no policy ${name}`, remedy })
    }
  }
}

/** Nothing will ever lead to them. */
function idlePeers(root: unknown): Finding[] {
  const used = new Set(
    keysAt(root, ['bgp', 'neighbours']).map((name) => valueAt(root, ['bgp', 'neighbours', name, 'peer'])),
  )
  return keysAt(root, ['peers']).flatMap((name) => {
    const path = ['peers', name, 'routes']
    if (valueAt(root, path) !== 'bgp' || used.has(name)) return []
    const message = 'its routes come by BGP, but no neighbour is reached through it'
    return [{ path, message, remedy: 'add one under bgp.neighbours' }]
  })
}
