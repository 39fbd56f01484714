/**
 * A flow of numbered datagrams with the time of day in each, to see how long it was interrupted:
 *
 *     routing-flow.ts receive ADDRESS PORT
 *     routing-flow.ts send FROM TO PORT RATE
 *
 * At SIGTERM the sender prints `sent N`, and the receiver a `FlowReport` as a line of JSON.
 */
import { createSocket } from 'node:dgram'
import type { World } from '../system/netns.ts'
import { until } from '../system/until.ts'

const BYTES = 64
const TICK_MS = 1
/** Nothing new for so long: what is missing does not come any more. */
const QUIET_MS = 500

interface FlowReport {
  readonly received: number
  /** From what was sent last before it to what was sent first after it, in milliseconds; the longest. */
  readonly gapMs: number
}

export interface FlowResult extends FlowReport {
  readonly sent: number
  readonly lost: number
}

export interface Flow {
  stop(): Promise<FlowResult>
}

export interface FlowEnd {
  readonly ns: string
  readonly address: string
}

if (process.argv[1] === import.meta.filename) {
  const [role, ...words] = process.argv.slice(2)
  if (role === 'receive') receive(words[0]!, Number(words[1]))
  else send(words[0]!, words[1]!, Number(words[2]), Number(words[3]))
}

/** Datagrams of `rate` a second, until they are stopped. */
export async function startFlow(world: World, from: FlowEnd, to: FlowEnd, port: number, rate: number): Promise<Flow> {
  const words = [process.execPath, import.meta.filename]
  const receiver = world.spawn(to.ns, [...words, 'receive', to.address, String(port)])
  await receiver.waitFor(/^ready$/m)
  const sender = world.spawn(from.ns, [...words, 'send', from.address, to.address, String(port), String(rate)])
  await sender.waitFor(/^sending$/m)
  return {
    stop: async () => {
      process.kill(sender.pid, 'SIGTERM')
      const sent = Number((await sender.waitFor(/^sent (\d+)$/m))[1])
      process.kill(receiver.pid, 'SIGTERM')
      const report = JSON.parse((await receiver.waitFor(/^\{.*\}$/m))[0]) as FlowReport
      return { ...report, sent, lost: sent - report.received }
    },
  }
}

/** Both ways at once. */
export async function startFlows(world: World, one: FlowEnd, other: FlowEnd, rate: number): Promise<Flow[]> {
  return Promise.all([startFlow(world, one, other, 7000, rate), startFlow(world, other, one, 7001, rate)])
}

function receive(address: string, port: number): void {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
  let received = 0
  let highest = -1
  let sentAt = 0
  let gapMs = 0
  let lastNews = performance.now()
  socket.on('message', (datagram) => {
    const number = datagram.readUInt32BE(0)
    const at = datagram.readDoubleBE(8)
    received++
    lastNews = performance.now()
    if (number > highest + 1 && highest >= 0) gapMs = Math.max(gapMs, at - sentAt)
    if (number > highest) [highest, sentAt] = [number, at]
  })
  process.once('SIGTERM', async () => {
    await until('the last datagrams', () => performance.now() - lastNews > QUIET_MS)
    process.stdout.write(`${JSON.stringify({ received, gapMs } satisfies FlowReport)}\n`, () => process.exit(0))
  })
  socket.bind(port, address, () => process.stdout.write('ready\n'))
}

function send(from: string, to: string, port: number, rate: number): void {
  const socket = createSocket({ type: 'udp4', sendBufferSize: 4 << 20 })
  socket.on('error', () => undefined)
  let sent = 0
  let isEnding = false
  process.once('SIGTERM', () => {
    isEnding = true
  })
  socket.bind(0, from, () => {
    const began = performance.now()
    process.stdout.write('sending\n')
    const timer = setInterval(() => {
      if (isEnding) {
        clearInterval(timer)
        socket.close(() => process.stdout.write(`sent ${sent}\n`, () => process.exit(0)))
        return
      }
      const due = Math.floor(((performance.now() - began) * rate) / 1000)
      while (sent < due) {
        const datagram = Buffer.alloc(BYTES)
        datagram.writeUInt32BE(sent++, 0)
        datagram.writeDoubleBE(performance.timeOrigin + performance.now(), 8)
        socket.send(datagram, port, to)
      }
    }, TICK_MS)
  })
}
