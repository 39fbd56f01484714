import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { runDecode } from '../../connector/cli/decode/decode.ts'
import { readPcap } from '../../connector/cli/decode/pcap.ts'
import { framesOf, LINK, pcapFile } from './ike-captures.ts'
import { mutate, random } from './ike-mutate.ts'

const SEED = 179_3784
/** Far above what a capture of some kilobytes takes, and far below what a quadratic reader would. */
const SLOWEST_MS = 2000

const files = ['bird', 'exabgp', 'gobgp'].map((name) =>
  Uint8Array.from(readFileSync(new URL(`../vectors/bgp/${name}.pcap`, import.meta.url))),
)
const packets = files.flatMap((file) => framesOf(readPcap(file))).map(({ bytes }) => Uint8Array.from(bytes))

describe('isthmus decode', () => {
  it('takes 1,500 captures with mutated BGP and BFD packets', async () => {
    const next = random(SEED)
    const kinds = new Set<string>()
    for (let index = 0; index < 1500; index++) {
      const from = next(packets.length)
      const frames: Uint8Array[] = packets.slice(from, from + 1 + next(30))
      for (let times = next(5); times > 0; times--) frames[next(frames.length)] = mutate(packets, next)
      for (const line of await read(pcapFile(frames, { link: LINK.ethernet }), `input ${index}`))
        kinds.add(kindOf(line))
    }
    for (const kind of ['bgp', 'bgp malformed', 'bfd', 'bfd malformed', 'frame malformed'])
      expect(kinds).toContain(kind)
  })

  it('takes 3,000 mutated lines', async () => {
    const next = random(SEED + 1)
    // Behind the headers of Ethernet, IP and TCP with timestamps, or UDP.
    const payloads = packets
      .map((packet) => packet.subarray(packet[23] === 6 ? 66 : 42))
      .filter(({ length }) => length > 0)
    const kinds = new Set<string>()
    for (let index = 0; index < 3000; index++) {
      const text = `${Buffer.from(mutate(payloads, next).subarray(0, 4000)).toString('hex')}\n`
      for (const line of await read(Buffer.from(text), `input ${index}`)) kinds.add(kindOf(line))
    }
    for (const kind of ['bgp', 'bgp malformed', 'bfd', 'bfd malformed']) expect(kinds).toContain(kind)
  })
})

async function read(file: Uint8Array, label: string): Promise<string[]> {
  const lines: string[] = []
  const start = performance.now()
  await runDecode({ file: 'x' }, { readFile: () => file, stdout: (line) => lines.push(line), stderr: () => {} })
  if (performance.now() - start > SLOWEST_MS) throw new Error(`${label} lingers`)
  return lines
}

function kindOf(line: string): string {
  const { kind, malformed } = JSON.parse(line)
  return malformed === undefined ? kind : `${kind} malformed`
}
