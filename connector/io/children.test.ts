import { describe, expect, it } from 'vitest'
import { address, prefix } from '../../protocol/net.ts'
import { prefixesOf } from '../../protocol/prefix-block.ts'
import type { ChildSaSpec, ConnectionConfig } from '../core/ike/types.ts'
import { type Answer, type ChildCounters, type Command, ROUTES_PER_COMMAND, type WireSocket } from '../data/commands.ts'
import type { PlannedConnection } from '../plan.ts'
import { Children } from './children.ts'

const LOCAL = { address: address('192.0.2.1'), port: 4500 }
const REMOTE = { address: address('192.0.2.2'), port: 4500 }
const SOCKETS: WireSocket[] = [
  { fd: 3, kind: 'ike', local: { ...LOCAL, port: 500 } },
  { fd: 4, kind: 'udp', local: { address: address('192.0.2.99'), port: 4500 } },
  { fd: 5, kind: 'udp', local: LOCAL },
]

function planned(name: string, routes: string[], children = ['one', 'two']): PlannedConnection {
  const ike = { name, children: children.map((child) => ({ name: child })) } as unknown as ConnectionConfig
  return { ike, routes: routes.map(prefix), pathMtu: 1500, clampMss: true, copyDscp: false }
}

function spec(id: number, child: string, connection = 'peer'): ChildSaSpec {
  const keys = (spi: number) => ({ spi, key: new Uint8Array(16).fill(7), salt: new Uint8Array(4).fill(8) })
  return {
    id,
    connection,
    child,
    resource: 0,
    suite: 'aes-128-gcm',
    esn: true,
    replayWindow: 64,
    local: [],
    remote: [],
    inbound: keys(1000 + id),
    outbound: keys(2000 + id),
    limits: { softPackets: 5 },
    encapsulation: 'udp',
    localAddress: LOCAL,
    remoteAddress: REMOTE,
  }
}

function counters(id: number, packetsIn: number): ChildCounters {
  const direction = { packets: packetsIn, bytes: packetsIn * 10, drops: packetsIn > 2 ? { replayed: 1 } : {} }
  return { id, inbound: direction, outbound: { packets: 1, bytes: 1, drops: {} } }
}

function bench(
  connections: PlannedConnection[],
  answer: (command: Command) => Answer = () => ({ innerMtu: 1400 }),
  workers = 1,
) {
  const commands: Command[] = []
  const told: { worker: number; command: Command }[] = []
  const call = async (worker: number, command: Command): Promise<Answer> => {
    commands.push(command)
    told.push({ worker, command })
    return answer(command)
  }
  const children = new Children(connections, Array(workers).fill(SOCKETS), call)
  const tunnels = (): (readonly number[])[] =>
    commands.flatMap((command) => (command.type === 'tunnel' ? [command.tunnel.children] : []))
  return { children, commands, told, tunnels }
}

describe('Child SAs in the engine', () => {
  it('groups prefixes by the connections that they may take', async () => {
    const { children, commands } = bench([
      planned('a', ['10.1.0.0/16', '10.9.0.0/16']),
      planned('b', ['10.2.0.0/16', '10.9.0.0/16']),
      planned(
        'c',
        ['10.1.0.0/16'].map((route) => route.replace('10.1', '10.3')),
      ),
    ])
    await children.configure()
    const groups = commands.filter((command) => command.type === 'group')
    const tunnelsOf = (route: string): readonly number[] | undefined => {
      const set = commands.find(
        (command) => command.type === 'routes' && prefixesOf(command.prefixes).includes(prefix(route)),
      )
      return groups.find(({ handle }) => set?.type === 'routes' && handle === set.group)?.tunnels
    }
    expect(tunnelsOf('10.1.0.0/16')).toEqual([0])
    expect(tunnelsOf('10.2.0.0/16')).toEqual([1])
    expect(tunnelsOf('10.3.0.0/16')).toEqual([2])
    expect(tunnelsOf('10.9.0.0/16')).toEqual([0, 1])
    expect(groups).toHaveLength(4)
  })

  it('hands over many routes in commands of a bounded size, each route once', async () => {
    const routes = Array.from({ length: 2 * ROUTES_PER_COMMAND + 1 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`)
    const { children, commands } = bench([planned('peer', routes)])
    await children.configure()
    const sent = commands.flatMap((command) => (command.type === 'routes' ? [prefixesOf(command.prefixes)] : []))
    expect(sent.map((prefixes) => prefixes.length)).toEqual([ROUTES_PER_COMMAND, ROUTES_PER_COMMAND, 1])
    expect(sent.flat()).toEqual(routes)
  })

  it('installs by the socket of the local address, and wipes the keys that it was given', async () => {
    const { children, commands } = bench([planned('peer', [])])
    const sa = spec(1, 'one')
    await children.install(sa)
    expect(sa.inbound.key).toEqual(new Uint8Array(16))
    expect(sa.outbound.salt).toEqual(new Uint8Array(4))
    expect(commands).toMatchObject([
      {
        type: 'install-child',
        child: {
          id: 1,
          socket: 2,
          remote: REMOTE,
          inbound: { spi: 1001, key: new Uint8Array(16).fill(7), replayWindow: 64, tunnel: 0, esn: true },
          outbound: { spi: 2001, salt: new Uint8Array(4).fill(8), softPackets: 5 },
        },
      },
    ])
    await expect(children.install(spec(2, 'one', 'nobody'))).rejects.toThrow('no connection nobody')
    await expect(children.install({ ...spec(3, 'one'), encapsulation: 'esp' })).rejects.toThrow('no socket for esp')
  })

  it('keeps the order of the configuration whatever is promoted when', async () => {
    const { children, tunnels } = bench([planned('peer', [])])
    for (const [id, name] of [
      [1, 'two'],
      [2, 'one'],
      [3, 'two'],
    ] as const) {
      await children.install(spec(id, name))
      await children.promote(id)
    }
    expect(tunnels()).toEqual([[1], [2, 1], [2, 3]])
  })

  it('falls back to the SA before when the newest goes, and to none when all are gone', async () => {
    const { children, tunnels, commands } = bench([planned('peer', [])])
    for (const id of [1, 2]) {
      await children.install(spec(id, 'one'))
      await children.promote(id)
    }
    await children.remove(2)
    await children.remove(1)
    expect(tunnels()).toEqual([[1], [2], [1], []])
    const order = commands.slice(-2).map(({ type }) => type)
    expect(order).toEqual(['tunnel', 'remove-child'])
    await children.promote(77)
    await children.remove(77)
    await children.move(77, REMOTE)
    expect(commands).toHaveLength(8)
  })

  it('are each with the worker of its resource, as is what is told of it', async () => {
    const { children, told } = bench([planned('peer', ['10.1.0.0/16'], ['net'])], undefined, 2)
    await children.configure()
    for (const type of ['tunnel', 'group', 'routes']) {
      expect(told.filter(({ command }) => command.type === type).map(({ worker }) => worker)).toEqual([0, 1])
    }
    told.length = 0
    await children.install({ ...spec(1, 'net'), resource: 1 })
    await children.move(1, REMOTE)
    await children.remove(1)
    expect(told.map(({ worker, command }) => [worker, command.type])).toEqual([
      [1, 'install-child'],
      [1, 'move-child'],
      [1, 'remove-child'],
    ])
  })

  it('are sent on by their worker, and fed by those that have none', async () => {
    const { children, told } = bench([planned('peer', [], ['net'])], undefined, 3)
    await children.configure()
    told.length = 0
    for (const [id, resource] of [
      [1, 0],
      [2, 1],
      [3, 0],
    ] as const) {
      await children.install({ ...spec(id, 'net'), resource })
      await children.promote(id)
    }
    await children.remove(3)
    const shares = told.flatMap(({ worker, command }) => {
      return command.type === 'tunnel' ? [[worker, command.tunnel.children, command.tunnel.handOver]] : []
    })
    expect(shares).toEqual([
      [0, [1], undefined],
      [1, [], 0],
      [2, [], 0],
      [1, [2], undefined],
      [0, [3], undefined],
      [0, [1], undefined],
    ])
  })

  it('sends on no SA of a resource that was demoted, not even on the one before', async () => {
    const { children, told } = bench([planned('peer', [], ['net'])], undefined, 2)
    await children.configure()
    for (const [id, resource] of [
      [1, 0],
      [2, 1],
      [3, 1],
    ] as const) {
      await children.install({ ...spec(id, 'net'), resource })
      await children.promote(id)
    }
    await children.demote(3)
    expect(told.at(-1)).toMatchObject({ worker: 1, command: { tunnel: { children: [], handOver: 0 } } })
  })

  it('are counted for their worker, also when they are gone', async () => {
    const answer = (command: Command): Answer => (command.type === 'remove-child' ? { counters: counters(2, 2) } : {})
    const { children } = bench([planned('peer', [], ['net'])], answer, 2)
    await children.install(spec(1, 'net'))
    for (const id of [2, 3]) await children.install({ ...spec(id, 'net'), resource: 1 })
    children.update({ children: [counters(1, 5), counters(2, 1), counters(3, 1)], drops: {}, segmentsRefused: 0 })
    await children.remove(2)
    expect(children.totals().map(({ inbound }) => inbound.packets)).toEqual([5, 3])
    expect(children.total('peer').inbound.packets).toBe(8)
  })

  it('keep what is missing when they are gone, for their peer and their worker', async () => {
    const missing = (id: number, count: number): ChildCounters => {
      const { inbound, outbound } = counters(id, 1)
      return { id, inbound: { ...inbound, missing: count }, outbound }
    }
    const answer = (command: Command): Answer => (command.type === 'remove-child' ? { counters: missing(1, 5) } : {})
    const { children } = bench([planned('peer', []), planned('open', [])], answer)
    const report = (...reports: ChildCounters[]) =>
      children.update({ children: reports, drops: {}, segmentsRefused: 0 })
    expect(children.total('peer').inbound.missing).toBe(0)
    await children.install(spec(1, 'one'))
    await children.install(spec(2, 'two'))
    report(missing(1, 7), missing(2, 2))
    expect(children.total('peer').inbound.missing).toBe(9)
    // Two came late before it ended.
    await children.remove(1)
    expect(children.total('peer').inbound.missing).toBe(7)
    expect(children.totals()[0]).toMatchObject({ inbound: { missing: 7 } })
    expect(children.total('peer').outbound).not.toHaveProperty('missing')
    await children.install({ ...spec(3, 'three', 'open'), replayWindow: 0 })
    expect(children.total('open').inbound).not.toHaveProperty('missing')
    expect(children.totals()[0]!.inbound).not.toHaveProperty('missing')
    await children.remove(2)
    expect(children.total('peer').inbound.missing).toBe(10)
  })

  it('says which children had traffic, and keeps counting for those that are gone', async () => {
    const answer = (command: Command): Answer => (command.type === 'remove-child' ? { counters: counters(1, 3) } : {})
    const { children } = bench([planned('peer', [])], answer)
    await children.install(spec(1, 'one'))
    await children.install(spec(2, 'two'))
    expect(
      children
        .update({ children: [counters(1, 2), counters(2, 0)], drops: {}, segmentsRefused: 0 })
        .map(({ id }) => id),
    ).toEqual([1])
    expect(
      children
        .update({ children: [counters(1, 2), counters(2, 1)], drops: {}, segmentsRefused: 0 })
        .map(({ id }) => id),
    ).toEqual([2])
    expect(children.total('peer').inbound).toEqual({ packets: 3, bytes: 30, drops: {} })
    await children.remove(1)
    expect(children.total('peer').inbound).toEqual({ packets: 4, bytes: 40, drops: { replayed: 1 } })
    expect(children.of('peer').map(({ id }) => id)).toEqual([2])
  })

  it('tell at once what they have carried when they are asked, once', async () => {
    let carried = 4
    const answer = (command: Command): Answer =>
      command.type === 'read-child' ? { counters: counters(command.id, carried) } : {}
    const { children } = bench([planned('peer', []), planned('other', [])], answer)
    await children.install(spec(1, 'one'))
    await children.install(spec(2, 'one', 'other'))
    expect((await children.refresh('peer')).map(({ id }) => id)).toEqual([1])
    expect(await children.refresh('peer')).toEqual([])
    expect(children.total('peer').inbound.packets).toBe(4)
    expect(children.total('other').inbound.packets).toBe(0)
    carried = 5
    expect(await children.refresh('peer')).toHaveLength(1)
    expect(await children.refresh('nobody')).toEqual([])
  })

  it('count for their peer also while they are being removed', async () => {
    let goOn = (): void => {}
    const gone = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const call = async (_: number, command: Command): Promise<Answer> => {
      if (command.type !== 'remove-child') return {}
      await gone
      return { counters: counters(1, 6) }
    }
    const children = new Children([planned('peer', [])], [SOCKETS], call)
    await children.install(spec(1, 'one'))
    children.update({ children: [counters(1, 5)], drops: {}, segmentsRefused: 0 })
    const removed = children.remove(1)
    expect(children.total('peer').inbound.packets).toBe(5)
    goOn()
    await removed
    expect(children.total('peer').inbound.packets).toBe(6)
  })

  it('are passed over where their tunnel does not pass, as every worker is told, each time once', async () => {
    const { children, told } = bench([planned('a', []), { ...planned('b', []), transit: true }], undefined, 2)
    await children.configure()
    told.length = 0
    await children.setPassing('b', false)
    await children.setPassing('b', false)
    expect(children.isPassing('b')).toBe(false)
    expect(told.map(({ worker, command }) => [worker, command])).toMatchObject([
      [0, { type: 'tunnel', tunnel: { handle: 1, down: true, transit: true } }],
      [1, { type: 'tunnel', tunnel: { handle: 1, down: true, transit: true } }],
    ])
    told.length = 0
    await children.setPassing('b', true)
    expect(told[0]).not.toHaveProperty('command.tunnel.down')
    await children.setPassing('nobody', false)
    expect(told).toHaveLength(2)
  })

  it('what is told while a change is under way comes after it, and says how it is then', async () => {
    const waiting: (() => void)[] = []
    const told: unknown[] = []
    const call = async (_: number, command: Command): Promise<Answer> => {
      if (command.type === 'tunnel') {
        told.push([command.tunnel.children, command.tunnel.down ?? false])
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
      return {}
    }
    const children = new Children([planned('peer', [])], [SOCKETS], call)
    await children.install(spec(1, 'one'))
    const done = [children.promote(1), children.setPassing('peer', false), children.setPassing('peer', true)]
    while (waiting.length > 0 || told.length === 0) {
      waiting.shift()?.()
      await new Promise(setImmediate)
    }
    await Promise.all(done)
    // All three were known before the first word was said.
    expect(told).toEqual([[[1], false]])
    const later = children.setPassing('peer', false)
    await new Promise(setImmediate)
    const again = children.setPassing('peer', true)
    while (waiting.length > 0) {
      waiting.shift()?.()
      await new Promise(setImmediate)
    }
    await Promise.all([later, again])
    expect(told.slice(1)).toEqual([
      [[1], true],
      [[1], false],
    ])
  })

  it('add up what workers tell of tunnels', () => {
    const { children } = bench([planned('a', []), planned('b', [])])
    const report = { children: [], drops: {}, segmentsRefused: 0 }
    children.update({ ...report, tunnels: [{ tunnel: 1, transit: 3, asymmetric: 1 }] })
    children.update({
      ...report,
      tunnels: [
        { tunnel: 1, transit: 2, asymmetric: 0 },
        { tunnel: 9, transit: 1, asymmetric: 0 },
      ],
    })
    expect(children.counts('b')).toEqual({ transit: 5, asymmetric: 1 })
    expect(children.counts('a')).toEqual({ transit: 0, asymmetric: 0 })
    expect(children.counts('nobody')).toBeUndefined()
  })
})
