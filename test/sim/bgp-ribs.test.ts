/** RIBs of many ASes that tell one another, over links that delay and fail, on a virtual clock, from seeds. */
import { describe, expect, test } from 'vitest'
import { compilePolicies, isPolicies } from '../../connector/core/bgp/rib/policy.ts'
import { Rib } from '../../connector/core/bgp/rib/rib.ts'
import type { RibEffect, RibInput } from '../../connector/core/bgp/rib/types.ts'
import { prefixesOf } from '../../connector/core/bgp/wire/prefixes.ts'
import type { Role, UpdateMessage } from '../../connector/core/bgp/wire/types.ts'
import { type Address, address, type Prefix, prefix } from '../../protocol/net.ts'
import { SeededRandom } from './random.ts'
import { Timeline } from './timeline.ts'

const ASES = 12
const SEEDS = Array.from({ length: 40 }, (_, i) => i + 1)

describe('a network of RIBs', () => {
  test('finds ways around links that fail: no loop, no hole, nothing left of what is gone', () => {
    for (const seed of SEEDS) {
      const net = new Net(seed)
      net.meshed()
      net.settle()
      net.check(seed)
      for (let round = 0; round < 6; round++) {
        net.toggleSome()
        net.settle()
        net.check(seed)
      }
      for (const node of net.nodes) node.give({ kind: 'withdraw', prefixes: [node.own] })
      net.settle()
      expect([seed, ...net.nodes.map(({ rib }) => rib.size(4))]).toEqual([seed, ...net.nodes.map(() => 0)])
    }
  })

  test('with roles, what came from a provider or a peer is told to customers only (RFC 9234)', () => {
    let told = 0
    for (const seed of SEEDS) {
      const net = new Net(seed)
      net.hierarchy()
      net.settle()
      for (const node of net.nodes) {
        for (const path of node.pathsOfBest()) {
          told++
          expect([seed, path, net.isValleyFree([node.asn, ...path])]).toEqual([seed, path, true])
        }
      }
    }
    expect(told).toBeGreaterThan(1_000)
  })

  test('without roles in the same network there are leaks, so that the test above can see some', () => {
    const leaks = SEEDS.flatMap((seed) => {
      const net = new Net(seed)
      net.hierarchy(false)
      net.settle()
      return net.nodes.flatMap((node) => node.pathsOfBest().filter((path) => !net.isValleyFree([node.asn, ...path])))
    })
    expect(leaks.length).toBeGreaterThan(100)
  })

  test('a planned drain moves the traffic before the link goes (RFC 8326)', () => {
    // 0 reaches 3 by 1 or 2; 1 is preferred by its router's number.
    const net = new Net(1, 4)
    for (const [one, other] of [
      [0, 1],
      [1, 3],
      [0, 2],
      [2, 3],
    ] as const)
      net.link(one, other)
    net.settle()
    const [source, first, , last] = net.nodes
    expect(source!.nextAs(last!.own)).toBe(first!.asn)
    first!.give({ kind: 'graceful-shutdown', neighbour: `as${source!.asn}`, active: true })
    net.settle()
    expect(source!.nextAs(last!.own)).toBe(net.nodes[2]!.asn)
    source!.holes = 0
    net.cut(0, 1)
    net.settle()
    expect([source!.nextAs(last!.own), source!.holes]).toEqual([net.nodes[2]!.asn, 0])
  })
})

interface Link {
  readonly ends: readonly [number, number]
  readonly roles: readonly [Role | undefined, Role | undefined]
  up: boolean
  /** Counts sessions: what was on its way when one ended is lost. */
  session: number
}

class Node {
  readonly rib: Rib
  readonly asn: number
  readonly own: Prefix
  readonly forwarding = new Map<Prefix, string>()
  /** Prefixes that lost their way, for however short a time. */
  holes = 0
  readonly #net: Net

  constructor(net: Net, index: number) {
    this.#net = net
    this.asn = 64_512 + index
    this.own = prefix(`10.${index}.0.0/16`)
    const policies = compilePolicies({ policies: { all: { rules: [], otherwise: 'accept' } } })
    if (!isPolicies(policies)) throw new Error('impossible')
    this.rib = new Rib({
      localAs: this.asn,
      routerId: index + 1,
      ownAddresses: [addressOf(index)],
      resolve: () => 1,
      policies,
      hashSeed: index,
      slice: 5,
    })
    this.give({ kind: 'originate', prefixes: [this.own] })
  }

  give(input: RibInput): void {
    this.rib.handle(input, this.#net.timeline.now)
    for (let effect = this.rib.poll(); effect !== undefined; effect = this.rib.poll()) this.#take(effect)
  }

  /** The AS that packets for the prefix go to. */
  nextAs(to: Prefix): number | undefined {
    const next = this.forwarding.get(to)
    return next === undefined || next === 'local' ? undefined : Number(next.slice(2))
  }

  /** The AS paths of what is in use and not our own. */
  pathsOfBest(): number[][] {
    return [...this.forwarding.keys()].flatMap((to) => {
      const [best] = this.rib.explain(to)!.candidates
      return best!.neighbour === 'local' ? [] : [best!.attributes.asPath.flatMap(({ asns }) => asns)]
    })
  }

  #take(effect: RibEffect): void {
    if (effect.kind === 'routes') {
      for (const [i, changed] of prefixesOf(effect.prefixes).entries()) {
        const [hop] = effect.nextHops[i]!
        if (hop !== undefined) this.forwarding.set(changed, hop.neighbour)
        else if (this.forwarding.delete(changed)) this.holes++
      }
    }
    const empty: UpdateMessage = { type: 'UPDATE', withdrawn: [], reach: [], faults: [] }
    if (effect.kind === 'withdraw') {
      this.#net.carry(this, effect.neighbour, { ...empty, withdrawn: [effect.prefixes] })
    } else if (effect.kind === 'advertise') {
      const { nextHop, prefixes, attributes } = effect
      this.#net.carry(this, effect.neighbour, { ...empty, reach: [{ nextHop, prefixes }], attributes })
    }
  }
}

class Net {
  readonly timeline = new Timeline()
  readonly nodes: Node[]
  readonly #random: SeededRandom
  readonly #links: Link[] = []
  /** When the last message of each direction arrives: a session keeps order. */
  readonly #arrival = new Map<string, number>()

  constructor(seed: number, ases = ASES) {
    this.#random = new SeededRandom(seed)
    this.nodes = Array.from({ length: ases }, (_, index) => new Node(this, index))
  }

  /** A ring, and as many links across. */
  meshed(): void {
    for (let i = 0; i < ASES; i++) this.link(i, (i + 1) % ASES)
    for (let i = 0; i < ASES; i++) {
      const other = this.#random.u32() % ASES
      if (other !== i && this.#find(i, other) === undefined) this.link(i, other)
    }
  }

  /** Three at the top are peers; each other has one or two providers above, and now and then a peer. */
  hierarchy(roles = true): void {
    const of = (role: Role) => (roles ? role : undefined)
    for (const [one, other] of [
      [0, 1],
      [1, 2],
      [0, 2],
    ] as const)
      this.link(one, other, [of('peer'), of('peer')], 'peer')
    for (let i = 3; i < ASES; i++) {
      const above = new Set([this.#random.u32() % i, this.#random.u32() % i])
      for (const provider of above) this.link(provider, i, [of('provider'), of('customer')], 'provider')
      const beside = 3 + (this.#random.u32() % (i - 2))
      if (beside !== i && !above.has(beside)) this.link(beside, i, [of('peer'), of('peer')], 'peer')
    }
  }

  readonly #kinds = new Map<string, 'provider' | 'peer'>()

  link(one: number, other: number, roles: Link['roles'] = [undefined, undefined], kind?: 'provider' | 'peer'): void {
    const link: Link = { ends: [one, other], roles, up: false, session: 0 }
    this.#links.push(link)
    if (kind !== undefined) this.#kinds.set(`${one} ${other}`, kind)
    this.#bring(link)
  }

  cut(one: number, other: number): void {
    this.#cut(this.#find(one, other)!)
  }

  toggleSome(): void {
    for (const link of this.#links) {
      if (!this.#random.chance(0.3)) continue
      if (link.up) this.#cut(link)
      else this.#bring(link)
    }
  }

  carry(from: Node, to: string, update: UpdateMessage): void {
    const source = this.nodes.indexOf(from)
    const target = Number(to.slice(2)) - 64_512
    const link = this.#find(source, target)!
    const { session } = link
    const key = `${source} ${target}`
    const at = Math.max(this.#arrival.get(key) ?? 0, this.timeline.now + 5 + this.#random.fraction() * 100)
    this.#arrival.set(key, at)
    this.timeline.at(at, () => {
      if (link.session !== session) return
      this.nodes[target]!.give({ kind: 'update', neighbour: `as${from.asn}`, update })
    })
  }

  /** Until nobody has anything to do or to tell, which must come within a few simulated minutes. */
  settle(): void {
    for (let quiet = 0, rounds = 0; quiet < 3; rounds++) {
      if (rounds > 20_000) throw new Error('the network does not come to rest')
      let isBusy = false
      for (const [index, node] of this.nodes.entries()) {
        if (node.rib.hasWork) node.give({ kind: 'time' })
        for (const { ends, up } of this.#links) {
          if (!up || !ends.includes(index)) continue
          const neighbour = `as${64_512 + (ends[0] === index ? ends[1] : ends[0])}`
          if (!node.rib.hasNews(neighbour)) continue
          isBusy = true
          node.give({ kind: 'drain', neighbour, limit: 3 })
        }
        isBusy ||= node.rib.hasWork
      }
      this.timeline.runUntil(this.timeline.now + 50)
      quiet = isBusy ? 0 : quiet + 1
    }
  }

  /** Each AS reaches each other one that any chain of links leads to, without coming by anywhere twice; and no more. */
  check(seed: number): void {
    for (const [index, node] of this.nodes.entries()) {
      const reachable = this.#component(index)
      for (const [other, target] of this.nodes.entries()) {
        const way = this.#follow(index, target.own)
        expect([seed, index, other, way.at(-1) === other]).toEqual([seed, index, other, reachable.has(other)])
      }
      expect(node.rib.size(4)).toBe(reachable.size)
    }
  }

  /** Up through providers, at most once across, and down from then on. */
  isValleyFree(path: readonly number[]): boolean {
    // From the origin to us, as the route went.
    const hops = path.toReversed().map((asn) => asn - 64_512)
    let mayClimb = true
    for (let i = 1; i < hops.length; i++) {
      const [from, to] = [hops[i - 1]!, hops[i]!]
      if (this.#kinds.get(`${to} ${from}`) === 'provider') {
        if (!mayClimb) return false
      } else if (this.#kinds.get(`${from} ${to}`) === 'provider') mayClimb = false
      else {
        if (!mayClimb) return false
        mayClimb = false
      }
    }
    return true
  }

  #follow(from: number, to: Prefix): number[] {
    const way = [from]
    for (let node = this.nodes[from]!; node.forwarding.get(to) !== 'local'; ) {
      const next = node.nextAs(to)
      if (next === undefined) return []
      if (way.includes(next - 64_512)) throw new Error(`a loop to ${to}: ${way.join(' ')}`)
      way.push(next - 64_512)
      node = this.nodes[next - 64_512]!
    }
    return way
  }

  #component(from: number): Set<number> {
    const seen = new Set([from])
    for (const index of seen) {
      for (const { ends, up } of this.#links) if (up && ends.includes(index)) for (const end of ends) seen.add(end)
    }
    return seen
  }

  #find(one: number, other: number): Link | undefined {
    return this.#links.find(({ ends }) => ends.includes(one) && ends.includes(other))
  }

  #bring(link: Link): void {
    link.up = true
    link.session++
    for (const side of [0, 1] as const) {
      const [index, other] = [link.ends[side], link.ends[1 - side]!]
      const role = link.roles[side]
      const neighbour = `as${64_512 + other}`
      const node = this.nodes[index]!
      const all = { importPolicy: 'all', exportPolicy: 'all' }
      const config = { id: neighbour, peerAs: 64_512 + other, address: addressOf(other), ...all }
      node.give({ kind: 'neighbour', config: { ...config, ...(role === undefined ? {} : { role }) } })
      const nextHops = { 4: { address: addressOf(index) } }
      node.give({ kind: 'neighbour-up', neighbour, routerId: other + 1, families: [4], nextHops })
    }
  }

  #cut(link: Link): void {
    link.up = false
    link.session++
    for (const side of [0, 1] as const) {
      const neighbour = `as${64_512 + link.ends[1 - side]!}`
      this.nodes[link.ends[side]]!.give({ kind: 'neighbour-down', neighbour })
    }
  }
}

function addressOf(index: number): Address {
  return address(`192.168.${index}.1`)
}
