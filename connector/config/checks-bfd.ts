/** What of BFD for static routes spans keys. Reads the raw document. */
import { type Address, familyOf, parseAddress, prefixContains } from '../../protocol/net.ts'
import type { ConfigPath, Finding } from './faults.ts'
import type { Inside } from './leaf.ts'
import { otherEnd } from './other-end.ts'
import { insidesOf, isMapping, keysAt, prefixesAt, valueAt } from './raw.ts'

export function checkBfd(root: unknown, peer: string): Finding[] {
  const path: ConfigPath = ['peers', peer, 'bfd']
  if (!isMapping(valueAt(root, path))) return []
  const insides = insidesOf(root, peer)
  if (insides.length === 0) {
    const message = 'BFD needs an address inside the tunnel'
    return [{ path, message, remedy: 'add inside: [169.254.10.2/30], or what was agreed on' }]
  }
  return [...checkEnds(root, peer, insides), ...besideBgp(root, peer)]
}

function checkEnds(root: unknown, peer: string, insides: readonly Inside[]): Finding[] {
  const path: ConfigPath = ['peers', peer, 'bfd', 'address']
  const text = valueAt(root, path)
  const stated = typeof text === 'string' ? parseAddress(text) : undefined
  if (stated !== undefined && insides.some(({ address }) => address === stated)) {
    return [{ path, message: 'this is our own address', remedy: 'write the one at the other end of the tunnel' }]
  }
  if (stated !== undefined && !insides.some(({ network }) => prefixContains(network, stated))) {
    const message = `${stated} is not in ${insides[0]!.network}, which is inside the tunnel to ${peer}`
    return [{ path, message, remedy: 'correct one of the two' }]
  }
  if (text === undefined && insides.every((inside) => otherEnd(inside) === undefined)) {
    const message = 'it is missing: the network inside the tunnel has more than two addresses'
    return [{ path, message, remedy: 'write the address of the other end' }]
  }
  for (const inside of insides) {
    const remote = stated ?? otherEnd(inside)
    if (remote === undefined || !prefixContains(inside.network, remote)) continue
    return checkSelectors(root, peer, inside.address, remote)
  }
  return []
}

/** The tunnel must take the packets. */
function checkSelectors(root: unknown, peer: string, local: Address, remote: Address): Finding[] {
  if (valueAt(root, ['peers', peer, 'routes']) === 'bgp') return []
  const children = keysAt(root, ['peers', peer, 'children'])
  const of = (child: string | undefined, key: 'local' | 'remote') => {
    const own = child === undefined ? [] : prefixesAt(root, ['peers', peer, 'children', child, key])
    if (own.length > 0) return own
    return prefixesAt(root, key === 'local' ? ['networks'] : ['peers', peer, 'networks'])
  }
  const takes = (child: string | undefined) =>
    of(child, 'local').some((prefix) => prefixContains(prefix, local)) &&
    of(child, 'remote').some((prefix) => prefixContains(prefix, remote))
  if ((children.length === 0 ? [undefined] : children).some(takes)) return []
  const bits = familyOf(local) === 4 ? 32 : 128
  const message = `no child takes packets from ${local} to ${remote}: the tunnel would not carry BFD`
  const remedy = `list ${local}/${bits} in networks of the site and ${remote}/${bits} in those of ${peer}, or write a child for them`
  return [{ path: ['peers', peer, 'bfd'], message, remedy }]
}

function besideBgp(root: unknown, peer: string): Finding[] {
  const neighbour = keysAt(root, ['bgp', 'neighbours']).find((name) => {
    const at = ['bgp', 'neighbours', name]
    return valueAt(root, [...at, 'peer']) === peer && isMapping(valueAt(root, [...at, 'bfd']))
  })
  if (neighbour === undefined) return []
  const message = `the BGP neighbour ${neighbour} has BFD through this tunnel already`
  return [{ path: ['peers', peer, 'bfd'], message, remedy: 'leave it to one of the two', atKey: true }]
}
