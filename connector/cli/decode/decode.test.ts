import { describe, expect, it } from 'vitest'
import { framesOf, VECTORS, vectorDatagrams, vectorFile } from '../../../test/fuzz/ike-captures.ts'
import { PAYLOAD } from '../../core/ike/wire/codec.ts'
import { runDecode } from './decode.ts'
import { readPcap } from './pcap.ts'

describe.each(VECTORS)('the recorded %s session of two strongSwan daemons', (name) => {
  const files = { cap: vectorFile(`${name}.pcap`), keys: vectorFile(`${name}.keys.json`) }

  it('is decrypted from the first to the last packet', async () => {
    const { code, records } = await decode(files, 'cap', 'keys')
    expect(code).toBe(0)
    expect(records).toHaveLength(framesOf(readPcap(files.cap)).length)
    const sealed = records
      .flatMap((record) => [record, ...(record.payloads ?? [])])
      .filter((each) => 'decryption' in each)
    expect(sealed.length).toBe(records.length - 2)
    expect(sealed.filter(({ decryption }) => decryption !== 'ok')).toEqual([])
    expect(records.filter(({ malformed }) => malformed !== undefined)).toEqual([])
  })

  it('tells one consistent story: the SPIs of the negotiation are those of the ESP packets', async () => {
    const { records } = await decode(files, 'cap', 'keys')
    const offered = contents(records)
      .filter(({ type }) => type === 'SA')
      .flatMap(({ proposals }) => proposals)
      .filter(({ protocolName }) => protocolName === 'ESP')
      .map(({ spi }) => `0x${spi}`)
    const used = new Set(records.filter(({ kind }) => kind === 'esp').map(({ spi }) => spi))
    expect(used.size).toBe(4)
    expect([...used].sort()).toEqual(offered.sort())
  })

  it('shows the pings inside: 68 and 428 bytes from site to site', async () => {
    const { records } = await decode(files, 'cap', 'keys')
    const inner = records.filter(({ kind }) => kind === 'esp').map((record) => record.inner)
    expect(inner.map(({ length }) => length)).toEqual([68, 68, 68, 68, 428, 428])
    expect(inner[0]).toMatchObject({ version: 4, src: '10.8.1.1', dst: '10.8.2.1', protocolName: 'ICMP' })
    expect(inner[1]).toMatchObject({ src: '10.8.2.1', dst: '10.8.1.1' })
  })

  it('names identities, the rekeys and the deletes', async () => {
    const all = contents((await decode(files, 'cap', 'keys')).records)
    expect(all.filter(({ type }) => type === 'IDi' || type === 'IDr').map(({ text }) => text)).toEqual([
      'site-A.example',
      'site-B.example',
    ])
    expect(all.filter(({ notifyName }) => notifyName === 'REKEY_SA')).toHaveLength(1)
    const deletes = all.filter(({ type }) => type === 'D').map(({ protocolName }) => protocolName)
    expect(deletes).toEqual(['ESP', 'ESP', 'IKE', 'IKE'])
  })

  it('without keys shows headers and says that keys are missing', async () => {
    const { code, records } = await decode(files, 'cap')
    expect(code).toBe(0)
    expect(contents(records).filter(({ type }) => type === 'AUTH')).toEqual([])
    const sealed = records
      .flatMap((record) => [record, ...(record.payloads ?? [])])
      .filter((each) => 'decryption' in each)
    expect(new Set(sealed.map(({ decryption }) => decryption))).toEqual(new Set(['no-key']))
  })

  it('with keys of others says that decryption failed, and shows nothing', async () => {
    const keys = JSON.parse(Buffer.from(files.keys).toString())
    for (const entry of keys.ike) entry.skEi = flipped(entry.skEi)
    for (const entry of keys.ike) entry.skAi = flipped(entry.skAi)
    for (const entry of keys.esp) entry.key = flipped(entry.key)
    const { records } = await decode({ cap: files.cap, keys: Buffer.from(JSON.stringify(keys)) }, 'cap', 'keys')
    const esp = records.filter(({ kind }) => kind === 'esp')
    expect(esp.every((record) => record.decryption === 'failed' && record.inner === undefined)).toBe(true)
    const fromInitiator = records.filter(
      ({ header }) => header?.flags.includes('initiator') && header.exchangeType > 34,
    )
    expect(fromInitiator.length).toBeGreaterThan(4)
    expect(fromInitiator.every(({ payloads }) => payloads[0].decryption === 'failed')).toBe(true)
  })

  it('reads the same from lines of hex', async () => {
    const lines = vectorDatagrams(name).map(
      ({ ports, bytes }) => `192.0.2.1:${ports[0]} > 192.0.2.2:${ports[1]}  ${Buffer.from(bytes).toString('hex')}`,
    )
    const hex = Buffer.from(`# recorded\n\n${lines.join('\n')}\n`)
    const strip = (records: Json[]) => records.map(({ frame, time, src, dst, ...rest }) => rest)
    const fromHex = await decode({ cap: hex, keys: files.keys }, 'cap', 'keys')
    const fromPcap = await decode(files, 'cap', 'keys')
    expect(strip(fromHex.records)).toEqual(strip(fromPcap.records))
    expect(fromHex.records[0]).toMatchObject({ frame: 3, src: '192.0.2.1:500', dst: '192.0.2.2:500' })
  })
})

describe.each(['gcm', 'cbc-fragments'])('tshark and we read the same in %s', (name) => {
  it('frame by frame', async () => {
    const files = { cap: vectorFile(`${name}.pcap`), keys: vectorFile(`${name}.keys.json`) }
    const { records } = await decode(files, 'cap', 'keys')
    const lines = Buffer.from(vectorFile(`${name}.tshark.tsv`))
      .toString()
      .replace(/\n$/, '')
      .split('\n')
    expect(records.map(asTshark)).toEqual(lines)
  })
})

describe('IKE fragments', () => {
  it('are shown one by one, and the whole with the last one that arrives', async () => {
    const files = { cap: vectorFile('cbc-fragments.pcap'), keys: vectorFile('cbc-fragments.keys.json') }
    const { records } = await decode(files, 'cap', 'keys')
    expect(records[2]!.payloads).toMatchObject([{ type: 'SKF', fragment: 1, total: 2, firstPayload: 'IDi' }])
    expect(records[2]!.payloads[0].whole).toBeUndefined()
    expect(records[3]!.payloads[0].whole.payloads.map(({ type }: Json) => type)).toEqual(
      'IDi AUTH SA TSi TSr N N N N N'.split(' '),
    )
  })
})

describe('exit codes and messages', () => {
  it.each([
    ['a missing file', {}, 'no such file'],
    ['an empty file', { cap: new Uint8Array(0) }, 'empty'],
    ['a compressed file', { cap: Uint8Array.of(0x1f, 0x8b, 8, 0) }, 'gunzip'],
    ['another format', { cap: Buffer.from('\x7fELF\0\0\0\0') }, 'neither pcap'],
    ['prose', { cap: Buffer.from('Dear reader,\n') }, 'neither pcap'],
  ])('7 for %s', async (_name, files, message) => {
    const { code, records, errors } = await decode(files, 'cap')
    expect(code).toBe(7)
    expect(records).toEqual([])
    expect(errors).toHaveLength(1)
    expect(errors[0]).toContain(message)
  })

  it('3 for a key file with faults, all of them at once', async () => {
    const keys = Buffer.from('{"ike": 5, "esp": [{"spi": 1, "encryption": "rot13", "key": "00", "salt": "0"}]}')
    const { code, errors } = await decode({ cap: vectorFile('gcm.pcap'), keys }, 'cap', 'keys')
    expect(code).toBe(3)
    expect(errors.join('\n')).toMatch(/ike: must be an array[\s\S]*esp\[0\]\.spi[\s\S]*esp\[0\]\.encryption[\s\S]*salt/)
  })

  it('3 for a missing key file', async () => {
    const { code, errors } = await decode({ cap: vectorFile('gcm.pcap') }, 'cap', 'keys')
    expect(code).toBe(3)
    expect(errors[0]).toContain('no such file')
  })

  it('0 with a count for a file with malformed packets', async () => {
    const cap = Buffer.from('192.0.2.1:500 > 192.0.2.2:500 00\nffff\nxyz\n')
    const { code, records, errors } = await decode({ cap }, 'cap')
    expect(code).toBe(0)
    expect(records).toHaveLength(3)
    expect(records.every(({ malformed }) => typeof malformed === 'string')).toBe(true)
    expect(errors).toEqual(['2 ike, 3 malformed, 1 frame'])
  })
})

// biome-ignore lint/suspicious/noExplicitAny: output is JSON of many shapes, checked by the expectations
type Json = Record<string, any>

async function decode(files: Record<string, Uint8Array>, file: string, keys?: string) {
  const lines: string[] = []
  const errors: string[] = []
  const code = await runDecode(keys === undefined ? { file } : { file, keys }, {
    readFile: (path) => {
      const found = files[path]
      if (found === undefined) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' })
      return found
    },
    stdout: (line) => lines.push(line),
    stderr: (line) => errors.push(line),
  })
  return { code, records: lines.map((line) => JSON.parse(line) as Json), errors }
}

/** All payloads inside SK payloads and reassembled messages. */
function contents(records: Json[]): Json[] {
  return records
    .flatMap(({ payloads }) => payloads ?? [])
    .flatMap((payload: Json) => payload.payloads ?? payload.whole?.payloads ?? [])
}

/** Frame, exchange type, message ID, payload types, SPI and sequence number, as `.tshark.tsv` has them. */
function asTshark({ frame, header, payloads, spi, sequence }: Json): string {
  const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`
  const types = (payloads ?? []).flatMap(tsharkTypes)
  return [frame, header?.exchangeType, header && hex(header.messageId), types.join(), spi, sequence].join('\t')
}

/** tshark counts proposals (2) and transforms (3) as payloads, and lists contents behind their container. */
function tsharkTypes(payload: Json): number[] {
  const inside: Json[] = payload.payloads ?? payload.whole?.payloads ?? []
  const proposals: Json[] = payload.proposals ?? []
  const substructures = proposals.flatMap(({ transforms }) => [2, ...transforms.map(() => 3)])
  return [PAYLOAD[payload.type as keyof typeof PAYLOAD], ...substructures, ...inside.flatMap(tsharkTypes)]
}

function flipped(hex: string): string {
  return hex === '' ? '' : (hex.startsWith('0') ? '1' : '0') + hex.slice(1)
}
