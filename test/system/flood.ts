/**
 * UDP as fast as one core sends it, in super-packets (UDP_SEGMENT), until it is ended:
 *
 *     flood.ts FROM TO PORT
 *
 * from and to PORT. Prints `ready` when it has begun. With TO `-` it holds PORT of FROM open instead, and reads nothing.
 */

import { writeSockaddr } from '../../connector/data/sockaddr.ts'
import { libc, Scratch, SOCK_DGRAM, setOption } from '../../connector/io/ffi.ts'
import { address } from '../../protocol/net.ts'

const AF_INET = 2
const IPPROTO_UDP = 17
const UDP_SEGMENT = 103
const SEGMENT = 200
const MESSAGE = 60 * SEGMENT
/** Messages between two looks at what else there is to do, such as ending. */
const AT_ONCE = 1000

const [from, to, port] = process.argv.slice(2)
const c = libc()
const fd = c.socket(AF_INET, SOCK_DGRAM, 0)
const name = new Scratch(32)
const bindLength = writeSockaddr(name.view, 0, { address: address(from!), port: Number(port) })
if (c.bind(fd, name.address, bindLength) < 0) throw new Error(`no socket on ${from}:${port}`)
process.stdout.write('ready\n')
if (to === '-') setInterval(() => undefined, 1000)
else flood(address(to!))

function flood(target: ReturnType<typeof address>): void {
  if (!setOption(fd, IPPROTO_UDP, UDP_SEGMENT, SEGMENT)) throw new Error('no UDP_SEGMENT')
  const nameLength = writeSockaddr(name.view, 0, { address: target, port: Number(port) })
  const data = new Scratch(MESSAGE)
  const go = (): void => {
    for (let i = 0; i < AT_ONCE; i++) c.sendto(fd, data.address, MESSAGE, 0, name.address, nameLength)
    setImmediate(go)
  }
  go()
}
