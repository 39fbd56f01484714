import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ipPacket, LINK, pcapFile } from '../../../test/fuzz/ike-captures.ts'
import { random } from '../../../test/fuzz/ike-mutate.ts'
import { ATTRIBUTE, MESSAGE } from '../../core/bgp/wire/codec.ts'
import { runDecode } from './decode.ts'

const folder = new URL('../../../test/vectors/bgp/', import.meta.url)
const MARKER = 'ff'.repeat(16)
const KEEPALIVE = `${MARKER}001304`

describe.each(['bird', 'exabgp', 'gobgp'])('the recorded session with %s', (name) => {
  it('has the messages that tshark sees, and nothing wrong but sets (RFC 9774)', async () => {
    const { records, code } = await decode(file(`${name}.pcap`))
    expect(code).toBe(0)
    const faults = records.flatMap(({ error }) => (error === undefined ? [] : [error.fault]))
    expect(faults).toEqual(faults.map(() => 'as-set'))
    const lines = Buffer.from(file(`${name}.tshark.tsv`))
      .toString()
      .trimEnd()
      .split('\n')
    const seen = new Map<number, string[]>()
    for (const record of records) {
      const type = record.kind === 'bfd' ? `bfd ${record.state}` : String(MESSAGE[record.type as keyof typeof MESSAGE])
      seen.set(record.frame, [...(seen.get(record.frame) ?? []), type])
    }
    expect([...seen].map(([frame, types]) => `${frame} ${types.join(',')}`)).toEqual(lines.map(expected))
  })

  it('has in each message the attributes that tshark sees', async () => {
    const { records } = await decode(file(`${name}.pcap`))
    const lines = Buffer.from(file(`${name}.tshark.tsv`))
      .toString()
      .trimEnd()
      .split('\n')
    for (const line of lines) {
      const [frame, types, attributes] = line.split('\t')
      if (!types?.includes('2')) continue
      const ours = records.filter((record) => record.frame === Number(frame)).flatMap(attributeTypes)
      const theirs = (attributes === '' ? [] : attributes!.split(',').map(Number)).filter((type) => !MP.includes(type))
      expect([frame, ours.sort(byNumber)]).toEqual([frame, theirs.sort(byNumber)])
    }
  })
})

describe('what the recorded sessions say', () => {
  const of = async (name: string) => (await decode(file(`${name}.pcap`))).records

  it('AS numbers of four octets behind AS_TRANS, from an old speaker', async () => {
    const updates = (await of('exabgp')).filter(({ attributes }) => attributes !== undefined)
    expect(updates.every(({ asOctets }) => asOctets === 2)).toBe(true)
    expect(updates.map(({ attributes }) => attributes.asPath)).toContain('4200000001 65002 65010 4200000077')
    expect(updates.map(({ attributes }) => attributes.asPath)).toContain('65003 100 {200,300}')
  })

  it('next hops with link-local addresses, OTC, ends of RIB and withdrawals', async () => {
    const records = await of('bird')
    expect(records.flatMap(({ announced = [] }) => announced)).toContainEqual(
      expect.objectContaining({ nextHop: '2001:db8:9:3::1', linkLocal: expect.stringMatching(/^fe80:/) }),
    )
    expect(records.map(({ attributes }) => attributes?.onlyToCustomer)).toContain(65_002)
    expect(records.map(({ endOfRib }) => endOfRib?.family)).toEqual(
      expect.arrayContaining(['IPv4 unicast', 'IPv6 unicast']),
    )
    expect(records.flatMap(({ withdrawn = [] }) => withdrawn)).toContain('100.64.0.0/24')
  })

  it('why the session ended, in the words of the operator', async () => {
    expect((await of('bird')).filter(({ type }) => type === 'NOTIFICATION')).toEqual([
      expect.objectContaining({
        codeName: 'Cease',
        subcodeName: 'Administrative Shutdown',
        communication: 'maintenance ✓',
      }),
    ])
  })
})

describe('lines of hex', () => {
  it('are BGP where they begin with a marker, BFD where they look like it, with and without ends', async () => {
    const bfd = '20400318000000010000000000 0f4240 000493e0 00000000'.replaceAll(' ', '')
    const { records } = await decode(
      lines(KEEPALIVE, `192.0.2.1:4000 > 192.0.2.2:179 ${KEEPALIVE}`, bfd, `192.0.2.1:49152 > 192.0.2.2:3784 ${bfd}`),
    )
    expect(records.map(({ kind, frame, src }) => [kind, frame, src])).toEqual([
      ['bgp', 1, undefined],
      ['bgp', 2, '192.0.2.1:4000'],
      ['bfd', 3, undefined],
      ['bfd', 4, '192.0.2.1:49152'],
    ])
    expect(records[0]).toEqual({ kind: 'bgp', frame: 1, length: 19, type: 'KEEPALIVE' })
    expect(records[2]).toMatchObject({ state: 'down', diagnosticName: 'no diagnostic', myDiscriminator: 1 })
  })

  it.each([
    [
      'a wrong length',
      `${MARKER}001404`,
      { type: 'KEEPALIVE' },
      { code: 1, subcode: 2, data: '0014' },
      'session-reset',
    ],
    ['a broken marker', `${'ff'.repeat(15)}7f001304`, {}, { code: 1, subcode: 1, data: '' }, 'session-reset'],
    ['a short line', 'ff'.repeat(17), {}, { code: 1, subcode: 2 }, 'session-reset'],
    ['a wrong type', `${MARKER}001307`, {}, { code: 1, subcode: 3, data: '07' }, 'session-reset'],
    [
      'an ORIGIN that does not exist',
      update('40010107 400200 400304c0000201 400504 00000064'),
      { type: 'UPDATE', withdrawn: ['10.0.0.0/8'], announced: [] },
      { code: 3, subcode: 6, subcodeName: 'Invalid ORIGIN Attribute', data: '40010107', fault: 'origin-value' },
      'treat-as-withdraw',
    ],
    [
      'an AGGREGATOR of four octets',
      update('40010100 400200 400304c0000201 c00704 00000001'),
      { type: 'UPDATE', announced: [{ nextHop: '192.0.2.1', prefixes: ['10.0.0.0/8'] }] },
      { code: 3, subcode: 5, attributeName: 'AGGREGATOR', fault: 'aggregator-length' },
      'attribute-discard',
    ],
  ])('%s is told with code, subcode and consequence', async (_name, hex, record, error, consequence) => {
    const { records } = await decode(lines(hex))
    expect(records).toHaveLength(1)
    expect(records[0]).toMatchObject({
      kind: 'bgp',
      ...record,
      malformed: expect.any(String),
      error: { ...error, consequence },
    })
  })

  it('every fault is listed where there are several, and the worst is on top', async () => {
    const hex = update('40010100 400200 400304c0000201 c00704 00000001 800400')
    const { records } = await decode(lines(hex))
    expect(records[0]!.error).toMatchObject({ consequence: 'treat-as-withdraw', attributeName: 'MULTI_EXIT_DISC' })
    expect(records[0]!.errors.map(({ fault }: Json) => fault)).toEqual(['aggregator-length', 'med-length'])
  })

  it.each([
    ['a short one', '20400318000000010000', 'truncated'],
    ['another version', '404003180000000100000002000493e0000493e000000000', 'bad-version'],
    ['Detect Mult 0', '204000180000000100000002000493e0000493e000000000', 'zero-detect-mult'],
    ['a length field that lies', '204003300000000100000002000493e0000493e000000000', 'bad-length'],
  ])('of BFD: %s is told', async (_name, hex, fault) => {
    const { records } = await decode(lines(hex))
    expect(records[0]).toMatchObject({
      kind: 'bfd',
      malformed: expect.any(String),
      error: { fault, consequence: 'discard' },
    })
  })

  it('show no password of BFD', async () => {
    const { records } = await decode(lines('2044031d0000000100000000000493e0000493e000000000 0105017077'))
    expect(records[0]).toMatchObject({ kind: 'bfd', authentication: { type: 1 } })
    expect(JSON.stringify(records)).not.toContain('7077')
  })
})

describe('TCP', () => {
  const messages = Buffer.from(KEEPALIVE.repeat(40), 'hex')

  it.each([1, 2, 3, 4, 5])('in any cut, order and repetition gives the same messages, seed %d', async (seed) => {
    const next = random(seed)
    const segments: Buffer[] = []
    for (let at = 0; at < messages.length; ) {
      const length = 1 + next(60)
      segments.push(segment(0xffffff00 + at, messages.subarray(at, at + length)))
      // Now and then once more, and overlapping what was there.
      if (next(4) === 0)
        segments.push(segment(0xffffff00 + Math.max(0, at - 7), messages.subarray(Math.max(0, at - 7), at + 9)))
      at += length
    }
    for (let index = segments.length - 1; index > 0; index--) {
      const other = Math.max(0, index - next(6))
      ;[segments[index], segments[other]] = [segments[other]!, segments[index]!]
    }
    const { records } = await decode(capture([segment(0xfffffeff, Buffer.alloc(0), 0x02), ...segments]))
    expect(records).toHaveLength(40)
    expect(records.every(({ type, malformed }) => type === 'KEEPALIVE' && malformed === undefined)).toBe(true)
  })

  it('a gap is told, and reading goes on at the next message', async () => {
    const parts = [segment(100, messages.subarray(0, 30)), segment(150, messages.subarray(50))]
    const { records } = await decode(capture(parts))
    expect(records.map(({ malformed, type }) => malformed ?? type)).toEqual([
      'KEEPALIVE',
      'The capture lacks 20 bytes of the stream before these.',
      ...new Array(37).fill('KEEPALIVE'),
    ])
  })

  it('a capture that begins within a message, or ends within one', async () => {
    const { records } = await decode(capture([segment(7, messages.subarray(5, 19 * 3 + 4))]))
    expect(records.map(({ malformed, type }) => malformed ?? type)).toEqual([
      'KEEPALIVE',
      'KEEPALIVE',
      'The capture ends after 4 bytes of a message.',
    ])
  })

  it('a stream that is no longer in step is told once, not octet by octet', async () => {
    const broken = Buffer.concat([messages.subarray(0, 19), Buffer.alloc(500, 0x41), messages.subarray(0, 38)])
    const { records } = await decode(capture([segment(1, broken)]))
    expect(records.map(({ error, type }) => error?.fault ?? type)).toEqual([
      'KEEPALIVE',
      'header-marker',
      'KEEPALIVE',
      'KEEPALIVE',
    ])
  })

  it('of other ports is none of ours', async () => {
    const other = ipPacket('192.0.2.1', '192.0.2.2', 6, tcpHeader(1, 80, 443, 0x10))
    const { records, errors } = await decode(pcapFile([other], { link: LINK.raw }))
    expect(records).toEqual([])
    expect(errors).toEqual(['1 of other protocols'])
  })
})

const MP: readonly number[] = [
  ATTRIBUTE.MP_REACH_NLRI,
  ATTRIBUTE.MP_UNREACH_NLRI,
  ATTRIBUTE.NEXT_HOP,
  ATTRIBUTE.AS4_PATH,
  ATTRIBUTE.AS4_AGGREGATOR,
]
const NAMES: Readonly<Record<string, number>> = {
  origin: ATTRIBUTE.ORIGIN,
  asPath: ATTRIBUTE.AS_PATH,
  med: ATTRIBUTE.MULTI_EXIT_DISC,
  localPref: ATTRIBUTE.LOCAL_PREF,
  atomicAggregate: ATTRIBUTE.ATOMIC_AGGREGATE,
  aggregator: ATTRIBUTE.AGGREGATOR,
  communities: ATTRIBUTE.COMMUNITIES,
  originatorId: ATTRIBUTE.ORIGINATOR_ID,
  clusterList: ATTRIBUTE.CLUSTER_LIST,
  extendedCommunities: ATTRIBUTE.EXTENDED_COMMUNITIES,
  largeCommunities: ATTRIBUTE.LARGE_COMMUNITIES,
  onlyToCustomer: ATTRIBUTE.OTC,
}

// biome-ignore lint/suspicious/noExplicitAny: output is JSON of many shapes, checked by the expectations
type Json = Record<string, any>

function attributeTypes({ attributes = {} }: Json): number[] {
  const { others = [], ...rest } = attributes as Json
  return [...Object.keys(rest).map((name) => NAMES[name]!), ...others.map(({ type }: Json) => type)]
}

function byNumber(left: number, right: number): number {
  return left - right
}

function expected(line: string): string {
  const [frame, types, , state] = line.split('\t')
  const states: Readonly<Record<string, string>> = {
    '0x00': 'admin-down',
    '0x01': 'down',
    '0x02': 'init',
    '0x03': 'up',
  }
  return `${frame} ${types === '' ? `bfd ${states[state!]}` : types}`
}

function file(name: string): Uint8Array {
  return readFileSync(new URL(name, folder))
}

function lines(...all: string[]): Uint8Array {
  return Buffer.from(`${all.join('\n')}\n`)
}

function capture(segments: readonly Uint8Array[]): Uint8Array {
  const packets = segments.map((bytes) => ipPacket('192.0.2.1', '192.0.2.2', 6, bytes))
  return pcapFile(packets, { link: LINK.raw })
}

function segment(sequence: number, payload: Uint8Array, flags = 0x10): Buffer {
  return Buffer.concat([tcpHeader(sequence >>> 0, 40_000, 179, flags), payload])
}

function tcpHeader(sequence: number, source: number, destination: number, flags: number): Buffer {
  const header = Buffer.alloc(20)
  header.writeUInt16BE(source, 0)
  header.writeUInt16BE(destination, 2)
  header.writeUInt32BE(sequence >>> 0, 4)
  header[12] = 0x50
  header[13] = flags
  return header
}

async function decode(bytes: Uint8Array): Promise<{ code: number; records: Json[]; errors: string[] }> {
  const out: string[] = []
  const errors: string[] = []
  const code = await runDecode(
    { file: 'capture' },
    { readFile: () => bytes, stdout: (line) => out.push(line), stderr: (line) => errors.push(line) },
  )
  return { code, records: out.map((line) => JSON.parse(line) as Json), errors }
}

/** An UPDATE with these attributes and 10.0.0.0/8 in the NLRI field, as a line. */
function update(attributes: string): string {
  const all = Buffer.from(attributes.replaceAll(' ', ''), 'hex')
  const head = Buffer.from([0, 25 + all.length, 2, 0, 0, 0, all.length])
  return `${MARKER}${head.toString('hex')}${all.toString('hex')}080a`
}
