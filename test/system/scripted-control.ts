/**
 * A control plane that says what a file says: the link of one connector, on a loopback address.
 *
 *     scripted-control.ts PORT FILE        FILE holds the document; each report is a line on standard output
 */
import { readFileSync } from 'node:fs'
import { type WebSocket, WebSocketServer } from 'ws'
import type { ConnectorDocument } from '../../protocol/control/document.ts'
import type { ConnectorReport, FromConnector, FromControl } from '../../protocol/control/link.ts'
import type { World } from './netns.ts'

const LOOK_MS = 50

export interface ScriptedControl {
  /** The last report that came. */
  report(): ConnectorReport | undefined
}

/** In the connector's own namespace. */
export async function startScriptedControl(
  world: World,
  ns: string,
  port: number,
  file: string,
): Promise<ScriptedControl> {
  const spawned = world.spawn(ns, [process.execPath, import.meta.filename, String(port), file])
  await spawned.waitFor(/ready/)
  return {
    report: () => {
      // The last one may be under way.
      const line = spawned.output().split('\n').at(-2) ?? ''
      return line.startsWith('{') ? (JSON.parse(line) as ConnectorReport) : undefined
    },
  }
}

function serve(port: number, file: string): void {
  const read = () => JSON.parse(readFileSync(file, 'utf8')) as ConnectorDocument
  const server = new WebSocketServer({ host: '127.0.0.1', port })
  server.on('listening', () => process.stdout.write('ready\n'))
  server.on('connection', (socket) => speak(socket, read))
}

function speak(socket: WebSocket, read: () => ConnectorDocument): void {
  const send = (message: FromControl) => socket.send(JSON.stringify(message))
  let told = 0
  let timer: NodeJS.Timeout | undefined
  const look = () => {
    const document = read()
    if (document.version <= told) return
    told = document.version
    send({ type: 'document', document })
  }
  socket.on('message', (data) => {
    const message = JSON.parse(String(data)) as FromConnector
    if (message.type === 'event') return
    process.stdout.write(`${JSON.stringify(message.report)}\n`)
    if (message.type !== 'hello') return
    send({ type: 'welcome', protocol: 1, now: Date.now(), version: read().version })
    told = message.report.version
    timer = setInterval(look, LOOK_MS)
  })
  socket.on('close', () => clearInterval(timer))
}

if (process.argv[1] === import.meta.filename) serve(Number(process.argv[2]), process.argv[3]!)
