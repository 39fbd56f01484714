/** Control planes on Node as their callers see them: over sockets, from the same process or another one. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import WebSocket from 'ws'
import { type FromControl, fromControlSchema } from '../../../protocol/control/link.ts'
import { ask, type Caller, type Joined, proofOf } from '../../testing/caller.ts'
import type { NodeOptions } from '../node.ts'

export function nodeCaller(url: () => string, admin: string): Caller {
  return {
    admin,
    clock: {
      get now() {
        return Date.now()
      },
    },
    request: (method, path, options = {}) => ask((target, init) => fetch(url() + target, init), method, path, options),
  }
}

export interface Running {
  readonly url: string
  readonly adminToken?: string
  readonly process: ChildProcess
  /** Ends it without a word, and waits until it is gone. */
  kill(): Promise<void>
}

export async function startProcess(options: Omit<NodeOptions, 'log'>): Promise<Running> {
  const script = new URL('node-process.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said: string[] = []
  child.stderr.on('data', (chunk) => void said.push(String(chunk)))
  const [line] = await Promise.race([
    once(createInterface(child.stdout), 'line'),
    once(child, 'exit').then(() => Promise.reject(new Error(`the control plane ended: ${said.join('')}`))),
  ])
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  return { ...(JSON.parse(line) as { url: string; adminToken?: string }), process: child, kill }
}

/** A link as a connector has it. */
export class NodeLink {
  readonly socket: WebSocket
  readonly heard: FromControl[] = []
  readonly #waiting: (() => void)[] = []
  /** With the code of the close frame. */
  readonly closed: Promise<number>

  /** `read`: of a message; checks that it is one, unless the other end shares its processor with many. */
  static async open(url: string, caller: Caller, joined: Joined, read = checked): Promise<NodeLink> {
    const path = `/v1/networks/${joined.network}/link`
    const headers = { authorization: await proofOf(caller, joined, 'GET', path) }
    const link = new NodeLink(
      new WebSocket(url.replace('http', 'ws') + path, { headers, perMessageDeflate: false }),
      read,
    )
    await once(link.socket, 'open')
    return link
  }

  private constructor(socket: WebSocket, read: (text: string) => FromControl) {
    this.socket = socket
    socket.on('message', (data) => {
      this.heard.push(read(String(data)))
      for (const wake of this.#waiting.splice(0)) wake()
    })
    this.closed = new Promise((resolve) => socket.on('close', resolve))
  }

  send(message: unknown): void {
    this.socket.send(JSON.stringify(message))
  }

  /** The first message of this type that has come or comes. */
  async next<T extends FromControl['type']>(type: T): Promise<Extract<FromControl, { type: T }>> {
    for (;;) {
      const index = this.heard.findIndex((message) => message.type === type)
      if (index >= 0) return this.heard.splice(index, 1)[0] as Extract<FromControl, { type: T }>
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }
}

function checked(text: string): FromControl {
  return fromControlSchema.parse(JSON.parse(text))
}
