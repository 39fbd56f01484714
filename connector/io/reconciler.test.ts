/** Connections that change while IKE and the engines run: what is told to whom, and in which order. */
import { describe, expect, it } from 'vitest'
import { address, type Prefix, prefix } from '../../protocol/net.ts'
import { prefixesOf } from '../../protocol/prefix-block.ts'
import type { ConnectionConfig, IkeInput, IkeKey } from '../core/ike/types.ts'
import type { Command } from '../data/commands.ts'
import { type ConnectorEvent, StartFailure } from '../handle.ts'
import type { PlannedConnection } from '../plan.ts'
import { Children } from './children.ts'
import { KernelRoutes } from './kernel-routes.ts'
import { Reconciler } from './reconciler.ts'
import { IpFailure } from './routes-linux.ts'

interface Wish {
  readonly routes?: readonly string[]
  readonly keys?: readonly IkeKey[]
  readonly pathMtu?: number
  readonly remote?: string
  readonly resource?: number
  readonly initiate?: boolean
}

const key = (n: number): IkeKey => ({ id: `epoch-${n}`, psk: new Uint8Array(32).fill(n) })

function planned(name: string, wish: Wish = {}): PlannedConnection {
  const ike = {
    name,
    localAddress: address('192.0.2.1'),
    remoteAddress: address(wish.remote ?? '192.0.2.2'),
    psk: new Uint8Array(1),
    keys: wish.keys ?? [key(1)],
    children: [{ name: 'net' }],
    resource: wish.resource ?? 0,
    initiate: wish.initiate ?? true,
  } as unknown as ConnectionConfig
  const routes = (wish.routes ?? [`10.${name.length}.0.0/16`]).map(prefix)
  return { ike, routes, pathMtu: wish.pathMtu ?? 1500, clampMss: true, copyDscp: false }
}

/** Engines, `ip` and IKE that only note what they are told, one line for each; IKE forgets a connection when told to. */
async function bench(running: PlannedConnection[], options: Partial<Faults> = {}) {
  const log: string[] = []
  const events: ConnectorEvent[] = []
  const noted: string[][] = []
  const faults: Faults = { engine: () => false, ip: () => undefined, forgets: true, note: () => {}, ...options }
  const call = async (_worker: number, command: Command) => {
    const text = engineText(command)
    log.push(text)
    if (faults.engine(text)) throw new Error('a table is full')
    return {}
  }
  const children = new Children(running, [[], []], async (worker, command) =>
    worker === 1 ? call(worker, command) : {},
  )
  await children.configure()
  const run = async (_args: readonly string[], batch: string) => {
    log.push(
      ...batch
        .trim()
        .split('\n')
        .map((line) => `ip ${line.replace(' dev tun0 proto 151', '')}`),
    )
    const failure = faults.ip(batch)
    if (failure !== undefined) throw failure
    return ''
  }
  const kernel = new KernelRoutes(
    'tun0',
    [],
    running.flatMap(({ routes }) => routes),
    run,
  )
  const reconciler: Reconciler = new Reconciler(running, {
    children,
    kernel,
    post: (input) => {
      log.push(inputText(input))
      if (input.type !== 'remove-connection' || !faults.forgets) return
      setImmediate(() => {
        log.push(`forgot ${input.connection}`)
        reconciler.connectionRemoved(input.connection)
      })
    },
    note: (routes) => {
      faults.note()
      noted.push([...routes])
      log.push('note')
    },
    emit: (event) => events.push(event),
    removalLimitMs: 20,
  })
  log.length = 0
  const warnings = () => events.flatMap((event) => (event.type === 'warning' ? [event] : []))
  return { reconciler, children, kernel, log, warnings, noted, faults }
}

interface Faults {
  engine: (text: string) => boolean
  ip: (batch: string) => Error | undefined
  forgets: boolean
  note: () => void
}

function engineText(command: Command): string {
  switch (command.type) {
    case 'tunnel':
      return `tunnel ${command.tunnel.handle} mtu ${command.tunnel.pathMtu}`
    case 'group':
      return `group ${command.handle} = ${command.tunnels.join(' ')}`
    case 'routes':
      return `route ${prefixesOf(command.prefixes).join(' ')} -> ${command.group}`
    case 'remove-routes':
      return `no route ${prefixesOf(command.prefixes).join(' ')}`
    case 'refusal':
      return `group ${command.handle} = ${command.answer}`
    case 'remove-tunnel':
      return `no tunnel ${command.handle}`
    default:
      return command.type
  }
}

function inputText(input: IkeInput): string {
  if (input.type === 'set-keys') return `set-keys ${input.connection} ${input.keys.map(({ id }) => id).join(' ')}`
  if (input.type === 'add-connection') return `add ${input.config.name}`
  if (input.type === 'initiate') return `initiate ${input.connection}`
  return input.type === 'remove-connection' ? `remove ${input.connection}` : input.type
}

describe('changes of connections', () => {
  it('the same again does nothing', async () => {
    const { reconciler, log, noted } = await bench([planned('a'), planned('bb')])
    await reconciler.reconcile([planned('a'), planned('bb')])
    expect(log).toEqual([])
    expect(noted).toEqual([])
  })

  it('a new one has its routes before IKE hears of it', async () => {
    const { reconciler, log, noted } = await bench([planned('a')])
    await reconciler.reconcile([planned('a'), planned('bb')])
    expect(log).toEqual([
      'tunnel 1 mtu 1500',
      'group 1 = 1',
      'route 10.2.0.0/16 -> 1',
      'note',
      'ip route add 10.2.0.0/16',
      'add bb',
    ])
    expect(noted).toEqual([['10.1.0.0/16', '10.2.0.0/16']])
    expect(reconciler.connections.map(({ ike }) => ike.name)).toEqual(['a', 'bb'])
  })

  it('what is refused has kernel routes of its own, and takes the place of what has gone', async () => {
    const { reconciler, log, kernel } = await bench([planned('a'), planned('bb')])
    const refusals = ['10.0.0.0/8', '10.1.0.0/16'].map((each) => ({
      prefix: prefix(each),
      answer: 'unreachable' as const,
    }))
    await reconciler.reconcile([planned('bb')], { refusals })
    expect(log).toEqual([
      'group 2 = unreachable',
      'route 10.0.0.0/8 -> 2',
      'note',
      'ip route add 10.0.0.0/8',
      'remove a',
      'forgot a',
      'group 2 = unreachable',
      'route 10.1.0.0/16 -> 2',
      'no tunnel 0',
    ])
    expect(kernel.standing.toSorted()).toEqual(['10.0.0.0/8', '10.1.0.0/16', '10.2.0.0/16'])
    log.length = 0
    await reconciler.reconcile([planned('bb')], { refusals: [{ prefix: prefix('10.0.0.0/8'), answer: 'blackhole' }] })
    expect(log).toEqual([
      'group 0 = blackhole',
      'route 10.0.0.0/8 -> 0',
      'ip route del 10.1.0.0/16',
      'no route 10.1.0.0/16',
      'note',
    ])
  })

  it('one that goes keeps its routes until IKE has forgotten it, and then gives its tunnel to others', async () => {
    const { reconciler, log, noted } = await bench([planned('a'), planned('bb')])
    await reconciler.reconcile([planned('bb')])
    expect(log).toEqual([
      'remove a',
      'forgot a',
      'ip route del 10.1.0.0/16',
      'no route 10.1.0.0/16',
      'no tunnel 0',
      'note',
    ])
    expect(noted).toEqual([['10.2.0.0/16']])
    log.length = 0
    await reconciler.reconcile([planned('bb'), planned('ccc')])
    expect(log.slice(0, 3)).toEqual(['tunnel 0 mtu 1500', 'group 0 = 0', 'route 10.3.0.0/16 -> 0'])
  })

  it('shows one that goes until it is gone', async () => {
    const { reconciler, faults } = await bench([planned('a'), planned('bb')], { forgets: false })
    const done = reconciler.reconcile([planned('bb')])
    await new Promise((resolve) => setImmediate(resolve))
    expect(reconciler.connections.map(({ ike }) => ike.name)).toEqual(['bb', 'a'])
    reconciler.connectionRemoved('a')
    await done
    expect(reconciler.connections.map(({ ike }) => ike.name)).toEqual(['bb'])
    expect(faults.forgets).toBe(false)
  })

  it('new ones and keys come before the end of old ones', async () => {
    const { reconciler, log } = await bench([planned('a'), planned('bb')])
    await reconciler.reconcile([planned('bb', { keys: [key(2), key(1)] }), planned('ccc')])
    const order = ['ip route add 10.3.0.0/16', 'set-keys bb epoch-2 epoch-1', 'add ccc', 'remove a', 'forgot a']
    expect(log.filter((line) => order.includes(line))).toEqual(order)
    expect(log.indexOf('ip route del 10.1.0.0/16')).toBeGreaterThan(log.indexOf('forgot a'))
  })

  it('keys alone are told to IKE alone', async () => {
    const { reconciler, log } = await bench([planned('a')])
    await reconciler.reconcile([planned('a', { keys: [key(1), key(2)] })])
    await reconciler.reconcile([planned('a', { keys: [key(2), key(1)] })])
    await reconciler.reconcile([planned('a', { keys: [key(2)] })])
    expect(log).toEqual(['set-keys a epoch-1 epoch-2', 'set-keys a epoch-2 epoch-1', 'set-keys a epoch-2'])
  })

  it('one with another IKE configuration is made anew, and never without its routes', async () => {
    const { reconciler, log } = await bench([planned('a')])
    await reconciler.reconcile([planned('a', { remote: '192.0.2.9', routes: ['10.9.0.0/16'] })])
    expect(log).toEqual(
      [
        'route 10.9.0.0/16 -> 0',
        'note',
        'ip route add 10.9.0.0/16',
        'remove a',
        'forgot a',
        'add a',
        'ip route del 10.1.0.0/16',
        'no route 10.1.0.0/16',
        'note',
      ].flatMap((line) => (line === 'route 10.9.0.0/16 -> 0' ? ['group 0 = 0', line] : [line])),
    )
  })

  it('one that is to be initiated at last stays as it is; one that is no longer to be is made anew', async () => {
    const { reconciler, log } = await bench([planned('a', { initiate: false })])
    await reconciler.reconcile([planned('a', { keys: [key(2)] })])
    expect(log).toEqual(['set-keys a epoch-2', 'initiate a'])
    await reconciler.reconcile([planned('a', { keys: [key(2)], initiate: false })])
    expect(log.slice(2)).toEqual(['remove a', 'forgot a', 'add a'])
  })

  it('other bytes under the name of a key are another configuration', async () => {
    const { reconciler, log } = await bench([planned('a')])
    await reconciler.reconcile([planned('a', { keys: [{ id: 'epoch-1', psk: new Uint8Array(32).fill(9) }] })])
    expect(log).toEqual(['remove a', 'forgot a', 'add a'])
  })

  it('another description of the path, and other routes, do not touch IKE', async () => {
    const { reconciler, log } = await bench([planned('a')])
    await reconciler.reconcile([planned('a', { pathMtu: 1400, routes: ['10.1.0.0/16', '10.7.0.0/16'] })])
    expect(log).toEqual([
      'group 0 = 0',
      'route 10.7.0.0/16 -> 0',
      'note',
      'ip route add 10.7.0.0/16',
      'tunnel 0 mtu 1400',
    ])
  })

  it('a prefix of two connections goes over to the one that stays before the other one goes', async () => {
    const both = { routes: ['10.5.0.0/16'] }
    const { reconciler, log, kernel } = await bench([planned('a', both), planned('bb', both)])
    await reconciler.reconcile([planned('bb', both)])
    const [before, after] = [
      ['group 1 = 1 0', 'route 10.5.0.0/16 -> 1'],
      ['group 0 = 1', 'route 10.5.0.0/16 -> 0'],
    ] as const
    expect(log).toEqual([...before, 'remove a', 'forgot a', ...after, 'no tunnel 0'])
    expect(kernel.standing).toEqual(['10.5.0.0/16'])
  })

  it('one that stays keeps its packet worker', async () => {
    const { reconciler, log } = await bench([planned('a', { resource: 0 }), planned('bb', { resource: 1 })])
    await reconciler.reconcile([planned('bb', { resource: 0 })])
    expect(log).not.toContain('remove bb')
    expect(reconciler.connections[0]!.ike.resource).toBe(1)
  })

  it('calls wait for one another', async () => {
    const { reconciler, log } = await bench([planned('a')])
    await Promise.all([reconciler.reconcile([]), reconciler.reconcile([planned('a')]), reconciler.reconcile([])])
    expect(log.filter((line) => /^(add|remove|forgot|ip)/.test(line))).toEqual([
      'remove a',
      'forgot a',
      'ip route del 10.1.0.0/16',
      'ip route add 10.1.0.0/16',
      'add a',
      'remove a',
      'forgot a',
      'ip route del 10.1.0.0/16',
    ])
  })
})

describe('what goes wrong', () => {
  it('a tunnel that the engine has no room for is told and left out, and tried again', async () => {
    const { reconciler, log, warnings, faults } = await bench([planned('a')], {
      engine: (text) => text === 'tunnel 1 mtu 1400',
    })
    const wanted = [planned('a'), planned('bb', { pathMtu: 1400 }), planned('ccc')]
    await reconciler.reconcile(wanted)
    expect(warnings()).toMatchObject([
      { code: 'apply-failed', message: expect.stringContaining('bb: '), remedy: expect.any(String) },
    ])
    expect(reconciler.connections.map(({ ike }) => ike.name)).toEqual(['a', 'ccc'])
    expect(log).not.toContain('add bb')
    expect(log).toContain('add ccc')
    faults.engine = () => false
    await reconciler.reconcile(wanted)
    expect(log.at(-1)).toBe('add bb')
    expect(reconciler.connections.map(({ ike }) => ike.name)).toEqual(['a', 'bb', 'ccc'])
  })

  it('a route that the kernel refuses is told with its remedy, holds up nothing, and is tried again', async () => {
    const refusal = new IpFailure('RTNETLINK answers: File exists\nCommand failed -:1', false)
    const { reconciler, log, warnings, faults, kernel } = await bench([], {
      ip: (batch) => (batch.startsWith('route add 10.2.') ? refusal : undefined),
    })
    const wanted = [planned('bb', { routes: ['10.2.0.0/16', '10.3.0.0/16'] })]
    await reconciler.reconcile(wanted)
    expect(warnings()).toMatchObject([{ code: 'route-conflict', message: expect.stringContaining('10.2.0.0/16') }])
    expect(warnings()[0]!.remedy).toContain('Remove the other route')
    expect(log).toContain('add bb')
    expect(kernel.standing).toEqual(['10.3.0.0/16'])
    faults.ip = () => undefined
    log.length = 0
    await reconciler.reconcile(wanted)
    expect(log).toEqual(['note', 'ip route add 10.2.0.0/16'])
  })

  it('routes that cannot be noted are carried out all the same', async () => {
    const full = () => {
      throw new Error('ENOSPC')
    }
    const { reconciler, log, warnings, noted, faults } = await bench([], { note: full })
    await reconciler.reconcile([planned('a')])
    expect(log.at(-1)).toBe('add a')
    expect(warnings()[0]).toMatchObject({ code: 'state-directory', message: expect.stringContaining('ENOSPC') })
    faults.note = () => {}
    await reconciler.reconcile([planned('a')])
    expect(noted).toEqual([['10.1.0.0/16']])
  })

  it('a connection that IKE does not forget is told, and holds up the others only so long', async () => {
    const { reconciler, log, warnings } = await bench([planned('a')], { forgets: false })
    await reconciler.reconcile([planned('bb')])
    expect(warnings()).toMatchObject([
      { code: 'connection-stuck', message: expect.stringContaining('a should be gone') },
    ])
    expect(log).toContain('no tunnel 0')
  })

  it('goes no step further when the connector stops', async () => {
    const { reconciler, log } = await bench([planned('a')], { forgets: false })
    const first = reconciler.reconcile([planned('a', { remote: '192.0.2.9' })])
    const second = reconciler.reconcile([planned('bb')])
    const refused = [first, second].map((call) => expect(call).rejects.toThrow('the connector is stopping'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(log).toEqual(['remove a'])
    await reconciler.stop()
    await Promise.all(refused)
    expect(log).toEqual(['remove a'])
    await expect(reconciler.reconcile([])).rejects.toThrow('the connector is stopping')
  })
})

describe('routes of the kernel', () => {
  it('fail one by one where ip names the lines, all where it does not', async () => {
    const routes: Prefix[] = ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16', 'fd00::/16'].map(prefix)
    const text = 'RTNETLINK answers: File exists\nCommand failed -:2\nError: Nexthop is broken.\nCommand failed -:3'
    const run = async (args: readonly string[]) => {
      throw new IpFailure(args[0] === '-4' ? text : 'spawn ip EAGAIN', false)
    }
    const kernel = new KernelRoutes('tun0', [], [], run)
    const failures = await kernel.add(routes)
    expect(failures.map(({ route, failure }) => [route, failure.code])).toEqual([
      ['10.2.0.0/16', 'route-conflict'],
      ['10.3.0.0/16', 'network-failed'],
      ['fd00::/16', 'network-failed'],
    ])
    expect(failures[1]!.failure).toBeInstanceOf(StartFailure)
    expect(failures[1]!.failure.message).toContain('Nexthop is broken')
    expect(kernel.standing).toEqual(['10.1.0.0/16'])
  })
})
