/** Bytes that tell their position, over TCP from one namespace to another, with a digest at both ends. */
import type { World } from './netns.ts'

const BLOCK = 65536

/** No two blocks are equal, and no block is a shift of another. */
const PATTERN = `
  const { createHash } = require('node:crypto')
  const net = require('node:net')
  const hash = createHash('sha256')
  const block = Buffer.alloc(${BLOCK})
  for (let i = 0; i < block.length; i += 4) block.writeUInt32LE(Math.imul(i + 1, 2654435761) >>> 0, i)
`

/** Milliseconds in which `stream` should certainly be through, at 8 Mbit/s. */
export function streamMs(megabytes: number): number {
  return 60_000 + 1000 * megabytes
}

/** Sends from `from` to `to`, where `host` is; throws unless every byte arrives as it was sent. */
export async function stream(world: World, from: string, to: string, host: string, megabytes: number): Promise<void> {
  const receive = `${PATTERN}
    net.createServer((socket) => {
      socket.on('data', (data) => hash.update(data))
      socket.on('end', () => console.log('sha256 ' + hash.digest('hex')))
    }).listen(8090, '${host}', () => console.log('listening'))`
  const send = `${PATTERN}
    const socket = net.connect(8090, '${host}')
    let number = 0
    const go = () => {
      for (;;) {
        if (number === ${(megabytes << 20) / BLOCK}) {
          socket.end()
          console.log('sha256 ' + hash.digest('hex'))
          return
        }
        block.writeUInt32LE(number++, (number * 4) % ${BLOCK})
        hash.update(block)
        if (!socket.write(Buffer.from(block))) return socket.once('drain', go)
      }
    }
    socket.on('connect', go)`
  const server = world.spawn(to, [process.execPath, '-e', receive])
  await server.waitFor(/listening/)
  const sent = (
    await world.exec(from, [process.execPath, '-e', send], { timeoutMs: streamMs(megabytes) })
  ).stdout.trim()
  const [received] = await server.waitFor(/sha256 \w+/, 60_000)
  await server.stop()
  if (sent !== received) throw new Error(`sent ${sent}, received ${received}`)
}
