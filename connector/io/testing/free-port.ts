import { createSocket } from 'node:dgram'

/** A UDP port of 127.0.0.1 that nobody has at the moment. */
export function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address()
      socket.close(() => resolve(port))
    })
  })
}
