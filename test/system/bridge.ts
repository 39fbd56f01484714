/**
 * One end of a bad wire between two namespaces:
 *
 *     bridge.ts DEVICE SOCKET listen|connect LOST_PERCENT LATE_PERCENT [DELAY_MS]
 *
 * What is sent into the TUN device DEVICE comes out of that of the other end, packet by packet, but for what is lost;
 * some packets are overtaken by the next few, and each is on its way for DELAY_MS. Prints `ready` when both ends are
 * there.
 */
import { openSync, read, writeSync } from 'node:fs'
import { createServer, connect as dial, type Socket } from 'node:net'
import { libc, Scratch } from '../../connector/io/ffi.ts'
import { Random } from '../../wasm/testing/differential-random.ts'

const TUNSETIFF = 0x400454ca
const IFF_TUN_NO_PI = 0x1001
const PACKET_BYTES = 2048
/** How many packets overtake a late one. */
const OVERTAKEN_BY = 3
const READERS = 4

const [device, path, role, lost, late, delay] = process.argv.slice(2)
const random = new Random(role === 'listen' ? 1 : 2)
const tun = openTun(device!)

process.stdout.write('device\n')
if (role === 'listen') createServer(join).listen(path)
else
  dial(path!, function (this: Socket) {
    join(this)
  })

function openTun(name: string): number {
  const fd = openSync('/dev/net/tun', 'r+')
  const request = new Scratch(40)
  request.bytes.set(new TextEncoder().encode(name))
  request.view.setUint16(16, IFF_TUN_NO_PI, true)
  if (libc().ioctl(fd, TUNSETIFF, request.address) < 0) throw new Error(`no device ${name}`)
  return fd
}

function join(socket: Socket): void {
  socket.setNoDelay(true)
  const send = disturb((packet) => {
    const frame = Buffer.allocUnsafe(2 + packet.length)
    frame.writeUInt16BE(packet.length)
    packet.copy(frame, 2)
    if (delay === undefined) socket.write(frame)
    else setTimeout(() => socket.write(frame), Number(delay))
  })
  for (let i = 0; i < READERS; i++) readOn(Buffer.alloc(PACKET_BYTES), send)
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    let at = 0
    for (; rest.length >= at + 2 && rest.length >= at + 2 + rest.readUInt16BE(at); at += 2 + rest.readUInt16BE(at)) {
      put(rest.subarray(at + 2, at + 2 + rest.readUInt16BE(at)))
    }
    rest = rest.subarray(at)
  })
  process.stdout.write('ready\n')
}

function readOn(buffer: Buffer, send: (packet: Buffer) => void): void {
  read(tun, buffer, 0, PACKET_BYTES, null, (error, bytes) => {
    if (error === null && bytes > 0) send(Buffer.from(buffer.subarray(0, bytes)))
    readOn(buffer, send)
  })
}

/** The device may be down, or full: then the packet is lost. */
function put(packet: Buffer): void {
  try {
    writeSync(tun, packet)
  } catch {
    // As on any wire.
  }
}

function disturb(send: (packet: Buffer) => void): (packet: Buffer) => void {
  const waiting: { packet: Buffer; left: number }[] = []
  return (packet) => {
    if (random.chance(Number(lost))) return
    if (random.chance(Number(late))) {
      waiting.push({ packet, left: OVERTAKEN_BY })
      return
    }
    send(packet)
    for (const each of waiting) each.left--
    while (waiting[0] !== undefined && waiting[0].left <= 0) send(waiting.shift()!.packet)
  }
}
