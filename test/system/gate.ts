/**
 * A gate before the control plane, by which a test stops time between two messages of the links:
 *
 *     gate.ts ADDRESS PORT TARGET_PORT UNIX_SOCKET
 *
 * Connections to ADDRESS:PORT go on to ADDRESS:TARGET_PORT. Of those that become WebSockets, each whole data frame
 * (RFC 6455 section 5.2) counts, whichever way it goes. HTTP on UNIX_SOCKET goes to the control plane too, so that a
 * test outside the namespace can ask it; except:
 *
 *     POST /gate/hold?after=N    counts anew; the N-th message from now is held back, and everything behind it
 *     POST /gate/release         lets go what is held
 *     GET  /gate                 { count, held }
 *
 * Prints `ready`.
 */
import { createServer as createHttpServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'

const [address, portText, targetText, unixSocket] = process.argv.slice(2)
const target = { host: address!, port: Number(targetText) }

let count = 0
let holdAt = 0
let held = false
const waiting: (() => void)[] = []

/** Calls `forward` now, or when the gate opens; `message` counts. */
function pass(message: boolean, forward: () => void): void {
  if (message) count++
  if (message && count === holdAt) held = true
  if (held) waiting.push(forward)
  else forward()
}

const gate = createServer((from) => {
  const to = connect(target)
  pipe(from, to)
  pipe(to, from)
})

/** Bytes of one way, cut where the HTTP head ends and then at the frames. */
function pipe(from: Socket, to: Socket): void {
  let rest: Buffer = Buffer.alloc(0)
  let inFrames = false
  from.setNoDelay(true)
  from.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    for (;;) {
      const length = inFrames ? frameLength(rest) : headLength(rest)
      if (length === undefined || rest.length < length) return
      const part = rest.subarray(0, length)
      rest = rest.subarray(length)
      pass(inFrames && (part[0]! & 0x0f) <= 2, () => to.write(part))
      if (!inFrames) inFrames = /^(GET|HTTP\/1\.1 101) .*\r\nupgrade: websocket/is.test(part.toString('latin1'))
    }
  })
  from.on('end', () => pass(false, () => to.end()))
  from.on('close', () => pass(false, () => to.destroy()))
  from.on('error', () => from.destroy())
}

/** An HTTP head with its body; a request to join is no WebSocket. */
function headLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = bytes.subarray(0, end).toString('latin1')
  return end + 4 + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
}

function frameLength(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined
  const short = bytes[1]! & 0x7f
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0
  if (bytes.length < 2 + extended) return undefined
  const payload = extended === 2 ? bytes.readUInt16BE(2) : extended === 8 ? Number(bytes.readBigUInt64BE(2)) : short
  return 2 + extended + (bytes[1]! & 0x80 ? 4 : 0) + payload
}

function command(incoming: IncomingMessage, answer: ServerResponse): void {
  const url = new URL(incoming.url ?? '/', 'http://gate')
  if (url.pathname === '/gate/hold') {
    count = 0
    holdAt = Number(url.searchParams.get('after'))
  } else if (url.pathname === '/gate/release') {
    held = false
    holdAt = 0
    for (const forward of waiting.splice(0)) forward()
  }
  answer.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ count, held }))
}

const outside = createHttpServer((incoming, answer) => {
  if (incoming.url?.startsWith('/gate')) return command(incoming, answer)
  const { method = 'GET', url: path = '/', headers } = incoming
  const onward = request({ ...target, method, path, headers }, (response) => {
    answer.writeHead(response.statusCode ?? 502, response.headers)
    response.pipe(answer)
  })
  onward.on('error', () => answer.destroy())
  incoming.pipe(onward)
})

gate.listen(Number(portText), address, () => outside.listen(unixSocket, () => process.stdout.write('ready\n')))
