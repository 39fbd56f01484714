import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Address, address, type Prefix, prefix } from '../../../protocol/net.ts'
import { blocksOf, type PrefixBlock, prefixesOf } from '../../../protocol/prefix-block.ts'
import type { RouteChanges } from '../../core/bgp/speaker-types.ts'
import type { ConnectorEvent } from '../../handle.ts'
import type { RouteFailure } from '../routes-linux.ts'
import { LearnedRoutes } from './learned-routes.ts'

const A = prefix('10.1.0.0/16')
const B = prefix('10.2.0.0/16')

/** Engines and kernel that take their time, and look whether a packet could ever fall between them. */
class Machine {
  readonly engine = new Map<Prefix, string>()
  readonly kernel = new Set<Prefix>()
  readonly events: ConnectorEvent[] = []
  readonly log: string[] = []
  broken = 0
  failing = false
  readonly #wait: () => Promise<void>

  constructor(wait: () => Promise<void> = async () => {}) {
    this.#wait = wait
  }

  readonly children = {
    learn: async ({ prefixes, tunnels: all }: RouteChanges): Promise<void> => {
      await this.#wait()
      if (this.failing) throw new Error('the table is full')
      for (const [index, each] of prefixesOf(prefixes).entries()) {
        const tunnels = all[index]!
        this.log.push(`engine ${each} ${tunnels.join(',')}`)
        if (tunnels.length === 0) this.engine.delete(each)
        else this.engine.set(each, tunnels.join(','))
      }
      this.#look()
    },
  }

  readonly kernelRoutes = {
    learn: async (routes: PrefixBlock): Promise<RouteFailure[]> => {
      await this.#wait()
      for (const each of prefixesOf(routes)) {
        this.log.push(`kernel + ${each}`)
        this.kernel.add(each)
      }
      this.#look()
      return []
    },
    unlearn: async (routes: PrefixBlock): Promise<void> => {
      await this.#wait()
      for (const each of prefixesOf(routes)) {
        this.log.push(`kernel - ${each}`)
        this.kernel.delete(each)
      }
      this.#look()
    },
  }

  #look(): void {
    for (const each of this.kernel) if (!this.engine.has(each)) this.broken++
  }

  make(cutOff: readonly Address[] = [], grace?: () => Promise<void>): LearnedRoutes {
    return new LearnedRoutes({
      ...(grace === undefined ? {} : { grace }),
      children: this.children,
      kernel: this.kernelRoutes,
      cutOff: async () => cutOff,
      emit: (event) => this.events.push(event),
    })
  }
}

async function settled(routes: LearnedRoutes): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    if (!routes.isBusy) return
    await new Promise(setImmediate)
  }
  throw new Error('it does not come to rest')
}

interface Change {
  readonly prefix: Prefix
  readonly tunnels: readonly string[]
}

function take(routes: LearnedRoutes, changes: readonly Change[]): void {
  const tunnelsOf = new Map(changes.map((each) => [each.prefix, each.tunnels]))
  for (const prefixes of blocksOf([...tunnelsOf.keys()])) {
    routes.take({ prefixes, tunnels: prefixesOf(prefixes).map((each) => tunnelsOf.get(each)!) })
  }
}

it('the engine comes first and goes last; a change of tunnels asks no kernel', async () => {
  const machine = new Machine()
  const routes = machine.make()
  take(routes, [{ prefix: A, tunnels: ['x'] }])
  await settled(routes)
  take(routes, [{ prefix: A, tunnels: ['y', 'x'] }])
  await settled(routes)
  take(routes, [{ prefix: A, tunnels: [] }])
  await settled(routes)
  expect(machine.log.filter((line) => !line.startsWith('kernel + ') || line === `kernel + ${A}`)).toEqual([
    `engine ${A} x`,
    `kernel + ${A}`,
    `engine ${A} y,x`,
    `kernel + ${A}`,
    `kernel - ${A}`,
    `engine ${A} `,
  ])
})

it('what an engine does not take is told once with a remedy, and the kernel does not hear of it', async () => {
  const machine = new Machine()
  const routes = machine.make()
  machine.failing = true
  take(routes, [
    { prefix: A, tunnels: ['x'] },
    { prefix: B, tunnels: ['x'] },
  ])
  await settled(routes)
  expect(machine.events).toMatchObject([{ type: 'warning', code: 'bgp-routes' }])
  expect(machine.kernel.size).toBe(0)
})

it('a default route that would take the tunnels’ own packets is not given to the kernel', async () => {
  const machine = new Machine()
  const routes = machine.make([address('198.51.100.7')])
  const six = prefix('::/0')
  take(
    routes,
    [prefix('0.0.0.0/0'), six, A].map((each) => ({ prefix: each, tunnels: ['x'] })),
  )
  await settled(routes)
  expect([...machine.kernel].sort()).toEqual([A, six])
  expect(machine.events).toMatchObject([{ code: 'route-loop' }])
})

it('at the end what was learned stays: nothing leaves in the clear while tunnels go down', async () => {
  const machine = new Machine()
  const routes = machine.make()
  take(routes, [{ prefix: A, tunnels: ['x'] }])
  await settled(routes)
  await routes.stop()
  take(routes, [{ prefix: A, tunnels: [] }])
  await settled(routes)
  expect([...machine.kernel]).toEqual([A])
})

it('whatever changes while others are under way, both have the last word, and no packet falls between', async () => {
  const change = fc.record({
    prefix: fc.constantFrom(A, B, prefix('10.3.0.0/16')),
    tunnels: fc.constantFrom<readonly string[]>([], ['x'], ['y'], ['x', 'y']),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(change, fc.nat(3)), { maxLength: 30 }),
      fc.scheduler(),
      async (steps, scheduler) => {
        const machine = new Machine(() => scheduler.schedule(Promise.resolve()))
        const routes = machine.make()
        const last = new Map<Prefix, string>()
        for (const [each, turns] of steps) {
          take(routes, [each])
          if (each.tunnels.length === 0) last.delete(each.prefix)
          else last.set(each.prefix, each.tunnels.join(','))
          for (let turn = 0; turn < turns && scheduler.count() > 0; turn++) await scheduler.waitOne()
        }
        for (let turn = 0; turn < 1_000 && routes.isBusy; turn++) {
          if (scheduler.count() > 0) await scheduler.waitOne()
          else await new Promise(setImmediate)
        }
        expect(routes.isBusy).toBe(false)
        expect(new Map([...machine.engine].sort())).toEqual(new Map([...last].sort()))
        expect([...machine.kernel].sort()).toEqual([...last.keys()].sort())
        expect(machine.broken).toBe(0)
      },
    ),
    { numRuns: 300 },
  )
})

it('what comes in the place of a prefix that is withdrawn is there before it goes', async () => {
  const machine = new Machine()
  let pass = () => {}
  const routes = machine.make([], () => new Promise((resolve) => (pass = resolve)))
  take(routes, [{ prefix: A, tunnels: ['x'] }])
  await settled(routes)
  machine.log.length = 0
  take(routes, [{ prefix: A, tunnels: [] }])
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  take(routes, [{ prefix: B, tunnels: ['x'] }])
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  pass()
  await settled(routes)
  expect(machine.log).toEqual([`engine ${B} x`, `kernel + ${B}`, `kernel - ${A}`, `engine ${A} `])
})

it('a table of many thousands that is withdrawn and told again meanwhile ends as it was told last', async () => {
  const machine = new Machine()
  const routes = machine.make()
  const many = Array.from({ length: 20_000 }, (_, i) => prefix(`10.${i >> 8}.${i & 255}.0/24`))
  const six = Array.from({ length: 3_000 }, (_, i) => prefix(`2001:db8:${i.toString(16)}::/48`))
  const tell = (prefixes: readonly Prefix[], ...tunnels: string[]) => {
    take(
      routes,
      prefixes.map((each) => ({ prefix: each, tunnels })),
    )
  }
  tell([...many, ...six], 'x')
  await new Promise(setImmediate)
  tell(many.slice(5_000), 'y', 'x')
  tell(six)
  await new Promise(setImmediate)
  tell(many.slice(0, 10_000))
  tell(six.slice(1_000), 'z')
  await settled(routes)
  expect(machine.engine.size).toBe(12_000)
  expect(new Set(many.slice(10_000).map((each) => machine.engine.get(each)))).toEqual(new Set(['y,x']))
  expect(new Set(six.slice(1_000).map((each) => machine.engine.get(each)))).toEqual(new Set(['z']))
  expect([...machine.kernel].sort()).toEqual([...machine.engine.keys()].sort())
  expect(routes.pending).toBe(0)
})
