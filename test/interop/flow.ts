/**
 * A two-way flow of numbered UDP datagrams, to count losses. Run one at each end:
 *
 *     flow.ts LOCAL REMOTE PORT RATE SECONDS
 *
 * Both ends first greet each other, then each sends RATE datagrams per second for SECONDS and prints one JSON line
 * `{sent, received, duplicates, missing}` when it has heard everything, or nothing new for three seconds.
 */
import { createSocket } from 'node:dgram'

export interface FlowResult {
  readonly sent: number
  readonly received: number
  readonly duplicates: number
  /** First sequence numbers that never came, at most 20. */
  readonly missing: readonly number[]
}

const HELLO = 0
const READY = 1
const DATA = 2
const GIVE_UP_MS = 3000
const GREETING_LIMIT_MS = 30_000

if (process.argv[1] === import.meta.filename) {
  const [local, remote, port, rate, seconds] = process.argv.slice(2)
  runFlow(local!, remote!, Number(port), Number(rate), Number(seconds)).then(
    (result) => {
      process.stdout.write(`${JSON.stringify(result)}\n`)
      process.exit(0)
    },
    (error: Error) => {
      process.stderr.write(`${error.message}\n`)
      process.exit(1)
    },
  )
}

function runFlow(local: string, remote: string, port: number, rate: number, seconds: number): Promise<FlowResult> {
  const total = rate * seconds
  const seen = new Uint8Array(total)
  const socket = createSocket({ type: local.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 })
  let heard = false
  let started = 0
  let sent = 0
  let received = 0
  let duplicates = 0
  let lastNews = performance.now()

  const send = (kind: number, sequence: number): void => {
    const datagram = Buffer.alloc(64)
    datagram.writeUInt32BE(kind, 0)
    datagram.writeUInt32BE(sequence, 4)
    socket.send(datagram, port, remote, () => undefined)
  }

  socket.on('message', (datagram) => {
    const kind = datagram.readUInt32BE(0)
    if (kind === HELLO || kind === READY) {
      heard = true
      if (kind === HELLO) send(READY, 0)
      return
    }
    heard = true
    const sequence = datagram.readUInt32BE(4)
    if (seen[sequence] !== 0) duplicates++
    else {
      seen[sequence] = 1
      received++
      lastNews = performance.now()
    }
  })
  // Before the other end listens, the kernel reports its refusals here.
  socket.on('error', () => undefined)

  return new Promise((resolve, reject) => {
    socket.bind(port, local, () => {
      const birth = performance.now()
      const timer = setInterval(() => {
        const now = performance.now()
        if (!heard) {
          if (now - birth > GREETING_LIMIT_MS) {
            clearInterval(timer)
            reject(new Error(`nothing heard from ${remote} within ${GREETING_LIMIT_MS / 1000} s`))
          } else if (Math.floor((now - birth) / 50) !== Math.floor((now - birth - 1) / 50)) send(HELLO, 0)
          return
        }
        if (started === 0) {
          started = now
          lastNews = now
        }
        const due = Math.min(total, Math.floor(((now - started) * rate) / 1000))
        while (sent < due) send(DATA, sent++)
        const silent = now - lastNews > GIVE_UP_MS
        if (sent === total && (received === total || silent)) {
          clearInterval(timer)
          const missing: number[] = []
          for (let i = 0; i < total && missing.length < 20; i++) if (seen[i] === 0) missing.push(i)
          // The other end may still be waiting for the kernel to hand over our last datagrams.
          setTimeout(() => resolve({ sent, received, duplicates, missing }), 100)
        }
      }, 1)
    })
  })
}
