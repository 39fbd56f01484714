/** Two packet workers in real threads, on loopback: what a device would give comes from socket pairs. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { address, prefix } from '../../protocol/net.ts'
import { blockOf } from '../../protocol/prefix-block.ts'
import { ANY4 } from '../../wasm/testing/selectors.ts'
import type { InstallChild } from '../data/commands.ts'
import { libc, O_CLOEXEC, O_NONBLOCK, Scratch, SOCK_SEQPACKET } from './ffi.ts'
import { PacketWorkers } from './packet-workers.ts'
import { closeSockets, openSockets } from './sockets.ts'
import { freePort } from './testing/free-port.ts'

const AF_UNIX = 1
const HERE = { address: address('127.0.0.1'), port: await freePort() }

/** Sends to itself, and opens what it sealed: the same SPI and key both ways. */
function loop(id: number, spi: number): InstallChild {
  const keys = { suite: 'aes-128-gcm' as const, salt: new Uint8Array(4), spi, esn: false, tunnel: 0 }
  const key = (): Uint8Array => new Uint8Array(16).fill(id + 1)
  return {
    id,
    inbound: { ...keys, key: key(), replayWindow: 64, local: ANY4, remote: ANY4 },
    outbound: { ...keys, key: key(), endpoint: 0, local: ANY4, remote: ANY4 },
    remote: HERE,
    encapsulation: 'udp',
    socket: 0,
  }
}

function packet(tail: number): Uint8Array {
  const bytes = new Uint8Array(40).fill(tail, 20)
  bytes.set([0x45, 0, 0, 40, 0, 1, 0, 0, 64, 253, 0x6a, 0x9b, 10, 0, 0, 1, 10, 1, 0, 1])
  let sum = 0
  bytes.set([0, 0], 10)
  for (let i = 0; i < 20; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  bytes.set([(~sum >> 8) & 255, ~sum & 255], 10)
  return bytes
}

describe('packet workers', () => {
  const queues: { worker: number; host: number }[] = []
  const sockets = () => openSockets([{ kind: 'udp', local: HERE }], { gso: false, gro: false }, 2)
  let opened: ReturnType<typeof sockets>
  let workers: PacketWorkers

  beforeEach(async () => {
    const pair = new Scratch(8)
    for (let i = 0; i < 2; i++) {
      libc().socketpair(AF_UNIX, SOCK_SEQPACKET | O_NONBLOCK | O_CLOEXEC, 0, pair.address)
      queues.push({ worker: pair.view.getInt32(0, true), host: pair.view.getInt32(4, true) })
    }
    opened = sockets()
    workers = new PacketWorkers({
      queues: queues.map(({ worker }) => worker),
      sockets: opened,
      lanFormat: { header: false, datagrams: false },
      engine: 'node',
      onReport: () => undefined,
      onFailure: (failure) => {
        throw failure
      },
    })
    expect((await workers.start()).map(({ kind }) => kind)).toEqual(['node', 'node'])
    for (const worker of [0, 1]) {
      await workers.call(worker, { type: 'group', handle: 0, tunnels: [0] })
      await workers.call(worker, { type: 'routes', prefixes: blockOf(4, [prefix('10.1.0.0/16')]), group: 0 })
    }
  })

  afterEach(async () => {
    expect(await workers.stop()).toBe(true)
    closeSockets(opened.flat())
    for (const { worker, host } of queues.splice(0)) for (const fd of [worker, host]) libc().close(fd)
  })

  const tunnel = (worker: number, children: number[], handOver?: number) => {
    const settings = { handle: 0, pathMtu: 1500, clampMss: true, copyDscp: true, children }
    return workers.call(worker, {
      type: 'tunnel',
      tunnel: { ...settings, ...(handOver === undefined ? {} : { handOver }) },
    })
  }

  function give(worker: number, bytes: Uint8Array): void {
    const scratch = new Scratch(bytes.length)
    scratch.bytes.set(bytes)
    expect(libc().write(queues[worker]!.host, scratch.address, bytes.length)).toBe(bytes.length)
  }

  async function taken(worker: number): Promise<Uint8Array> {
    const scratch = new Scratch(2048)
    for (;;) {
      const length = libc().read(queues[worker]!.host, scratch.address, 2048)
      if (length > 0) return scratch.bytes.slice(0, length)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  it('hand over, seal, and get back from the kernel what is theirs by SPI', async () => {
    await workers.call(1, { type: 'install-child', child: loop(1, 0x10001) })
    await tunnel(1, [1])
    await tunnel(0, [], 1)
    give(0, packet(1))
    expect(await taken(1)).toEqual(packet(1))
    give(1, packet(2))
    expect(await taken(1)).toEqual(packet(2))
    await workers.call(0, { type: 'install-child', child: loop(2, 0x10010) })
    await tunnel(0, [2])
    give(0, packet(3))
    expect(await taken(0)).toEqual(packet(3))
    const [, last] = await Promise.all(
      [0, 1].map((worker) => workers.call(worker, { type: 'remove-child', id: 2 - worker })),
    )
    expect(last!.counters).toMatchObject({ id: 1, inbound: { packets: 2 }, outbound: { packets: 2 } })
    await expect.poll(() => workers.loads.map(({ handedOver }) => handedOver), { timeout: 5000 }).toEqual([1, 0])
  })

  it('add up what they dropped', async () => {
    for (const worker of [0, 1]) {
      await tunnel(worker, [])
      give(worker, packet(worker))
    }
    await expect.poll(() => workers.drops, { timeout: 5000 }).toEqual({ no_sa: 2 })
    expect(workers.segmentsRefused).toBe(0)
  })

  it('refuse commands for one that is not there, and all commands once they are stopped', async () => {
    const command = { type: 'remove-child', id: 1 } as const
    await expect(workers.call(2, command)).rejects.toThrow('no packet worker 2')
    expect(await workers.call(1, command)).toEqual({})
    expect(await workers.stop()).toBe(true)
    for (const worker of [0, 1]) await expect(workers.call(worker, command)).rejects.toThrow('has ended')
  })
})
