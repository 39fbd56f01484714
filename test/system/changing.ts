/** Three sites whose connectors change while they run: `a` has a link to `b`, and one to `c`. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createWorld, type Spawned, type World } from './netns.ts'

const PROGRAM = join(import.meta.dirname, 'changing-end.ts')

export type EndName = 'a' | 'b' | 'c'

export const SITES = {
  a: { outer: '192.0.2.1', network: '10.8.1.0/24', inner: '10.8.1.1' },
  b: { outer: '192.0.2.2', network: '10.8.2.0/24', inner: '10.8.2.1' },
  c: { outer: '198.51.100.2', network: '10.8.3.0/24', inner: '10.8.3.1' },
} as const

export interface Wishes {
  readonly number: number
  /** The first key is to be used, all are accepted. */
  readonly tunnels: readonly { readonly peer: EndName; readonly keys: readonly number[] }[]
  readonly pathMtu?: number
  /** Other bytes under the same names of keys. */
  readonly secret?: number
  /** Of the device, which nothing but a new start can change. */
  readonly mtu?: number
}

export class ChangingEnd {
  readonly process: Spawned
  readonly #write: (wishes: Wishes) => void
  #number: number

  constructor(process: Spawned, number: number, write: (wishes: Wishes) => void) {
    this.process = process
    this.#number = number
    this.#write = write
  }

  /** Resolves when the connector says that it has applied them; throws when it refuses. */
  async apply(wishes: Omit<Wishes, 'number'>): Promise<void> {
    const refusal = await this.tryApply(wishes)
    if (refusal !== '') throw new Error(refusal)
  }

  /** Why the connector refuses, or nothing. */
  async tryApply(wishes: Omit<Wishes, 'number'>): Promise<string> {
    const number = ++this.#number
    this.#write({ number, ...wishes })
    process.kill(this.process.pid, 'SIGHUP')
    const [, refusal] = await this.process.waitFor(new RegExp(`^(?:applied ${number}|refused ${number}: (.*))$`, 'm'))
    return refusal ?? ''
  }
}

export class Sites {
  readonly world: World
  readonly #directory: string
  readonly #workers: number
  readonly #env: Readonly<Record<string, string>>
  #numbers = 0

  constructor(world: World, directory: string, workers: number, env: Readonly<Record<string, string>>) {
    this.world = world
    this.#directory = directory
    this.#workers = workers
    this.#env = env
  }

  async start(name: EndName, wishes: Omit<Wishes, 'number'>): Promise<ChangingEnd> {
    const file = join(this.#directory, `${name}.json`)
    const state = join(this.#directory, name)
    mkdirSync(state, { recursive: true, mode: 0o700 })
    const write = (all: Wishes) => writeFileSync(file, JSON.stringify(all))
    // A second connector of this name does not count from the beginning, and so is not taken for the first.
    const number = 1000 * ++this.#numbers
    write({ number, ...wishes })
    const words = [process.execPath, PROGRAM, name, state, file, String(this.#workers)]
    const end = this.world.spawn(name, words, { env: this.#env })
    await end.waitFor(/^ready$/m)
    return new ChangingEnd(end, number, write)
  }

  /** Our routes in the kernel, and the devices that they lead to. */
  async routes(name: EndName): Promise<string[]> {
    const { stdout } = await this.world.exec(name, 'ip -4 route show proto 151')
    return stdout
      .split('\n')
      .flatMap(
        (line) =>
          line
            .match(/^(\S+) dev (\S+)/)
            ?.slice(1)
            .join(' ') ?? [],
      )
      .sort()
  }

  async close(): Promise<void> {
    await this.world.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/** @param env of the connectors, beside their own */
export async function createSites(workers = 1, env: Readonly<Record<string, string>> = {}): Promise<Sites> {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-sites-'))
  const world = await createWorld()
  for (const name of ['a', 'b', 'c']) await world.ns(name)
  await world.link('a', 'b', { names: ['to-b', 'to-a'], addresses: [['192.0.2.1/24'], ['192.0.2.2/24']] })
  await world.link('a', 'c', { names: ['to-c', 'to-a'], addresses: [['198.51.100.1/24'], ['198.51.100.2/24']] })
  await world.exec('c', 'ip route add 192.0.2.0/24 via 198.51.100.1')
  return new Sites(world, directory, workers, env)
}
