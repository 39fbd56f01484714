/**
 * Worlds of network namespaces, for the demo and for tests: as root, or inside a user namespace for everybody else.
 *
 * A namespace lives as long as its holder process, and the holder lives as long as the pipe from this process, so a
 * killed owner leaves no namespace. Each namespace has its own mount namespace with an empty, writable `/run`.
 * The kernel ends a process started here when its owner ends. What that process started in turn carries
 * ISTHMUS_WORLD in its environment: the next world ends those whose owner is gone.
 */
import { type ChildProcess, execFile, execFileSync, spawn as spawnChild } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

const MARKER = 'ISTHMUS_WORLD'
/** Behind nsenter: entering a user namespace changes credentials, and that forgets the parent-death signal. */
const DIES_WITH_OWNER = ['setpriv', '--pdeathsig', 'KILL', '--']

/** An argument vector, or a line for `sh -c`. */
export type Command = readonly string[] | string

export interface ExecResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface ExecOptions {
  /** Default true: a non-zero exit rejects with the output in the message. */
  readonly check?: boolean
  readonly timeoutMs?: number
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** A process in a namespace. `output` collects what it prints, both streams, up to 4 MB. */
export interface Spawned {
  readonly child: ChildProcess
  readonly pid: number
  output(): string
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>
  /** Resolves when the output matches; rejects at exit or after `timeoutMs` (default 20 s). */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<RegExpMatchArray>
  /** SIGTERM, then SIGKILL after 5 s; to the whole process group. */
  stop(): Promise<void>
}

export interface LinkOptions {
  /** Addresses with prefix length for each end, IPv4 or IPv6. */
  readonly addresses?: readonly [readonly string[], readonly string[]]
  /** Device names; default `a-b` style names cut to 15 bytes. */
  readonly names?: readonly [string, string]
  readonly mtu?: number
}

export interface World {
  /** Makes the namespace, with loopback up. Names are free text of this world. */
  ns(name: string): Promise<void>
  /** Joins two namespaces with a veth pair, up; IPv6 addresses skip duplicate detection. */
  link(left: string, right: string, options?: LinkOptions): Promise<readonly [string, string]>
  exec(ns: string, command: Command, options?: ExecOptions): Promise<ExecResult>
  spawn(ns: string, command: Command, options?: SpawnOptions): Spawned
  /** Ends every process of this world and its namespaces. Idempotent. */
  close(): Promise<void>
}

let probed: { reason: string | undefined } | undefined

/** Why namespaces cannot be made on this machine, or undefined when they can. */
export function namespacesMissing(): string | undefined {
  probed ??= { reason: probe() }
  return probed.reason
}

function probe(): string | undefined {
  if (process.platform !== 'linux') return `they exist on Linux only, not on ${process.platform}`
  if (!existsSync('/dev/net/tun')) return '/dev/net/tun is missing'
  try {
    const [program, ...args] = [...unshareArguments(), 'ip', 'link', 'set', 'lo', 'up']
    execFileSync(program!, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message.trim() : String(error)
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

function unshareArguments(): string[] {
  return isRoot() ? ['unshare', '-nm'] : ['unshare', '-Urnm']
}

export async function createWorld(): Promise<World> {
  const reason = namespacesMissing()
  if (reason !== undefined) throw new Error(`no network namespaces: ${reason}`)
  endStale()
  return new NamespaceWorld()
}

class NamespaceWorld implements World {
  readonly #holders = new Map<string, ChildProcess>()
  readonly #spawned = new Set<Spawned>()
  readonly #onExit = (): void => this.#killAll()
  #links = 0
  #closed = false

  constructor() {
    process.once('exit', this.#onExit)
  }

  async ns(name: string): Promise<void> {
    if (this.#holders.has(name)) throw new Error(`namespace ${name} exists`)
    const root = this.#holders.values().next().value
    const script =
      'mount -t tmpfs tmpfs /run && mkdir -p /run/lock && ip link set lo up && echo ready && exec cat >/dev/null'
    const start = root === undefined ? unshareArguments() : [...enter(root), 'unshare', '-nm']
    const [program, ...args] = [...start, 'sh', '-c', script]
    // Detached: an interrupt from the terminal must not take the namespace away under those who say goodbye in it.
    const holder = spawnChild(program!, args, { stdio: ['pipe', 'pipe', 'pipe'], env: environment(), detached: true })
    this.#holders.set(name, holder)
    await holderReady(name, holder)
  }

  async link(left: string, right: string, options: LinkOptions = {}): Promise<readonly [string, string]> {
    const index = this.#links++
    const names = options.names ?? ([`${right.slice(0, 10)}${index}`, `${left.slice(0, 10)}${index}`] as const)
    const temporary = `t${process.pid % 100000}x${index}`
    const there = this.#holder(right).pid
    await this.exec(left, ['ip', 'link', 'add', names[0], 'type', 'veth', 'peer', 'name', temporary])
    await this.exec(left, ['ip', 'link', 'set', temporary, 'netns', String(there), 'name', names[1]])
    const ends = [left, right] as const
    for (const side of [0, 1] as const) {
      const batch = [`link set ${names[side]} ${options.mtu === undefined ? '' : `mtu ${options.mtu} `}up`]
      for (const address of options.addresses?.[side] ?? []) {
        batch.push(`addr add ${address} dev ${names[side]}${address.includes(':') ? ' nodad' : ''}`)
      }
      for (const line of batch) await this.exec(ends[side], `ip ${line}`)
    }
    return names
  }

  exec(ns: string, command: Command, options: ExecOptions = {}): Promise<ExecResult> {
    const [program, ...args] = this.#vector(ns, command, options.cwd)
    return new Promise((resolve, reject) => {
      const settings = {
        env: { ...environment(), ...options.env },
        timeout: options.timeoutMs ?? 60_000,
        maxBuffer: 64 << 20,
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      }
      const child = execFile(program, args, settings, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
        if (error !== null && options.check !== false) {
          const shown = typeof command === 'string' ? command : command.join(' ')
          reject(new Error(`in ${ns}: ${shown}: exit ${error.code ?? error.signal}\n${stdout}${stderr}`))
        } else resolve({ code, stdout, stderr })
      })
      child.stdin?.end()
    })
  }

  spawn(ns: string, command: Command, options: SpawnOptions = {}): Spawned {
    const [program, ...args] = this.#vector(ns, command, options.cwd)
    const child = spawnChild(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...environment(), ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    const spawned = observe(child)
    this.#spawned.add(spawned)
    return spawned
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#spawned].map((spawned) => spawned.stop()))
    process.removeListener('exit', this.#onExit)
    for (const holder of this.#holders.values()) {
      if (holder.exitCode !== null || holder.signalCode !== null) continue
      const gone = new Promise((resolve) => holder.once('exit', resolve))
      holder.kill('SIGKILL')
      await gone
    }
  }

  #holder(name: string): ChildProcess {
    const holder = this.#holders.get(name)
    if (holder === undefined) throw new Error(`no namespace ${name}`)
    return holder
  }

  #vector(ns: string, command: Command, cwd?: string): [string, ...string[]] {
    const vector = typeof command === 'string' ? ['sh', '-c', command] : command
    return [...enter(this.#holder(ns), cwd), ...DIES_WITH_OWNER, ...vector] as [string, ...string[]]
  }

  #killAll(): void {
    for (const spawned of this.#spawned) signalGroup(spawned.pid, 'SIGKILL')
    for (const holder of this.#holders.values()) holder.kill('SIGKILL')
  }
}

function enter(holder: ChildProcess, cwd = process.cwd()): string[] {
  const user = isRoot() ? [] : ['-U', '--preserve-credentials']
  // Back to a working directory: entering a mount namespace leads to its root directory.
  return ['nsenter', '-t', String(holder.pid), ...user, '-n', '-m', `--wd=${cwd}`, '--']
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, [MARKER]: String(process.pid) }
}

function holderReady(name: string, holder: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let stderr = ''
    holder.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    holder.stdout?.once('data', () => resolve())
    holder.once('error', reject)
    holder.once('exit', () => reject(new Error(`namespace ${name} could not be made: ${stderr.trim()}`)))
  })
}

function observe(child: ChildProcess): Spawned {
  let output = ''
  const watchers = new Set<() => void>()
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-(4 << 20))
    for (const watcher of watchers) watcher()
  }
  child.stdout?.on('data', collect)
  child.stderr?.on('data', collect)
  let ended = false
  const exited = new Promise<number | string>((resolve) => {
    const done = (result: number | string): void => {
      ended = true
      resolve(result)
      for (const watcher of watchers) watcher()
    }
    child.once('error', (error) => done(error.message))
    child.once('close', (code, signal) => done(code ?? signal ?? 'unknown'))
  })
  const pid = child.pid ?? -1
  return {
    child,
    pid,
    output: () => output,
    exited,
    waitFor: (pattern, timeoutMs = 20_000) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => finish(`no ${pattern} within ${timeoutMs} ms`), timeoutMs)
        const watcher = (): void => finish()
        const finish = (failure?: string): void => {
          const match = output.match(pattern)
          if (match === null && failure === undefined && !ended) return
          clearTimeout(timer)
          watchers.delete(watcher)
          if (match !== null) resolve(match)
          else reject(new Error(`${failure ?? `ended before ${pattern}`}:\n${output}`))
        }
        watchers.add(watcher)
        watcher()
      }),
    stop: async () => {
      if (ended) return
      signalGroup(pid, 'SIGTERM')
      const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), 5000)
      await exited
      clearTimeout(timer)
    },
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  if (pid <= 0) return
  try {
    process.kill(-pid, signal)
  } catch {
    // Gone already, which is what was wanted.
  }
}

/** Ends processes whose world's owner no longer lives. */
function endStale(): void {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    let owner: number
    try {
      const found = readFileSync(`/proc/${entry}/environ`, 'latin1').match(new RegExp(`(?:^|\0)${MARKER}=(\\d+)`))
      if (found === null) continue
      owner = Number(found[1])
    } catch {
      continue
    }
    if (existsSync(`/proc/${owner}`)) continue
    try {
      process.kill(Number(entry), 'SIGKILL')
    } catch {
      // Gone already, or of another user.
    }
  }
}
