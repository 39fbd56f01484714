/** The management verbs against the real API over a store in memory: no process, no socket, a clock of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CliIo } from '../../connector/cli/command.ts'
import { runCli } from '../../connector/cli/run.ts'
import { recordedIo } from '../../connector/cli/testing.ts'
import { EXIT } from '../../connector/handle.ts'
import type { TestConnector } from '../../control/testing/connector.ts'
import { makeNetwork, makePair, type TestNetwork } from '../../control/testing/network.ts'
import { createWorld, type World } from '../../control/testing/world.ts'

export const URL_OF_CONTROL = 'https://control.example.net'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface Settings {
  readonly env?: Readonly<Record<string, string>>
  readonly io?: Partial<CliIo>
}

export class ManagedWorld {
  readonly world: World
  /** Requests that were made, like `GET /v1/networks`. */
  readonly requests: string[] = []
  readonly home = mkdtempSync(join(tmpdir(), 'isthmus-test-'))
  /** Whom verbs act for unless told otherwise. */
  token: string
  /** What happens while a verb waits. */
  onPause: (ms: number) => Promise<void> = async () => {}

  private constructor(world: World) {
    this.world = world
    this.token = world.admin
  }

  static async create(options: Parameters<typeof createWorld>[0] = {}): Promise<ManagedWorld> {
    return new ManagedWorld(await createWorld(options))
  }

  close(): void {
    rmSync(this.home, { recursive: true })
  }

  run(...words: string[]): Promise<Ran> {
    return this.runWith({}, ...words)
  }

  async runWith({ env, io: given }: Settings, ...words: string[]): Promise<Ran> {
    const recorded = recordedIo({ HOME: this.home, ISTHMUS_URL: URL_OF_CONTROL, ISTHMUS_TOKEN: this.token, ...env })
    const io: CliIo = {
      ...recorded,
      fetch: (url, init) => this.fetch(url, init),
      now: () => this.world.clock.now,
      pause: async (ms) => {
        this.world.clock.now += ms
        await this.onPause(ms)
      },
      ...given,
    }
    const code = await runCli(words, io)
    return { code, out: recorded.out(), err: recorded.err() }
  }

  /** What a verb prints that must succeed, and without a word on standard error. */
  async text(...words: string[]): Promise<string> {
    const { code, out, err } = await this.run(...words)
    if (code !== EXIT.ok || err !== '') throw new Error(`isthmus ${words.join(' ')}: exit code ${code}: ${err}`)
    return out
  }

  // biome-ignore lint/suspicious/noExplicitAny: tests look into documents of all shapes
  async json(...words: string[]): Promise<any> {
    return JSON.parse(await this.text(...words, '--json'))
  }

  /** Runs a verb that must fail with `code`, print nothing, and say `message` and what to do. */
  async refused(code: number, message: string, ...words: string[]): Promise<void> {
    const ran = await this.run(...words)
    const says = ran.err.includes(message) && /\n {2}What to do: .+\.\n$/.test(ran.err)
    if (ran.code === code && ran.out === '' && says) return
    throw new Error(`isthmus ${words.join(' ')}: exit code ${ran.code} for ${code}: ${ran.out}${ran.err}`)
  }

  async fetch(url: string, init: RequestInit): Promise<Response> {
    const { origin, pathname, search } = new URL(url)
    if (origin !== URL_OF_CONTROL) throw new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } })
    this.requests.push(`${init.method} ${pathname}${search}`)
    return this.world.app.request(url, init)
  }

  /** Of every connector, for those who ask. */
  link(linked: (connector: string) => boolean): void {
    Object.assign(this.world.services.context.hub, { linked: (_network: string, id: string) => linked(id) })
  }

  /** A network with the sites `hq` and `branch`, the tunnel `hq-branch`, and a connector at each. */
  async pair(): Promise<{ network: TestNetwork; left: TestConnector; right: TestConnector; tunnel: string }> {
    const network = await makeNetwork(this.world)
    return { network, ...(await makePair(this.world, network)) }
  }
}
