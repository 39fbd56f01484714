/** The demo's control plane: a process in a namespace of its own, and the verbs by which a person talks to it. */
import { join } from 'node:path'
import { EXIT } from '../../handle.ts'
import type { ExecResult, Spawned, World } from '../../io/namespaces.ts'
import { CONTROL, MAIN } from './sites.ts'

export class DemoControl {
  readonly url = `http://${CONTROL.address}:${CONTROL.port}`
  readonly #world: World
  readonly #directory: string
  readonly #more: { readonly words: readonly string[]; readonly env: Readonly<Record<string, string>> }
  #process: Spawned | undefined
  #adminToken = ''

  /** What it keeps lies in `directory`. `words` and `env` are for the control plane alone. */
  constructor(
    world: World,
    directory: string,
    {
      words = [],
      env = {},
    }: { readonly words?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
  ) {
    this.#world = world
    this.#directory = directory
    this.#more = { words, env }
  }

  /** Resolves when it serves. */
  async start(): Promise<void> {
    const place = ['--host', CONTROL.address, '--directory', join(this.#directory, 'control'), '--login']
    const vector = [process.execPath, MAIN, 'control', ...place, ...this.#more.words]
    const env = { ...this.#environment(), ...this.#more.env }
    this.#process = this.#world.spawn(CONTROL.namespace, vector, { env })
    await this.#process.waitFor(/"event":"started"/)
    this.#adminToken ||= this.#process.output().match(/ist_admin_\S+/)?.[0] ?? ''
  }

  /** What it has said since its last start. */
  log(): string {
    return this.#process?.output() ?? ''
  }

  /** Shown at the first start. */
  get adminToken(): string {
    return this.#adminToken
  }

  /** As a power failure would. */
  async kill(): Promise<void> {
    const running = this.#process
    this.#process = undefined
    if (running === undefined) return
    process.kill(-running.pid, 'SIGKILL')
    await running.exited
  }

  /** Throws when it does not end in good order. */
  async stop(): Promise<void> {
    const running = this.#process
    this.#process = undefined
    if (running === undefined) return
    running.child.kill('SIGTERM')
    const code = await running.exited
    if (code !== EXIT.ok) throw new Error(`The control plane did not stop in good order (${code}).`)
  }

  /** Runs `isthmus` with these words; what it prints, as JSON. Rejects with its own words when it fails. */
  async run<T>(...words: string[]): Promise<T> {
    const { code, stdout, stderr } = await this.verb([...words, '--json'])
    if (code !== EXIT.ok) throw new Error(`isthmus ${words.join(' ')} failed (${code}): ${stderr.trim()}`)
    return JSON.parse(stdout) as T
  }

  /** Runs `isthmus` with these words, whatever comes of it. */
  verb(words: readonly string[]): Promise<ExecResult> {
    const options = { env: this.#environment(), check: false }
    return this.#world.exec(CONTROL.namespace, [process.execPath, MAIN, ...words], options)
  }

  /** The same, while it runs. */
  begin(words: readonly string[]): Spawned {
    return this.#world.spawn(CONTROL.namespace, [process.execPath, MAIN, ...words], { env: this.#environment() })
  }

  /** Nothing of the user's own login is seen or touched. */
  #environment(): Record<string, string> {
    const unset = { ISTHMUS_URL: '', ISTHMUS_TOKEN: '', ISTHMUS_NETWORK: '', ISTHMUS_CONTROL_DIRECTORY: '' }
    const keys = { ISTHMUS_CONTROL_POSTGRES: '', ISTHMUS_CONTROL_KEYS: '' }
    return { ...unset, ...keys, XDG_CONFIG_HOME: join(this.#directory, 'config') }
  }
}
