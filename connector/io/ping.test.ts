import { describe, expect, it } from 'vitest'
import { address } from '../../protocol/net.ts'
import type { StartFailure } from '../handle.ts'
import { pingHost } from './ping.ts'
import { buildEcho, parseEcho, Tally } from './ping-echo.ts'

const cookie = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)

describe('echo messages', () => {
  it('carry a checksum that sums to all ones', () => {
    for (const payloadBytes of [16, 17, 1400]) {
      const echo = buildEcho({ family: 4, identifier: 0xbeef, sequence: 0x12345, cookie, payloadBytes })
      let sum = 0
      for (let i = 0; i < echo.length; i += 2) sum += (echo[i]! << 8) | (echo[i + 1] ?? 0)
      while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
      expect(sum).toBe(0xffff)
    }
  })

  it('are known again by cookie, beyond 16 bits of sequence number, with and without an IP header', () => {
    const reply = buildEcho({ family: 4, identifier: 1, sequence: 70_000, cookie, payloadBytes: 16 })
    reply[0] = 0
    expect(parseEcho(reply, 4, false, cookie)).toBe(70_000)
    const withHeader = new Uint8Array(24 + reply.length)
    withHeader[0] = 0x46
    withHeader.set(reply, 24)
    expect(parseEcho(withHeader, 4, true, cookie)).toBe(70_000)
    expect(parseEcho(reply, 4, false, new Uint8Array(8))).toBeUndefined()
    for (let length = 0; length < 20; length++) {
      expect(parseEcho(reply.slice(0, length), 4, false, cookie)).toBeUndefined()
    }
    reply[0] = 129
    expect(parseEcho(reply, 6, false, cookie)).toBe(70_000)
    expect(parseEcho(reply, 4, false, cookie)).toBeUndefined()
  })
})

describe('the tally', () => {
  it('counts losses and duplicates, and ranks round trips', () => {
    const tally = new Tally(4)
    for (let i = 0; i < 4; i++) tally.send(i * 10)
    expect(tally.receive(2, 25)).toBe(5)
    expect(tally.receive(2, 26)).toBeUndefined()
    expect(tally.receive(0, 1)).toBe(1)
    expect(tally.receive(3, 39)).toBe(9)
    expect(tally.receive(9, 40)).toBeUndefined()
    expect(tally.summary()).toEqual({
      sent: 4,
      received: 3,
      duplicates: 1,
      lossRatio: 0.25,
      rttMs: { min: 1, p50: 5, p99: 9, max: 9 },
      missing: [1],
    })
    expect(new Tally(1).summary()).toEqual({ sent: 0, received: 0, duplicates: 0, lossRatio: 0, missing: [] })
  })
})

/** Without CAP_NET_RAW and outside net.ipv4.ping_group_range nobody may ping: then this tells so. */
const refusal = await pingHost(address('127.0.0.1'), { count: 1 }).then(
  () => undefined,
  (error: StartFailure) => error,
)

if (refusal !== undefined) {
  it('says what is missing where nobody may ping', () => {
    if (process.env.CI === 'true') throw refusal
    process.stderr.write(`skipped: pingHost: ${refusal.message} ${refusal.remedy}\n`)
    expect(refusal.code).toMatch(/^(ping-permission|platform)$/)
    expect(refusal.remedy).not.toBe('')
  })
}

describe.runIf(refusal === undefined)('pingHost', () => {
  it('reaches loopback at a thousand a second', async () => {
    const replies: number[] = []
    const started = performance.now()
    const summary = await pingHost(address('127.0.0.1'), {
      count: 200,
      intervalMs: 1,
      onReply: ({ sequence }) => replies.push(sequence),
    })
    expect(performance.now() - started).toBeGreaterThan(198)
    expect(summary).toMatchObject({ sent: 200, received: 200, lossRatio: 0, missing: [] })
    expect(summary.rttMs!.p50).toBeLessThan(50)
    expect(replies).toHaveLength(200)
  })

  it('says why a source address is refused', async () => {
    await expect(pingHost(address('127.0.0.1'), { source: address('192.0.2.77'), count: 1 })).rejects.toMatchObject({
      code: 'ping-failed',
      message: expect.stringContaining('EADDRNOTAVAIL'),
    })
  })

  it('ends early when asked', async () => {
    const controller = new AbortController()
    const promise = pingHost(address('127.0.0.1'), { count: 1000, intervalMs: 100, signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    const { sent } = await promise
    expect(sent).toBeLessThan(20)
  })
})
