/**
 * What spans keys. Works on the raw document with readers that skip what does not parse, so that these faults are
 * reported together with those of single values.
 */
import {
  type Address,
  familyOf,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixContains,
  prefixRange,
} from '../../protocol/net.ts'
import { parseIdentity, sameIdentity } from '../core/ike/identity.ts'
import type { Identity } from '../core/ike/types.ts'
import { checkBgp } from './checks-bgp.ts'
import { checkPaths, groupOfBoth } from './checks-paths.ts'
import type { Checked, ConfigPath, Finding } from './faults.ts'
import { isMapping, keysAt, listAt, valueAt } from './raw.ts'
import { parseDuration, parseSize } from './units.ts'

interface Located<T> {
  readonly value: T
  readonly path: ConfigPath
}

interface PeerFacts {
  readonly name: string
  readonly path: ConfigPath
  readonly address: Located<Address> | undefined
  readonly id: Located<Identity> | undefined
  readonly localId: Located<Identity> | undefined
  /** What leads to the peer: `routes`, or else all remote networks. */
  readonly routes: readonly Located<Prefix>[]
}

export function checkAcrossKeys(root: unknown): Checked {
  const faults: Finding[] = []
  const warnings: Finding[] = []
  const peers = keysAt(root, ['peers']).map((name) => peerFacts(root, name))
  if (isMapping(valueAt(root, ['peers'])) && peers.length === 0) {
    faults.push({
      path: ['peers'],
      message: 'there is no peer',
      remedy: 'name one, with its address, networks and secret',
    })
  }
  for (const peer of peers) {
    faults.push(...checkPeer(root, peer), ...checkLifetimes(root, peer.path))
  }
  checkIdentities(root, peers, faults, warnings)
  checkNetworks(root, peers, faults, warnings)
  for (const part of [checkBgp(root), checkPaths(root)]) {
    faults.push(...part.faults)
    warnings.push(...part.warnings)
  }
  return { faults, warnings }
}

function checkPeer(root: unknown, peer: PeerFacts): Finding[] {
  const found: Finding[] = []
  const at = (key: string) => valueAt(root, [...peer.path, key])
  if (at('address') === undefined) {
    if (at('id') === undefined) {
      const message = 'a peer without an address needs an id'
      found.push({ path: [...peer.path, 'id'], message, remedy: 'add its id, or its address' })
    }
    if (at('initiate') === true) {
      const remedy = 'add its address, or remove initiate'
      found.push({ path: [...peer.path, 'initiate'], message: 'a peer without an address cannot be called', remedy })
    }
  }
  const secret = at('secret')
  if (isMapping(secret) && (secret.file === undefined) === (secret.env === undefined)) {
    const message = secret.file === undefined ? 'it names neither file nor env' : 'it names both file and env'
    found.push({ path: [...peer.path, 'secret'], message, remedy: 'write secret: { file: <path> }' })
  }
  const localKey = at('local_address') === undefined ? ['address'] : [...peer.path, 'local_address']
  const local = parsed(root, localKey, parseAddress)
  if (local !== undefined && peer.address !== undefined) {
    if (familyOf(local.value) !== familyOf(peer.address.value)) {
      const message = `our address ${local.value} and the peer's are of different families`
      found.push({ path: peer.address.path, message, remedy: 'give the peer a local_address of its family' })
    }
    if (local.value === peer.address.value) {
      const message = 'this is our own address'
      found.push({ path: peer.address.path, message, remedy: 'write the address of the other gateway' })
    }
  }
  found.push(...checkChildren(root, peer))
  return found
}

function checkChildren(root: unknown, peer: PeerFacts): Finding[] {
  const found: Finding[] = []
  const hasNetworks = valueAt(root, [...peer.path, 'networks']) !== undefined
  const children = valueAt(root, [...peer.path, 'children'])
  const names = isMapping(children) ? Object.keys(children) : []
  if (isMapping(children) && names.length === 0) {
    const path = [...peer.path, 'children']
    found.push({ path, message: 'there is no child', remedy: 'name one, or leave the key out' })
  }
  const byBgp = valueAt(root, [...peer.path, 'routes']) === 'bgp'
  if (!hasNetworks && !byBgp && !names.some((name) => valueAt(children, [name, 'remote']) !== undefined)) {
    const message = 'it is missing: the networks behind the peer'
    found.push({ path: [...peer.path, 'networks'], message, remedy: 'write a list like [10.2.0.0/16]' })
  }
  for (const name of names) {
    const path = [...peer.path, 'children', name]
    if (!hasNetworks && !byBgp && names.length > 1 && valueAt(children, [name, 'remote']) === undefined) {
      found.push({
        path: [...path, 'remote'],
        message: 'it is missing, and the peer has no networks',
        remedy: 'add one of the two',
      })
    }
    const protocol = valueAt(children, [name, 'protocol'])
    for (const key of ['local_ports', 'remote_ports']) {
      if (valueAt(children, [name, key]) !== undefined && !['tcp', 'udp', 'sctp'].includes(String(protocol))) {
        found.push({
          path: [...path, key],
          message: 'ports mean nothing without a protocol that has them',
          remedy: 'add protocol: tcp, udp or sctp',
        })
      }
    }
  }
  return found
}

function checkLifetimes(root: unknown, peer: ConfigPath): Finding[] {
  const found: Finding[] = []
  const pairs: [string, string, string, (text: string) => number | undefined][] = [
    ['ike', 'rekey', 'expire', parseDuration],
    ['esp', 'rekey', 'expire', parseDuration],
    ['esp', 'rekey_bytes', 'expire_bytes', parseSize],
    ['esp', 'rekey_packets', 'expire_packets', Number],
  ]
  for (const [section, softKey, hardKey, read] of pairs) {
    const fallback: Record<string, string> = { ike: '4h', esp: '50m', rekey_packets: '2000000000' }
    const softText =
      valueAt(root, [...peer, section, softKey]) ??
      fallback[softKey] ??
      (softKey === 'rekey' ? fallback[section] : undefined)
    const hardText = valueAt(root, [...peer, section, hardKey])
    const soft = softText === undefined ? undefined : read(String(softText))
    const hard = hardText === undefined ? undefined : read(String(hardText))
    const path = [...peer, section, hardKey]
    if (hard !== undefined && softText === undefined) {
      found.push({
        path,
        message: `there is no ${softKey} to go with it`,
        remedy: `add ${softKey}, smaller than ${hardKey}`,
      })
    } else if (hard !== undefined && soft !== undefined && hard <= soft) {
      const message = `${hardText} is not more than ${softKey} (${softText})`
      found.push({ path, message, remedy: `choose more, so that a rekey has time to succeed` })
    }
    const jitterText = softKey === 'rekey' ? valueAt(root, [...peer, section, 'jitter']) : undefined
    const jitter = jitterText === undefined ? undefined : parseDuration(String(jitterText))
    if (jitter !== undefined && soft !== undefined && jitter >= soft) {
      const message = `${jitterText} is not less than rekey (${softText})`
      found.push({ path: [...peer, section, 'jitter'], message, remedy: 'choose a tenth of it' })
    }
  }
  return found
}

function checkIdentities(root: unknown, peers: readonly PeerFacts[], faults: Finding[], warnings: Finding[]): void {
  const own = parsed(root, valueAt(root, ['id']) === undefined ? ['address'] : ['id'], identity)
  for (const [index, peer] of peers.entries()) {
    if (peer.id === undefined) continue
    const ours = peer.localId ?? own
    if (ours !== undefined && sameIdentity(ours.value, peer.id.value) && peer.address?.path !== peer.id.path) {
      const remedy = 'give the two gateways different identities'
      faults.push({ path: peer.id.path, message: 'both ends have this identity', remedy })
    }
    for (const other of peers.slice(0, index)) {
      if (other.id === undefined || !sameIdentity(other.id.value, peer.id.value)) continue
      const apart =
        peer.address !== undefined && other.address !== undefined && peer.address.value !== other.address.value
      const localApart =
        peer.localId !== undefined &&
        other.localId !== undefined &&
        !sameIdentity(peer.localId.value, other.localId.value)
      if (apart || localApart) {
        const message = `${other.name} has the same identity; the two are told apart by ${apart ? 'address' : 'our identity'} only`
        warnings.push({ path: peer.id.path, message, remedy: 'better give each an id of its own' })
      } else {
        const sharesAddress = peer.address !== undefined && peer.address.path === peer.id.path
        const what = sharesAddress ? 'address and identity' : 'identity'
        const message = `${other.name} has the same ${what}: nothing tells the two apart`
        faults.push({
          path: peer.id.path,
          message,
          remedy: 'give each an id of its own, or make them children of one peer',
        })
      }
    }
  }
}

function checkNetworks(root: unknown, peers: readonly PeerFacts[], faults: Finding[], warnings: Finding[]): void {
  const seen: { owner: string; value: Prefix }[] = prefixes(root, ['networks']).map(({ value }) => ({
    owner: 'this site',
    value,
  }))
  for (const peer of peers) {
    const outer = peer.address?.value
    for (const route of peer.routes) {
      if (outer !== undefined && prefixContains(route.value, outer)) {
        const message = `the peer's own address ${outer} lies in ${route.value}: the tunnel's packets would enter the tunnel`
        faults.push({ path: route.path, message, remedy: 'list narrower networks under routes' })
      }
      for (const other of seen) {
        if (other.owner === peer.name) continue
        const relation = relate(route.value, other.value)
        if (relation === 'same') {
          if (groupOfBoth(root, other.owner, peer.name) !== undefined) continue
          const remedy =
            other.owner === 'this site'
              ? 'renumber one side, or list only what lies at the peer'
              : 'leave it to one of the two, or make them a group: see groups in docs/config.md'
          faults.push({ path: route.path, message: `${route.value} is also a network of ${other.owner}`, remedy })
        } else if (relation !== undefined) {
          const [inner, outerPrefix] = relation === 'inside' ? [route.value, other.value] : [other.value, route.value]
          const goesTo = relation === 'inside' ? peer.name : other.owner
          const message = `${route.value} overlaps with ${other.value} of ${other.owner}: of ${outerPrefix}, the part ${inner} goes to ${goesTo}`
          warnings.push({ path: route.path, message, remedy: 'the longest prefix wins; if that is meant, all is well' })
        }
      }
    }
    seen.push(...peer.routes.map(({ value }) => ({ owner: peer.name, value })))
  }
}

function relate(left: Prefix, right: Prefix): 'same' | 'inside' | 'around' | undefined {
  if (left === right) return 'same'
  if (prefixContains(right, prefixRange(left).first) && prefixRange(left).bits > prefixRange(right).bits)
    return 'inside'
  return prefixContains(left, prefixRange(right).first) && prefixRange(left).bits < prefixRange(right).bits
    ? 'around'
    : undefined
}

function peerFacts(root: unknown, name: string): PeerFacts {
  const path: ConfigPath = ['peers', name]
  const address = parsed(root, [...path, 'address'], parseAddress)
  const hasId = valueAt(root, [...path, 'id']) !== undefined
  const addressId = address === undefined ? undefined : { value: identity(address.value)!, path: address.path }
  const byBgp = valueAt(root, [...path, 'routes']) === 'bgp'
  const listed = prefixes(root, [...path, 'routes'])
  const children = valueAt(root, [...path, 'children'])
  const ofChildren = isMapping(children)
    ? Object.keys(children).flatMap((child) => prefixes(root, [...path, 'children', child, 'remote']))
    : []
  const behind = [...prefixes(root, [...path, 'networks']), ...ofChildren]
  return {
    name,
    path,
    address,
    id: hasId ? parsed(root, [...path, 'id'], identity) : addressId,
    localId: parsed(root, [...path, 'local_id'], identity),
    routes: byBgp ? [] : listed.length > 0 ? listed : behind,
  }
}

function prefixes(root: unknown, path: ConfigPath): Located<Prefix>[] {
  return listAt(root, path).flatMap((_, index) => parsed(root, [...path, index], parsePrefix) ?? [])
}

function parsed<T>(root: unknown, path: ConfigPath, read: (text: string) => T | undefined): Located<T> | undefined {
  const raw = valueAt(root, path)
  const value = typeof raw === 'string' ? read(raw) : undefined
  return value === undefined ? undefined : { value, path }
}

function identity(text: string): Identity | undefined {
  const result = parseIdentity(text)
  return 'error' in result ? undefined : result
}
