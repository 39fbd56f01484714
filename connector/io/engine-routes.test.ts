import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Prefix, prefix } from '../../protocol/net.ts'
import type { Command } from '../data/commands.ts'
import { EngineRoutes } from './engine-routes.ts'

/** What an engine makes of the commands; it refuses what `refuses` says. */
class Engine {
  readonly groups = new Map<number, readonly number[]>()
  readonly routes = new Map<Prefix, number>()
  refuses: ((command: Command) => boolean) | undefined

  readonly tell = async (command: Command): Promise<void> => {
    if (this.refuses?.(command) === true) throw new Error('the table is full')
    if (command.type === 'group') this.groups.set(command.handle, command.tunnels)
    else if (command.type === 'routes') for (const each of command.prefixes) this.routes.set(each, command.group)
    else if (command.type === 'remove-routes') for (const each of command.prefixes) this.routes.delete(each)
  }

  /** `10.0.0.0/8 1,2` and so on, in order. */
  get table(): string[] {
    return [...this.routes].map(([each, group]) => `${each} ${this.groups.get(group)!.join(',')}`).sort()
  }
}

const A = prefix('10.1.0.0/16')
const B = prefix('10.2.0.0/16')

it('what is configured comes before what is learned, which waits and takes its place again', async () => {
  const engine = new Engine()
  const routes = new EngineRoutes(engine.tell)
  await routes.learn([{ prefix: A, tunnels: [1, 2] }])
  await routes.set([{ tunnel: 3, routes: [A, B] }])
  expect(engine.table).toEqual([`${A} 3`, `${B} 3`])
  await routes.learn([
    { prefix: A, tunnels: [2] },
    { prefix: B, tunnels: [1] },
  ])
  expect(engine.table).toEqual([`${A} 3`, `${B} 3`])
  await routes.learn([{ prefix: B, tunnels: [] }])
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

const somePrefix = fc.constantFrom(...['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16', '2001:db8::/48'].map(prefix))
const someTunnels = fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { maxLength: 3 })
const configured = fc.array(fc.record({ tunnel: fc.integer({ min: 1, max: 3 }), routes: fc.array(somePrefix) }))
const learned = fc.uniqueArray(fc.record({ prefix: somePrefix, tunnels: someTunnels }), {
  selector: (change) => change.prefix,
})

it('after any sequence the engine has what is wanted, and no more groups than lead anywhere', async () => {
  const steps = fc.array(fc.oneof(fc.record({ set: configured }), fc.record({ learn: learned })), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const engine = new Engine()
      const routes = new EngineRoutes(engine.tell)
      const known = new Map<Prefix, readonly number[]>()
      let wanted = new Map<Prefix, number[]>()
      for (const step of sequence) {
        if ('set' in step) {
          await routes.set(step.set)
          wanted = new Map()
          for (const hop of step.set) {
            for (const each of hop.routes) wanted.set(each, [...new Set([...(wanted.get(each) ?? []), hop.tunnel])])
          }
        } else {
          await routes.learn(step.learn)
          for (const change of step.learn) {
            if (change.tunnels.length === 0) known.delete(change.prefix)
            else known.set(change.prefix, change.tunnels)
          }
        }
        const expected = new Map<Prefix, readonly number[]>([...known, ...wanted])
        expect(engine.table).toEqual([...expected].map(([each, tunnels]) => `${each} ${tunnels.join(',')}`).sort())
        expect(routes.size).toBe(expected.size)
      }
      // Handles are reused: as many as there were groups at once.
      expect(Math.max(0, ...engine.groups.keys())).toBeLessThanOrEqual(8)
    }),
  )
})
