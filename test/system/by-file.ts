/** Connectors as a person starts them: a file and `isthmus up`, each in the namespace of its site. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Spawned, World } from './netns.ts'
import { until } from './until.ts'

const MAIN = join(import.meta.dirname, '../../connector/main.ts')
const SECRET = 'correct horse battery staple, and more of it'

export class ConnectorsByFile {
  readonly #world: World
  readonly #directory = mkdtempSync(join(tmpdir(), 'isthmus-by-file-'))
  readonly #ends = new Map<string, Spawned>()

  constructor(world: World) {
    this.#world = world
  }

  /** `configuration`: YAML; its secrets are `{ file: psk }`, the same one at all sites, unless there are others by name. */
  start(site: string, configuration: string, secrets: Readonly<Record<string, string>> = { psk: SECRET }): void {
    const folder = join(this.#directory, site)
    mkdirSync(folder)
    for (const [name, secret] of Object.entries(secrets)) writeFileSync(join(folder, name), secret, { mode: 0o600 })
    const own = `state_directory: ${folder}/state\ncontrol_socket: ${this.socket(site)}\n`
    const common = 'metrics: { enabled: false }\nlog: { format: json, level: debug }\n'
    writeFileSync(this.#file(site), `${configuration}\n${own}${common}`)
    this.#ends.set(site, this.#world.spawn(site, [process.execPath, MAIN, 'up', '--config', this.#file(site)]))
  }

  /** Like `until`; with what they have told last where it does not come. */
  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    await until(what, condition).catch((error: Error) => {
      const told = [...this.#ends.values()].map((end) => end.output().slice(-2000))
      throw new Error(`${error.message}\n${told.join('\n')}`)
    })
  }

  verb(site: string, ...words: string[]) {
    return this.#world.exec(site, [process.execPath, MAIN, ...words, '--config', this.#file(site)])
  }

  /** Of the local API. */
  socket(site: string): string {
    return join(this.#directory, site, 's')
  }

  output(site: string): string {
    return this.#ends.get(site)?.output() ?? ''
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#ends.values()].map((end) => end.stop()))
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #file(site: string): string {
    return join(this.#directory, site, 'isthmus.yaml')
  }
}
