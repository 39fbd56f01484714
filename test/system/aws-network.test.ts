/** The network behind the EC2 stand-in behaves as AWS's: with our connector at the customer's end, by file. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controlClient } from '../../connector/ops/client.ts'
import type { CarriedConnection, CarriedTunnel } from '../aws/carrier.ts'
import { createSite, type Site, type Spot, siteFile, startExchange, type Wish } from '../aws/customer.ts'
import { type AwsNetwork, createAwsNetwork } from '../aws/network.ts'
import { skipWithoutPeers } from '../interop/peers.ts'
import { ConnectorsByFile } from './by-file.ts'
import { runFlows } from './flows.ts'
import { createWorld, skipWithoutNamespaces, type World } from './netns.ts'
import { until } from './until.ts'

const WHAT = 'the network behind the EC2 stand-in'
const missing = skipWithoutNamespaces(WHAT) || skipWithoutPeers(WHAT, 'strongswan', 'bird')

const SECRETS = { one: 'a1.abcdefgh_ijk', two: 'b2.lmnopqrs_tuv' }
const EVERYTHING = {
  encryption: ['AES128', 'AES256', 'AES128-GCM-16', 'AES256-GCM-16'],
  integrity: ['SHA1', 'SHA2-256', 'SHA2-384', 'SHA2-512'],
  groups: [2, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24],
}
const BLOCK = '10.9.0.0/16'

const PLACES = {
  /** By MED the provider sends through the first. */
  west: { outer: '198.51.100.7', network: '10.8.1.0/24', wishes: [{ localPref: 200, med: 50 }, { med: 100 }] },
  /** A shorter path comes before a lower MED: through the second. */
  east: { outer: '198.51.100.8', network: '10.8.2.0/24', wishes: [{ prepend: 2 }, { localPref: 200, med: 100 }] },
  /** Without BGP. */
  north: { outer: '198.51.100.9', network: '10.8.3.0/24', wishes: undefined },
} as const satisfies Record<string, { outer: string; network: string; wishes: readonly [Wish, Wish] | undefined }>
type Name = keyof typeof PLACES
const NAMES = ['west', 'east', 'north'] as const

describe.skipIf(missing)(WHAT, () => {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-aws-'))
  let world: World
  let aws: AwsNetwork
  let connectors: ConnectorsByFile
  const sites = new Map<Name, Site>()
  const connections = new Map<Name, CarriedConnection>()

  beforeAll(async () => {
    world = await createWorld()
    aws = await createAwsNetwork(world, directory)
    connectors = new ConnectorsByFile(world)
    await Promise.all(NAMES.map(begin))
    await connectors.until('all tunnels to be up', async () => {
      const all = await Promise.all(NAMES.map((name) => aws.status(name)))
      return all.flat().every(({ up }) => up)
    })
  })

  afterAll(async () => {
    await connectors?.stop()
    await aws?.close()
    await world?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('tells which routes each tunnel has brought', async () => {
    for (const name of ['west', 'east'] as const) {
      const known = async () => (await aws.status(name)).map(({ accepted }) => accepted)
      const both = [[PLACES[name].network], [PLACES[name].network]]
      await until('the routes', async () => JSON.stringify(await known()) === JSON.stringify(both))
    }
    expect((await aws.status('north')).map(({ accepted }) => accepted)).toEqual([undefined, undefined])
  })

  it('both tunnels are up, and tell what they were told', async () => {
    const told = async (name: Name) => (await aws.status(name)).map(({ message }) => message)
    await until('routes', async () => (await told('west')).join() === '1 BGP ROUTES,1 BGP ROUTES')
    expect(await told('north')).toEqual(['IPSEC IS UP', 'IPSEC IS UP'])
    const [{ since }] = await aws.status('east')
    expect(Math.abs(Date.now() - since)).toBeLessThan(120_000)
  })

  it('packets get to the VPC and back, by the tunnel that MED, the AS path or the provider chooses', async () => {
    for (const [name, tunnel] of [
      ['west', 0],
      ['east', 1],
      ['north', 0],
    ] as const) {
      const used = await usedBy(name, () => pass(name, 500))
      expect(used.toCustomer[tunnel], name).toBeGreaterThan(490)
      expect(used.toCustomer[1 - tunnel], name).toBeLessThan(50)
      expect(used.fromCustomer[tunnel], name).toBeGreaterThan(490)
    }
  })

  it('a tunnel that is not used is taken down and comes back without a loss', async () => {
    const flow = await startExchange(world, hostOf('east'), aws.host('east'))
    await aws.takeDown('east', 0)
    expect((await aws.status('east')).map(({ up }) => up)).toEqual([false, true])
    await until('the customer to know', async () => (await stateOf('east', 'one')) !== 'up')
    const before = (await aws.status('east'))[0].since
    await aws.bringUp(connections.get('east')!, 0)
    await upAgain('east', 0)
    expect((await aws.status('east'))[0].since).toBeGreaterThan(before)
    const { there, back } = await flow.stop()
    expect(there).toEqual({ sent: there.sent, received: there.sent, lost: 0, late: 0, duplicates: 0 })
    expect(back).toEqual({ sent: back.sent, received: back.sent, lost: 0, late: 0, duplicates: 0 })
  })

  it('an endpoint that dies comes back on its own address by itself, and is used again', async () => {
    const flow = await startExchange(world, hostOf('west'), aws.host('west'))
    await aws.replace('west', 0, { silentMs: 500 })
    await upAgain('west', 0)
    await until('it to be used again', async () => {
      const used = await usedBy('west', () => new Promise((resolve) => setTimeout(resolve, 200)))
      return used.toCustomer[0]! > 100 && used.fromCustomer[0]! > 100
    })
    const { there, back } = await flow.stop()
    process.stderr.write(
      `an endpoint was replaced: lost ${there.lost} of ${there.sent}, ${back.lost} of ${back.sent}\n`,
    )
    expect(there.lost).toBeLessThan(there.sent)
    expect(back.received).toBeGreaterThan(0)
  })

  it('another key is not the one that the customer has', async () => {
    const connection = connections.get('west')!
    const [one, two] = connection.tunnels
    await aws.takeDown('west', 1, true)
    await aws.bringUp({ ...connection, tunnels: [one, { ...two, psk: 'another.key_of9' }] }, 1)
    await connectors.until('the refusal', () => connectors.output('west').includes('authentication-failed'))
    expect((await aws.status('west')).map(({ up }) => up)).toEqual([true, false])
    await aws.takeDown('west', 1)
    await aws.bringUp(connection, 1)
    await upAgain('west', 1)
  })

  it('static routes follow the endpoint that is up, and change', async () => {
    await aws.takeDown('north', 0)
    await until('the customer to know', async () => (await stateOf('north', 'one')) !== 'up')
    const used = await usedBy('north', () => pass('north', 500))
    expect(used.toCustomer[1]).toBeGreaterThan(490)
    const connection = connections.get('north')!
    await aws.routes({ ...connection, staticRoutes: ['10.8.77.0/24'] })
    const { ns, address } = aws.host('north')
    const host = hostOf('north').address
    const way = async () => (await world.exec(ns, `ip route get ${host} from ${address}; true`)).stdout
    await until('the VPC to forget the site', async () => !(await way()).includes('dev e2'))
    await aws.routes(connection)
    await until('the VPC to know it', async () => (await way()).includes('dev e2'))
  })

  it('a connection that has ended leaves nothing, and its place is for the next', async () => {
    const [address] = aws.allocate('north')
    const number = aws.host('north').ns.replace('vpc', '')
    const places = ['e1', 'e2'].map((side) => `${directory}/aws/${side}${number}/`)
    expect(places.map((place) => processesOf(place).length > 0)).toEqual([true, true])
    await aws.stop('north')
    const place = connections.get('north')!
    await expect(aws.status(place.id)).rejects.toThrow('north is not carried')
    expect(places.flatMap(processesOf)).toEqual([])
    expect(aws.allocate('south')).toContain(address)
    const [one, two] = place.tunnels
    const faulty = { ...two, insideCidr: '169.254.20.1/30' }
    await expect(aws.start({ ...place, id: 'south', tunnels: [one, faulty] })).rejects.toThrow('is no /30')
    expect(places.flatMap(processesOf)).toEqual([])
    await aws.start({ ...place, id: 'south' })
    await until('the next to be up', async () => (await aws.status('south')).every(({ up }) => up))
    await pass('north', 10, 'south')
  })

  async function begin(name: Name, index: number): Promise<void> {
    const { outer, network, wishes } = PLACES[name]
    const site = await createSite(aws, name, outer, network)
    const outside = aws.allocate(name)
    const connection: CarriedConnection = {
      id: name,
      customer: { address: outer, as: 65_010 + index },
      amazonAs: 64_512,
      ...(wishes === undefined ? { staticRoutes: [network] } : {}),
      announces: [BLOCK],
      tunnels: [
        tunnelOf(outside[0], 8 * index, SECRETS.one, wishes === undefined),
        tunnelOf(outside[1], 8 * index + 4, SECRETS.two, wishes === undefined),
      ],
    }
    sites.set(name, site)
    connections.set(name, connection)
    await aws.start(connection)
    connectors.start(name, siteFile(site, connection, wishes), SECRETS)
  }

  const hostOf = (name: Name): Spot => sites.get(name)!.host

  /** Datagrams to the VPC, then as many back; all have to arrive. */
  async function pass(name: Name, count: number, id: string = name): Promise<void> {
    const [host, vpc] = [hostOf(name), aws.host(id)]
    const both = [
      [host, vpc],
      [vpc, host],
    ] as const
    for (const [from, to] of both) {
      const [arrived] = await runFlows(world, {
        from: from.ns,
        fromAddress: from.address,
        to: to.ns,
        toAddress: to.address,
        port: 7100,
        rate: 1000,
        counts: [count],
      })
      expect(arrived!.received).toBe(count)
    }
  }

  async function usedBy(name: Name, during: () => Promise<unknown>) {
    const before = await aws.counters(name)
    await during()
    const after = await aws.counters(name)
    return {
      toCustomer: after.map(({ toCustomer }, tunnel) => toCustomer - before[tunnel]!.toCustomer),
      fromCustomer: after.map(({ fromCustomer }, tunnel) => fromCustomer - before[tunnel]!.fromCustomer),
    }
  }

  async function upAgain(name: Name, tunnel: 0 | 1): Promise<void> {
    await connectors
      .until('the tunnel to be up again', async () => {
        const [theirs, ours] = [(await aws.status(name))[tunnel], await stateOf(name, tunnel === 0 ? 'one' : 'two')]
        return theirs.up && ours === 'up'
      })
      .catch((error: Error) => {
        throw new Error(`${error.message}\n${aws.log(name).slice(-6000)}`)
      })
  }

  async function stateOf(name: Name, peer: string): Promise<string | undefined> {
    const { tunnels } = await controlClient(connectors.socket(name)).status()
    return tunnels.find((tunnel) => tunnel.name === peer)?.state
  }
})

/** `plain`: all that AWS has where nothing is said. */
function tunnelOf(outside: string, inside: number, psk: string, plain: boolean): CarriedTunnel {
  const ours = { encryption: ['AES256-GCM-16'], integrity: ['SHA2-384'], groups: [20] }
  const suite = plain ? EVERYTHING : ours
  return {
    outside,
    insideCidr: `169.254.20.${inside}/30`,
    psk,
    phase1: { ...suite, lifetimeS: 28_800 },
    phase2: { ...suite, groups: plain ? [5, ...suite.groups] : suite.groups, lifetimeS: 3_600 },
    dpd: { action: plain ? 'clear' : 'restart', timeoutS: 30 },
    startup: plain ? 'add' : 'start',
  }
}

/** Process ids that have a path in their environment or among their words. */
function processesOf(path: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return ['environ', 'cmdline'].some((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1').includes(path))
    } catch {
      return false
    }
  })
}
