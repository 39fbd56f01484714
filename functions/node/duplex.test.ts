import { once } from 'node:events'
import { connect as tlsConnect } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { streamProblem } from '../../protocol/stream-problem.ts'
import type { PeerTcp } from '../testing/peer.ts'
import { until } from '../testing/until.ts'
import { World } from '../testing/world.ts'
import { toDuplex } from './duplex.ts'

async function worldOf(tcp: (stream: PeerTcp) => void | Promise<void>): Promise<World> {
  return World.create({ connectors: [{ relay: false }], services: { tcp } })
}

async function echo(tcp: PeerTcp): Promise<void> {
  for (let chunk = await tcp.read(); chunk !== undefined; chunk = await tcp.read()) {
    await tcp.stream.drained()
    tcp.stream.write(chunk.slice())
  }
  tcp.stream.finish()
}

const DB = 'db.internal:5432'

describe('a Duplex', () => {
  test('connects, says where it is, and carries bytes to the end', async () => {
    const world = await worldOf(echo)
    const site = world.site()
    const duplex = toDuplex(site.connect(DB))
    expect({ connecting: duplex.connecting, pending: duplex.pending, state: duplex.readyState }).toEqual({
      connecting: true,
      pending: true,
      state: 'opening',
    })
    expect(duplex.setNoDelay().setKeepAlive().ref().unref().connect()).toBe(duplex)
    await once(duplex, 'connect')
    expect([duplex.remoteAddress, duplex.remotePort]).toEqual(['10.1.0.20', 8000])
    duplex.end(Buffer.alloc(1 << 20, 7))
    let had = 0
    for await (const chunk of duplex) {
      expect(chunk[0]).toBe(7)
      had += chunk.length
    }
    expect([had, duplex.bytesRead, duplex.bytesWritten]).toEqual([1 << 20, 1 << 20, 1 << 20])
    await until(() => duplex.destroyed)
    expect(duplex.readyState).toBe('closed')
    await site.close()
  })

  test('tells connect also to who asks later', async () => {
    const world = await worldOf(echo)
    const site = world.site()
    const duplex = toDuplex(site.connect(DB))
    await once(duplex, 'connect')
    await new Promise<void>((resolve) => duplex.connect(5432, 'db.internal', resolve))
    duplex.destroy()
    await until(() => world.peer.sessions[0]!.openStreams === 0)
    await site.close()
  })

  test('is destroyed with the reason of what broke it', async () => {
    const why = streamProblem('idle-timeout', 'Nothing came.', 'Raise it.')
    const world = await worldOf(({ stream }) => stream.abort(undefined, why))
    const site = world.site()
    const duplex = toDuplex(site.connect(DB))
    const [error] = await once(duplex, 'error')
    expect(error).toMatchObject(why)
    await site.close()
  })

  test('emits timeout after silence, and not where it is taken back', async () => {
    const world = await worldOf(echo)
    const site = world.site()
    const duplex = toDuplex(site.connect(DB))
    let wrong = 0
    const never = () => wrong++
    duplex.setTimeout(1, never)
    duplex.setTimeout(0, never)
    await once(duplex, 'connect')
    await new Promise<void>((resolve) => duplex.setTimeout(5, resolve))
    expect(wrong).toBe(0)
    expect(duplex.destroyed).toBe(false)
    duplex.destroy()
    await site.close()
  })

  test('ends with the service unless it may be half-open', async () => {
    const world = await worldOf(async (tcp) => {
      tcp.stream.finish()
      for (let chunk = await tcp.read(); chunk !== undefined; chunk = await tcp.read());
    })
    const site = world.site()
    const plain = toDuplex(site.connect(DB))
    plain.resume()
    await until(() => plain.destroyed)
    const options = { allowHalfOpen: true }
    const half = toDuplex(site.connect(DB, options), options)
    half.resume()
    await once(half, 'end')
    expect(half.writable).toBe(true)
    half.end('more')
    await until(() => half.destroyed)
    await until(() => world.peer.sessions[0]!.openStreams === 0)
    await site.close()
  })

  test('destroySoon writes what is there first', async () => {
    let heard = ''
    const world = await worldOf(async (tcp) => {
      for (let chunk = await tcp.read(); chunk !== undefined; chunk = await tcp.read()) {
        heard += new TextDecoder().decode(chunk)
      }
    })
    const site = world.site()
    const duplex = toDuplex(site.connect(DB))
    duplex.write('last words')
    duplex.destroySoon()
    await until(() => duplex.destroyed)
    await until(() => heard === 'last words')
    await site.close()
  })

  test('a loss after the last word is a close without an error, and before it an error', async () => {
    const world = await worldOf(async ({ read }) => {
      while ((await read()) !== undefined);
    })
    const site = world.site()
    const [done, busy] = [toDuplex(site.connect(DB)), toDuplex(site.connect(DB))]
    const errors: string[] = []
    done.on('error', () => errors.push('done'))
    busy.on('error', () => errors.push('busy'))
    await Promise.all([once(done, 'connect'), once(busy, 'connect')])
    const early = done.end('bye').resume()[Symbol.asyncIterator]().next()
    await once(done, 'finish')
    await site.close()
    await expect(early).rejects.toThrow(/premature/i)
    await until(() => done.destroyed && busy.destroyed)
    expect(errors).toEqual(['busy'])
  })

  test('TLS of Node goes over it: its first flight arrives', async () => {
    let first: Uint8Array | undefined
    const world = await worldOf(async (tcp) => {
      first = await tcp.read()
      tcp.stream.finish()
    })
    const site = world.site()
    const tls = tlsConnect({ socket: toDuplex(site.connect(DB)), servername: 'db.internal' })
    tls.on('error', () => undefined)
    await until(() => first !== undefined)
    // A handshake record of TLS.
    expect(first![0]).toBe(22)
    tls.destroy()
    await site.close()
  })
})
