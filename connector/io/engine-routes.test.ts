import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Prefix, prefix } from '../../protocol/net.ts'
import { blocksOf, prefixesOf } from '../../protocol/prefix-block.ts'
import type { Command } from '../data/commands.ts'
import { EngineRoutes } from './engine-routes.ts'

/** What an engine makes of the commands; it refuses what `refuses` says. */
class Engine {
  /** `1,2`, `1:3,2:1` where it is spread, or an answer. */
  readonly groups = new Map<number, string>()
  readonly routes = new Map<Prefix, number>()
  refuses: ((command: Command) => boolean) | undefined

  readonly tell = async (command: Command): Promise<void> => {
    if (this.refuses?.(command) === true) throw new Error('the table is full')
    if (command.type === 'group') {
      const { weights } = command
      const members = command.tunnels.map((tunnel, i) =>
        weights === undefined ? `${tunnel}` : `${tunnel}:${weights[i]}`,
      )
      this.groups.set(command.handle, members.join())
    } else if (command.type === 'refusal') this.groups.set(command.handle, command.answer)
    else if (command.type === 'routes')
      for (const each of prefixesOf(command.prefixes)) this.routes.set(each, command.group)
    else if (command.type === 'remove-routes') for (const each of prefixesOf(command.prefixes)) this.routes.delete(each)
  }

  /** `10.0.0.0/8 1,2` and so on, in order. */
  get table(): string[] {
    return [...this.routes].map(([each, group]) => `${each} ${this.groups.get(group)}`).sort()
  }
}

const A = prefix('10.1.0.0/16')
const B = prefix('10.2.0.0/16')
const C = prefix('10.3.0.0/16')

interface Learned {
  readonly prefix: Prefix
  readonly tunnels: readonly number[]
}

async function learn(routes: EngineRoutes, learned: readonly Learned[]): Promise<void> {
  const tunnelsOf = new Map(learned.map((each) => [each.prefix, each.tunnels]))
  for (const prefixes of blocksOf([...tunnelsOf.keys()])) {
    await routes.learn({ prefixes, tunnels: prefixesOf(prefixes).map((each) => tunnelsOf.get(each)!) })
  }
}

it('what is configured comes before what is learned, which waits and takes its place again', async () => {
  const engine = new Engine()
  const routes = new EngineRoutes(engine.tell)
  await learn(routes, [{ prefix: A, tunnels: [1, 2] }])
  await routes.set([{ tunnel: 3, routes: [A, B] }])
  expect(engine.table).toEqual([`${A} 3`, `${B} 3`])
  await learn(routes, [
    { prefix: A, tunnels: [2] },
    { prefix: B, tunnels: [1] },
  ])
  expect(engine.table).toEqual([`${A} 3`, `${B} 3`])
  await learn(routes, [{ prefix: B, tunnels: [] }])
  await routes.set([])
  expect(engine.table).toEqual([`${A} 2`])
  expect([...routes.entries()]).toEqual([{ prefix: A, tunnels: [2], learned: true }])
})

it('what an engine would not take is told, and tried again by the next call', async () => {
  const engine = new Engine()
  const routes = new EngineRoutes(engine.tell)
  await routes.set([{ tunnel: 1, routes: [A] }])
  engine.refuses = ({ type }) => type === 'remove-routes' || type === 'routes'
  await expect(routes.set([{ tunnel: 1, routes: [B] }])).rejects.toThrow('the table is full')
  expect(engine.table).toEqual([`${A} 1`])
  engine.refuses = undefined
  await routes.set([{ tunnel: 1, routes: [B] }])
  expect(engine.table).toEqual([`${B} 1`])
})

it('refuses a prefix only while nothing leads there', async () => {
  const engine = new Engine()
  const routes = new EngineRoutes(engine.tell)
  await routes.setRefusals([
    { prefix: A, answer: 'unreachable' },
    { prefix: B, answer: 'blackhole' },
  ])
  expect(engine.table).toEqual([`${A} unreachable`, `${B} blackhole`])
  await learn(routes, [{ prefix: A, tunnels: [1] }])
  await routes.set([{ tunnel: 2, routes: [B] }])
  expect(engine.table).toEqual([`${A} 1`, `${B} 2`])
  await routes.set([])
  await learn(routes, [{ prefix: A, tunnels: [] }])
  expect([...routes.entries()]).toEqual([
    { prefix: A, tunnels: [], learned: false, refused: 'unreachable' },
    { prefix: B, tunnels: [], learned: false, refused: 'blackhole' },
  ])
  await routes.setRefusals([{ prefix: A, answer: 'prohibited' }])
  expect(engine.table).toEqual([`${A} prohibited`])
})

it('spreads flows where all tunnels of a group are of one spread, and tells only groups that change', async () => {
  const engine = new Engine()
  const routes = new EngineRoutes(engine.tell)
  const spread = new Map([
    [1, 3],
    [2, 1],
  ])
  await routes.setSpreads([spread])
  await routes.set([
    { tunnel: 1, routes: [A, B, C] },
    { tunnel: 2, routes: [A, B] },
    { tunnel: 3, routes: [B] },
  ])
  expect(engine.table).toEqual([`${A} 1:3,2:1`, `${B} 1,2,3`, `${C} 1`])
  const told: Command[] = []
  const { tell } = engine
  const watched = new EngineRoutes(async (command) => {
    told.push(command)
    await tell(command)
  })
  await watched.set([
    { tunnel: 1, routes: [A, C] },
    { tunnel: 2, routes: [A] },
  ])
  told.length = 0
  await watched.setSpreads([new Map([...spread, [2, 2]])])
  expect(told).toMatchObject([{ type: 'group', tunnels: [1, 2], weights: [3, 2] }])
  await watched.setSpreads([])
  expect(told[1]).not.toHaveProperty('weights')
})

it('our own networks lead to no tunnel, whatever else is configured, learned or refused', async () => {
  const engine = new Engine()
  const routes = new EngineRoutes(engine.tell)
  await routes.set([{ tunnel: 1, routes: [A, B] }])
  await learn(routes, [{ prefix: C, tunnels: [2] }])
  await routes.setNetworks([A, C, prefix('0.0.0.0/0'), prefix('::/0')])
  await routes.setRefusals([{ prefix: A, answer: 'blackhole' }])
  expect(engine.table).toEqual([`${A} `, `${B} 1`, `${C} `])
  expect(routes.find(A)).toEqual({ prefix: A, tunnels: [], learned: false, local: true })
  expect([...routes.groups()]).toEqual([{ tunnels: [1], prefixes: 1 }])
  // What we originate ourselves is learned to lead nowhere.
  await learn(routes, [{ prefix: C, tunnels: [] }])
  await routes.set([{ tunnel: 3, routes: [A, B] }])
  expect(engine.table).toEqual([`${A} `, `${B} 3`, `${C} `])
  await routes.setNetworks([B])
  expect(engine.table).toEqual([`${A} 3`, `${B} `])
  await routes.set([])
  expect(engine.table).toEqual([`${A} blackhole`, `${B} `])
})

const somePrefix = fc.constantFrom(...['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16', '2001:db8::/48'].map(prefix))
const someTunnels = fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { maxLength: 3 })
const configured = fc.array(fc.record({ tunnel: fc.integer({ min: 1, max: 3 }), routes: fc.array(somePrefix) }))
const learned = fc.uniqueArray(fc.record({ prefix: somePrefix, tunnels: someTunnels }), {
  selector: (change) => change.prefix,
})

const refusals = fc.uniqueArray(
  fc.record({ prefix: somePrefix, answer: fc.constantFrom('unreachable', 'prohibited', 'blackhole') }),
  { selector: (refusal) => refusal.prefix },
)

it('after any sequence the engine has what is wanted, and no more groups than lead anywhere', async () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ set: configured }),
      fc.record({ learn: learned }),
      fc.record({ refuse: refusals }),
      fc.record({ own: fc.uniqueArray(somePrefix) }),
    ),
    { maxLength: 12 },
  )
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const engine = new Engine()
      const routes = new EngineRoutes(engine.tell)
      const known = new Map<Prefix, readonly number[]>()
      let wanted = new Map<Prefix, number[]>()
      let refused = new Map<Prefix, string>()
      let own = new Map<Prefix, string>()
      for (const step of sequence) {
        if ('set' in step) {
          await routes.set(step.set)
          wanted = new Map()
          for (const hop of step.set) {
            for (const each of hop.routes) wanted.set(each, [...new Set([...(wanted.get(each) ?? []), hop.tunnel])])
          }
        } else if ('own' in step) {
          await routes.setNetworks(step.own)
          own = new Map(step.own.map((each) => [each, '']))
        } else if ('refuse' in step) {
          await routes.setRefusals(step.refuse)
          refused = new Map(step.refuse.map((each) => [each.prefix, each.answer]))
        } else {
          await learn(routes, step.learn)
          for (const change of step.learn) {
            if (change.tunnels.length === 0) known.delete(change.prefix)
            else known.set(change.prefix, change.tunnels)
          }
        }
        const expected = new Map<Prefix, unknown>([...refused, ...known, ...wanted, ...own])
        expect(engine.table).toEqual([...expected].map(([each, leads]) => `${each} ${leads}`).sort())
        expect(routes.size).toBe(expected.size)
      }
      // Handles are reused: as many as there were groups at once.
      expect(Math.max(0, ...engine.groups.keys())).toBeLessThanOrEqual(8)
    }),
  )
})

it('a tunnel that goes is in no learned route, whether it leads or waits', async () => {
  const engine = new Engine()
  const routes = new EngineRoutes(engine.tell)
  await routes.setRefusals([{ prefix: B, answer: 'unreachable' }])
  await learn(routes, [
    { prefix: A, tunnels: [1, 2] },
    { prefix: B, tunnels: [2] },
    { prefix: C, tunnels: [2, 3] },
  ])
  await routes.set([{ tunnel: 4, routes: [C] }])
  await routes.forgetTunnel(2)
  expect(engine.table).toEqual([`${A} 1`, `${B} unreachable`, `${C} 4`])
  await routes.set([])
  expect(engine.table).toEqual([`${A} 1`, `${B} unreachable`, `${C} 3`])
})
