/**
 * A hub and two spokes with managed connectors, and their control plane; spokes have a tunnel to the hub only, and the
 * hub's kernel passes nothing on.
 *
 *     host-a 10.2.0.10 -- gateway-a ==\\          //== gateway-b -- host-b 10.3.0.10
 *                                    internet
 *              10.1.0.0/24 gateway-hub ==//   \\== control
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DemoControl } from '../../connector/cli/demo/control-plane.ts'
import { CONTROL, joinAs, MAIN } from '../../connector/cli/demo/sites.ts'
import { controlClient, controlRequest } from '../../connector/ops/client.ts'
import type { Intent } from '../../protocol/control/intent.ts'
import type { RouteRow, RoutesAnswer } from '../../protocol/routes.ts'
import type { ConnectorStatus } from '../../protocol/status.ts'
import { createWorld, type ExecResult, type Spawned, type World } from './netns.ts'
import { until } from './until.ts'

export type StarSite = 'hub' | 'a' | 'b'
export const STAR_SITES: readonly StarSite[] = ['hub', 'a', 'b']
const SPOKES = ['a', 'b'] as const

export class Star {
  readonly world: World
  readonly directory: string
  readonly control: DemoControl
  readonly #connectors = new Map<StarSite, Spawned>()
  #plans = 0

  constructor(world: World, directory: string) {
    this.world = world
    this.directory = directory
    this.control = new DemoControl(world, directory)
  }

  async begin(): Promise<void> {
    await this.#layOut()
    await this.control.start()
    const token = new Map<StarSite, string>()
    for (const [index, name] of STAR_SITES.entries()) {
      const place = ['--prefix', networkOf(index), '--endpoint', outerOf(index)]
      const added = await this.control.run<Added>('site', 'add', name, ...place)
      token.set(name, added.joinToken.token)
      if (index === 0) await this.control.run('network', 'set', '--topology', 'none')
    }
    for (const name of SPOKES) await this.control.run('tunnel', 'add', `hub-${name}`, 'hub', name)
    for (const name of STAR_SITES) {
      const connector = joinAs(this.world, this.#placeOf(name), this.control.url, token.get(name)!)
      this.#connectors.set(name, connector)
      await connector.waitFor(/"event":"started"/)
    }
    await until(`the tunnels\n${this.logs()}`, () => this.#isUp(), 60_000)
  }

  /** Undefined while it does not answer. */
  status(name: StarSite): Promise<ConnectorStatus | undefined> {
    return controlClient(this.#placeOf(name).controlSocket)
      .status()
      .catch(() => undefined)
  }

  /** What leads where at a site, its own networks and the insides of tunnels aside. */
  async routes(name: StarSite): Promise<Record<string, RouteRow['from']>> {
    const answer = (await controlRequest(this.#placeOf(name).controlSocket, 'POST', '/routes', {})) as RoutesAnswer
    const rows = answer.routes.filter(({ prefix, from }) => from !== 'local' && !prefix.startsWith('169.254.'))
    return Object.fromEntries(rows.map(({ prefix, from }) => [prefix, from]))
  }

  /** Until exactly these lead somewhere. */
  async untilRoutes(name: StarSite, wanted: Record<string, RouteRow['from']>, limitMs = 30_000): Promise<void> {
    const sorted = (routes: object) => JSON.stringify(Object.entries(routes).sort())
    let found = ''
    const holds = async () => {
      found = sorted(await this.routes(name))
      return found === sorted(wanted)
    }
    await until(`routes of ${name}`, holds, limitMs).catch((error: Error) => {
      throw new Error(`${error.message}: ${found}\n${this.logs()}`)
    })
  }

  /** Runs `isthmus` on the machine of a site, about its own connector. */
  at(name: StarSite, ...words: string[]): Promise<ExecResult> {
    const { gateway, controlSocket } = this.#placeOf(name)
    return this.world.exec(gateway, [process.execPath, MAIN, ...words, '--socket', controlSocket], { check: false })
  }

  intent(): Promise<Intent> {
    return this.control.run<Intent>('network', 'export')
  }

  /** The intent as it is but for this, in a file that `isthmus plan` and `isthmus apply` take. */
  async file(routing: object, other: object = {}): Promise<string> {
    const path = join(this.directory, `intent-${this.#plans++}.json`)
    writeFileSync(path, JSON.stringify({ ...(await this.intent()), ...other, routing }))
    return path
  }

  logs(): string {
    return [...this.#connectors].map(([name, { output }]) => `--- ${name}\n${output().slice(-4000)}`).join('\n')
  }

  async close(): Promise<void> {
    await this.world.close()
    rmSync(this.directory, { recursive: true, force: true })
  }

  async #layOut(): Promise<void> {
    const { world } = this
    await world.ns('internet')
    await world.exec('internet', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
    for (const [index, name] of STAR_SITES.entries()) {
      const { gateway } = this.#placeOf(name)
      await world.ns(gateway)
      await world.link('internet', gateway, {
        names: [`to-${name}`, 'internet'],
        addresses: [[`192.0.2.${4 * index + 1}/30`], [`${outerOf(index)}/30`]],
      })
      await world.exec(gateway, `ip route add default via 192.0.2.${4 * index + 1}`)
      await world.ns(`host-${name}`)
      await world.link(gateway, `host-${name}`, {
        names: ['lan', 'eth0'],
        addresses: [[`10.${index + 1}.0.1/24`], [`${hostOf(name)}/24`]],
      })
      await world.exec(`host-${name}`, `ip route add default via 10.${index + 1}.0.1`)
      // What spokes say to one another, the hub's engine passes on, or nobody.
      await world.exec(gateway, `echo ${name === 'hub' ? 0 : 1} > /proc/sys/net/ipv4/ip_forward`)
    }
    await world.ns(CONTROL.namespace)
    await world.link('internet', CONTROL.namespace, {
      names: ['control', 'internet'],
      addresses: [['203.0.113.2/30'], [`${CONTROL.address}/30`]],
    })
    await world.exec(CONTROL.namespace, 'ip route add default via 203.0.113.2')
  }

  async #isUp(): Promise<boolean> {
    const all = await Promise.all(STAR_SITES.map((name) => this.status(name)))
    return all.every((status, index) => {
      const tunnels = status?.tunnels ?? []
      return tunnels.length === (index === 0 ? 2 : 1) && tunnels.every(({ state }) => state === 'up')
    })
  }

  #placeOf(name: StarSite) {
    const place = (ending: string) => join(this.directory, `${name}.${ending}`)
    return { gateway: `gateway-${name}`, stateDirectory: place('state'), controlSocket: place('sock') }
  }
}

interface Added {
  readonly joinToken: { readonly token: string }
}

/** Of the host behind a site. */
export function hostOf(name: StarSite): string {
  return `10.${STAR_SITES.indexOf(name) + 1}.0.10`
}

function networkOf(index: number): string {
  return `10.${index + 1}.0.0/24`
}

function outerOf(index: number): string {
  return `192.0.2.${4 * index + 2}`
}

/** All joined, both tunnels up, no routing yet. */
export async function createStar(): Promise<Star> {
  const star = new Star(await createWorld(), mkdtempSync(join(tmpdir(), 'isthmus-star-')))
  try {
    await star.begin()
    return star
  } catch (error) {
    await star.close()
    throw error
  }
}
