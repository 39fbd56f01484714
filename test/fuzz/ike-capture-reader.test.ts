import { describe, expect, it } from 'vitest'
import { openCapture } from '../../connector/cli/decode/capture.ts'
import { NO_KEYS } from '../../connector/cli/decode/keys.ts'
import { Decoder } from '../../connector/cli/decode/records.ts'
import {
  enhancedPacket,
  framed,
  interfaceBlock,
  join,
  LINK,
  pcapFile,
  sectionHeader,
  simplePacket,
  VECTORS,
  vectorPackets,
} from './ike-captures.ts'
import { mutate, random } from './ike-mutate.ts'

const SEED = 41_968

const links = Object.values(LINK)
const packets = VECTORS.flatMap((name) => vectorPackets(name).slice(0, 8))

function pcaps(): Uint8Array[] {
  return links.map((link, index) => {
    const frames = packets.slice(index, index + 6).map((packet) => framed(link, packet))
    return pcapFile(frames, { link, little: index % 2 === 0, nano: index % 3 === 0 })
  })
}

function pcapngs(): Uint8Array[] {
  return links.map((link, index) => {
    const options = { little: index % 2 === 0 }
    const frames = packets.slice(index, index + 4).map((packet) => framed(link, packet))
    const blocks = frames.map((frame) => enhancedPacket(frame, 1_700_000_000_000_000n, options))
    const interfaces = [interfaceBlock(link, { ...options, tsresol: 9 }), interfaceBlock(101, options)]
    return join(sectionHeader(options), ...interfaces, ...blocks, simplePacket(frames[0]!, options))
  })
}

function hexFiles(): Uint8Array[] {
  return [0, 1, 2].map((part) => {
    const lines = packets
      .slice(part * 3, part * 3 + 3)
      .map((packet) => Buffer.from(packet.subarray(28)).toString('hex'))
    return Buffer.from(`# part ${part}\n192.0.2.1:500 > [2001:db8::1]:500 ${lines.join('\n')}\n`)
  })
}

describe.each([
  ['pcap', pcaps(), 6000],
  ['pcapng', pcapngs(), 6000],
  ['hex', hexFiles(), 3000],
])('mutated %s files', (_name, pool, count) => {
  it('never throw, never end up with more records than bytes, and do not linger', () => {
    const next = random(SEED)
    let records = 0
    let faults = 0
    for (let index = 0; index < count; index++) {
      const file = mutate(pool, next)
      const start = performance.now()
      const capture = openCapture(file)
      if ('refused' in capture) continue
      const decoder = new Decoder(NO_KEYS)
      let frames = 0
      for (const frame of capture.frames) {
        if (++frames > file.length) throw new Error(`seed ${SEED}, input ${index}: more frames than bytes`)
        const record = decoder.records(frame)?.[0]
        if (record !== undefined) records++
        if (record?.malformed !== undefined) faults++
      }
      const took = performance.now() - start
      if (took > 1000) throw new Error(`seed ${SEED}, input ${index}: took ${took} ms`)
    }
    expect(records).toBeGreaterThan(count)
    expect(faults).toBeGreaterThan(count / 4)
  })
})
