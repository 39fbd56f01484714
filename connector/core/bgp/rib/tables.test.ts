import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { address, type Family, parsePrefix } from '../../../../protocol/net.ts'
import { blockOf, prefixesOf } from '../wire/prefixes.ts'
import type { PathAttributes } from '../wire/types.ts'
import { NextHops, UNREACHABLE } from './next-hops.ts'
import { AttributePacker, hashPacked, unpack } from './packed.ts'
import { NO_PATH, Paths } from './paths.ts'
import { PrefixTable } from './prefix-table.ts'
import { NO_ROUTE, Routes } from './routes.ts'

describe('the table of prefixes', () => {
  test.each([4, 6] as const)('is a map, over random histories (IPv%i)', (family) => {
    const step = fc.record({ value: fc.nat(400), length: fc.constantFrom(0, 8, 16, 24, 32), remove: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600 }), fc.integer(), (steps, seed) => {
        const table = new PrefixTable(family, seed)
        const model = new Map<string, number>()
        for (const { value, length, remove } of steps) {
          const block = blockOf(family, [prefixOf(family, value, length)])
          const key = prefixesOf(block)[0]!
          expect(table.find(block, 0)).toBe(model.get(key) ?? -1)
          if (remove) {
            table.remove(table.find(block, 0))
            model.delete(key)
          } else model.set(key, table.insert(block, 0))
        }
        expect(table.size).toBe(model.size)
        expect(new Set(model.values()).size).toBe(model.size)
        for (const [key, pid] of model) expect(prefixesOf(table.block([pid]))).toEqual([key])
      }),
      { numRuns: 50 },
    )
  })

  test('grows past its first size and keeps every number', () => {
    const table = new PrefixTable(4, 7)
    const all = Array.from({ length: 10_000 }, (_, i) => parsePrefix(`10.${i >> 8}.${i & 255}.0/24`)!)
    const block = blockOf(4, all)
    const pids = all.map((_, index) => table.insert(block, index))
    expect(pids).toEqual(all.map((_, index) => index))
    expect(all.map((_, index) => table.find(block, index))).toEqual(pids)
    for (const pid of pids.filter((pid) => pid % 3 === 0)) table.remove(pid)
    expect(all.map((_, index) => table.find(block, index))).toEqual(pids.map((pid) => (pid % 3 === 0 ? -1 : pid)))
    expect(table.insert(blockOf(4, [parsePrefix('192.0.2.0/24')!]), 0)).toBeLessThan(10_000)
  })
})

describe('attribute sets', () => {
  test('packed and unpacked are the same, and only equal ones are packed equally', () => {
    const packer = new AttributePacker()
    fc.assert(
      fc.property(attributeSets(), attributeSets(), (one, other) => {
        const packed = packer.pack(one)
        expect(unpack(packed)).toEqual(one)
        expect(packer.pack(structuredClone(one)) === packed).toBe(true)
        expect(packer.pack(other) === packed).toBe(text(one) === text(other))
      }),
    )
  })

  test('of any size that a message has', () => {
    const asns = Array.from({ length: 16_000 }, (_, i) => 4_294_967_295 - i)
    const large: PathAttributes = { origin: 2, asPath: [{ type: 'set', asns }], communities: asns.toReversed() }
    expect(unpack(new AttributePacker().pack(large))).toEqual(large)
  })

  test('differ in their hash, mostly, and with the seed', () => {
    const packer = new AttributePacker()
    const all = Array.from({ length: 5_000 }, (_, med) => packer.pack({ origin: 0, asPath: [], med }))
    expect(new Set(all.map((packed) => hashPacked(1, packed))).size).toBeGreaterThan(4_990)
    expect(hashPacked(1, all[0]!)).not.toBe(hashPacked(2, all[0]!))
  })

  test('are kept once, counted, and gone with their last use, over random histories', () => {
    const sets = fc.array(attributeSets(), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(sets, fc.array(fc.tuple(fc.nat(11), fc.boolean()), { maxLength: 400 }), (pool, steps) => {
        const paths = new Paths(new NextHops(() => 1), 3)
        const held = new Map<string, { path: number; uses: number }>()
        for (const [index, release] of steps) {
          const attributes = structuredClone(pool[index % pool.length]!)
          const known = held.get(text(attributes))
          if (release) {
            if (known === undefined) continue
            paths.release(known.path)
            if (--known.uses === 0) held.delete(text(attributes))
          } else {
            const path = paths.intern(attributes, { address: address('192.0.2.1') })
            if (known !== undefined) expect(path).toBe(known.path)
            held.set(text(attributes), { path, uses: (known?.uses ?? 0) + 1 })
          }
        }
        expect(paths.size).toBe(held.size)
        for (const [key, { path }] of held) expect(text(paths.attributes(path))).toBe(key)
      }),
      { numRuns: 60 },
    )
  })

  test('carry what the decision looks at', () => {
    const paths = new Paths(new NextHops(() => 1), 0)
    const hop = { address: address('192.0.2.1') }
    const path = paths.intern(
      {
        origin: 2,
        asPath: [
          { type: 'sequence', asns: [4200000001, 1] },
          { type: 'set', asns: [5, 6, 7] },
        ],
        med: 4294967295,
        clusterList: [1, 2],
        originatorId: 9,
      },
      hop,
    )
    expect(path).not.toBe(NO_PATH)
    expect([paths.asPathLength[path], paths.neighbourAs[path], paths.origin[path]]).toEqual([3, 4200000001, 2])
    expect([paths.med[path], paths.hasMed[path], paths.localPref[path]]).toEqual([4294967295, 1, 100])
    expect([paths.clusterLength[path], paths.originatorId[path]]).toEqual([2, 9])
    const aggregate = paths.intern({ origin: 0, asPath: [{ type: 'set', asns: [5] }], localPref: 7 }, hop)
    expect([paths.neighbourAs[aggregate], paths.localPref[aggregate]]).toEqual([0, 7])
  })

  test('with another next hop are another path', () => {
    const paths = new Paths(new NextHops(() => 1), 0)
    const attributes: PathAttributes = { origin: 0, asPath: [] }
    const all = ['192.0.2.1', '192.0.2.2'].map((text) => paths.intern(attributes, { address: address(text) }))
    const local = { address: address('2001:db8::1'), linkLocal: address('fe80::1') }
    all.push(paths.intern(attributes, local), paths.intern(attributes, { address: local.address }))
    expect(new Set(all).size).toBe(4)
    expect(paths.nextHop(all[2]!)).toEqual(local)
  })
})

describe('next hops', () => {
  test('are asked for once, and again when something changed', () => {
    const costs = new Map([['192.0.2.1', 5]])
    const hops = new NextHops((hop) => costs.get(hop))
    const one = hops.intern({ address: address('192.0.2.1') })
    const two = hops.intern({ address: address('192.0.2.2') })
    expect([hops.cost(one), hops.cost(two)]).toEqual([5, UNREACHABLE])
    costs.set('192.0.2.2', 0)
    expect([...hops.refresh().changed]).toEqual([two])
    expect(hops.cost(two)).toBe(0)
    hops.release(two)
    costs.clear()
    expect([...hops.refresh().changed]).toEqual([one])
  })
})

describe('chains of routes', () => {
  test('are a map from prefix and neighbour, over random histories', () => {
    const step = fc.record({ pid: fc.nat(5), neighbour: fc.nat(5), remove: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const routes = new Routes()
        const model = new Map<string, number>()
        for (const { pid, neighbour, remove } of steps) {
          const key = `${pid} ${neighbour}`
          const route = routes.find(pid, neighbour)
          expect(route).toBe(model.get(key) ?? NO_ROUTE)
          if (remove && route !== NO_ROUTE) {
            routes.remove(pid, route)
            model.delete(key)
          } else if (!remove && route === NO_ROUTE) model.set(key, routes.add(pid, neighbour))
        }
        expect(routes.size).toBe(model.size)
      }),
    )
  })
})

function prefixOf(family: Family, value: number, length: number) {
  if (family === 4) return parsePrefix(`10.${value >> 8}.${value & 255}.0/${length}`)!
  return parsePrefix(`2001:db8:${value.toString(16)}::/${length * 2}`)!
}

function text(attributes: PathAttributes): string {
  const sorted = Object.entries(attributes).sort(([one], [other]) => (one < other ? -1 : 1))
  return JSON.stringify(sorted, (_, value) => (value instanceof Uint8Array ? [...value] : value))
}

function attributeSets(): fc.Arbitrary<PathAttributes> {
  const u32 = fc.constantFrom(0, 1, 65001, 4200000001)
  const numbers = fc.array(u32, { maxLength: 3 })
  const bytes = fc.uint8Array({ minLength: 2, maxLength: 2 })
  const segment = fc.record({ type: fc.constantFrom('sequence' as const, 'set' as const), asns: numbers })
  return fc.record(
    {
      origin: fc.nat(2),
      asPath: fc.array(segment, { maxLength: 2 }),
      med: u32,
      localPref: u32,
      atomicAggregate: fc.constant(true as const),
      aggregator: fc.record({ asn: u32, routerId: u32 }),
      communities: numbers,
      extendedCommunities: fc.array(bytes, { maxLength: 2 }),
      largeCommunities: fc.array(fc.tuple(u32, u32, u32), { maxLength: 2 }),
      originatorId: u32,
      clusterList: numbers,
      onlyToCustomer: u32,
      unknown: fc.array(fc.record({ flags: fc.nat(1), type: fc.nat(1), value: bytes }), { maxLength: 2 }),
    },
    { requiredKeys: ['origin', 'asPath'] },
  )
}
