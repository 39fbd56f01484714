/**
 * A BGP neighbour that only tells, so that two daemons hear the same octets at the same speed:
 *
 *     routing-feed.ts FILE LOCAL REMOTE AS
 *
 * It calls REMOTE, prints `established`, sends FILE when SIGUSR1 comes, prints the time of day in milliseconds of its
 * first octet (`began N`) and of the last one that the kernel took (`ended N`), and goes on with KEEPALIVEs.
 */

import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { encodeEndOfRib, encodeKeepalive, encodeOpen } from '../../connector/core/bgp/wire/codec.ts'
import { MESSAGE } from '../../connector/core/bgp/wire/constants.ts'
import { type FeedOptions, feed } from './rib-feed.ts'

const HOLD_SECONDS = 180
const KEEPALIVE_MS = 20_000
const RETRY_MS = 500
const TYPE_AT = 18
const CHUNK = 1 << 18

if (process.argv[1] === import.meta.filename) {
  const [file, local, remote, as] = process.argv.slice(2)
  run(readFileSync(file!), local!, remote!, Number(as))
}

/** The messages one after the other, and End-of-RIB of both families behind them. Returns the octets. */
export async function writeFeed(file: string, feeds: readonly FeedOptions[]): Promise<number> {
  const stream = createWriteStream(file)
  let octets = 0
  const write = async (parts: readonly Uint8Array[]): Promise<void> => {
    const bytes = Buffer.concat(parts)
    octets += bytes.length
    if (!stream.write(bytes)) await once(stream, 'drain')
  }
  let parts: Uint8Array[] = []
  for (const options of feeds) {
    for (const message of feed(options)) {
      if (parts.push(message) < 1_000) continue
      await write(parts)
      parts = []
    }
  }
  await write([...parts, encodeEndOfRib({ afi: 1, safi: 1 }), encodeEndOfRib({ afi: 2, safi: 1 })])
  stream.end()
  await once(stream, 'close')
  return octets
}

function run(octets: Buffer, local: string, remote: string, as: number): void {
  const socket = connect({ host: remote, port: 179, localAddress: local })
  socket.setNoDelay(true)
  let isUp = false
  socket.once('connect', () => socket.write(openOf(local, as)))
  socket.on('error', () => undefined)
  socket.on('close', () => {
    if (isUp) process.exit(1)
    setTimeout(() => run(octets, local, remote, as), RETRY_MS)
  })
  // What it says is of no interest after its OPEN, which is its first message.
  socket.on('data', (bytes: Buffer) => {
    if (isUp || bytes[TYPE_AT] !== MESSAGE.OPEN) return
    isUp = true
    socket.write(encodeKeepalive())
    let isTelling = false
    // Not between two pieces of a message; what is told keeps the session alive as well.
    setInterval(() => isTelling || socket.write(encodeKeepalive()), KEEPALIVE_MS)
    process.once('SIGUSR1', async () => {
      isTelling = true
      await tell(socket, octets)
      isTelling = false
    })
    process.stdout.write('established\n')
  })
}

async function tell(socket: Socket, octets: Buffer): Promise<void> {
  process.stdout.write(`began ${Date.now()}\n`)
  for (let at = 0; at < octets.length; at += CHUNK) {
    if (!socket.write(octets.subarray(at, at + CHUNK))) await once(socket, 'drain')
  }
  process.stdout.write(`ended ${Date.now()}\n`)
}

function openOf(local: string, as: number): Uint8Array {
  const identifier = local.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0)
  return encodeOpen({
    type: 'OPEN',
    version: 4,
    myAs: as,
    holdTime: HOLD_SECONDS,
    bgpIdentifier: identifier,
    capabilities: [
      { type: 'multiprotocol', afi: 1, safi: 1 },
      { type: 'multiprotocol', afi: 2, safi: 1 },
      { type: 'four-octet-as', asn: as },
    ],
  })
}
