/**
 * Brings connections from a port within a namespace to a Unix socket, which lies in no namespace: `node forward.ts <port>
 * <socket>`. So a process in a namespace reaches the EC2 stand-in, which runs outside of all.
 */
import { connect, createServer } from 'node:net'

const [port, socket] = process.argv.slice(2)
const server = createServer((near) => {
  const far = connect(socket!)
  near.pipe(far).pipe(near)
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.on('error', () => other.destroy())
    one.on('close', () => other.destroy())
  }
})
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'))
