/**
 * Numbered UDP datagrams, to see what of each flow arrives and in which order:
 *
 *     sequence.ts receive ADDRESS PORT FLOWS
 *     sequence.ts send FROM TO PORT RATE COUNT...
 *
 * Flow i goes from and to port PORT + i and has the i-th COUNT of datagrams, RATE a second. The receiver prints `ready`,
 * and at SIGTERM one line of JSON with an `Arrivals` for each flow; the sender prints `sending`, ends when all are sent,
 * or at SIGTERM, and then prints `sent` and how many they were, of each flow.
 */
import { createSocket, type Socket } from 'node:dgram'

export interface Arrivals {
  readonly received: number
  /** Datagrams that came after one with a higher number. */
  readonly late: number
  readonly duplicates: number
}

const BYTES = 64
const TICK_MS = 2

const [role, ...words] = process.argv.slice(2)
if (role === 'receive') receive(words[0]!, Number(words[1]), Number(words[2]))
else await send(words[0]!, words[1]!, Number(words[2]), Number(words[3]), words.slice(4).map(Number))

function socketFor(address: string, port: number): Promise<Socket> {
  const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 })
  return new Promise((resolve) => socket.bind(port, address, () => resolve(socket)))
}

async function receive(address: string, port: number, flows: number): Promise<void> {
  const arrivals = Array.from({ length: flows }, () => ({ received: 0, late: 0, duplicates: 0 }))
  for (const [flow, counts] of arrivals.entries()) {
    const seen = new Set<number>()
    let highest = -1
    const socket = await socketFor(address, port + flow)
    socket.on('message', (datagram) => {
      const number = datagram.readUInt32BE(0)
      if (seen.has(number)) counts.duplicates++
      else counts.received++
      if (number < highest) counts.late++
      seen.add(number)
      highest = Math.max(highest, number)
    })
  }
  process.once('SIGTERM', () => {
    process.stdout.write(`${JSON.stringify(arrivals)}\n`, () => process.exit(0))
  })
  process.on('SIGUSR2', () => process.stdout.write(`${arrivals.map(({ received }) => received).join(' ')} so far\n`))
  process.stdout.write('ready\n')
}

async function send(from: string, to: string, port: number, rate: number, counts: number[]): Promise<void> {
  const sockets = await Promise.all(counts.map((_, flow) => socketFor(from, port + flow)))
  for (const socket of sockets) socket.on('error', () => undefined)
  const start = performance.now()
  let most = Math.max(...counts)
  let left = 0
  let done = 0
  process.once('SIGTERM', () => {
    most = done
  })
  process.stdout.write('sending\n')
  while (done < most) {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
    const due = Math.min(most, Math.floor(((performance.now() - start) * rate) / 1000))
    for (; done < Math.min(most, due); done++) {
      for (const [flow, socket] of sockets.entries()) {
        if (done >= counts[flow]!) continue
        const datagram = Buffer.alloc(BYTES)
        datagram.writeUInt32BE(done, 0)
        left++
        socket.send(datagram, port + flow, to, () => {
          left--
        })
      }
    }
  }
  while (left > 0) await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  for (const socket of sockets) socket.close()
  process.stdout.write(`sent ${counts.map((count) => Math.min(count, done)).join(' ')}\n`)
}
