import { describe, expect, it } from 'vitest'
import { vectorFile } from '../../../test/fuzz/ike-captures.ts'
import type { KeyLogEntry } from '../../core/ike/types.ts'
import { parseKeys } from './keys.ts'

const ike: KeyLogEntry = {
  kind: 'ike',
  initiatorSpi: '0102030405060708',
  responderSpi: '1112131415161718',
  encryption: 'aes256',
  integrity: 'sha384',
  skEi: 'aa'.repeat(32),
  skEr: 'bb'.repeat(32),
  skAi: 'cc'.repeat(48),
  skAr: 'dd'.repeat(48),
}
const esp: KeyLogEntry = {
  kind: 'esp',
  spi: '0xdeadbeef',
  encryption: 'aes128gcm16',
  key: 'ee'.repeat(16),
  salt: '01020304',
  esn: true,
}

describe('the key file', () => {
  it('may be JSON Lines as the connector writes them', () => {
    const ring = parseKeys(`${JSON.stringify(ike)}\n\n${JSON.stringify(esp)}\n`)
    if ('faults' in ring) throw new Error(ring.faults.join())
    expect(ring.ike.get('01020304050607081112131415161718')).toMatchObject({
      cipher: { encr: 12, keyLengthBits: 256, integ: 13 },
    })
    expect(ring.esp.get(0xdeadbeef)).toMatchObject([{ esn: true, high: 0, key: { length: 20 } }])
  })

  it('may be one object of lists, with or without kind', () => {
    const { kind, ...rest } = ike
    const ring = parseKeys(JSON.stringify({ ike: [rest], esp: [esp, esp] }, null, 2))
    if ('faults' in ring) throw new Error(ring.faults.join())
    expect(kind).toBe('ike')
    expect(ring.ike.size).toBe(1)
    expect(ring.esp.get(0xdeadbeef)).toHaveLength(1)
  })

  it('may be one line that is one entry', () => {
    expect(parseKeys(JSON.stringify(esp))).toMatchObject({ esp: { size: 1 } })
  })

  it('of the recorded sessions is read', () => {
    const ring = parseKeys(Buffer.from(vectorFile('chacha.keys.json')).toString())
    expect(ring).toMatchObject({ ike: { size: 2 }, esp: { size: 4 } })
  })

  it('tells every fault at once with its place', () => {
    const lines = [
      { ...ike, integrity: undefined },
      { ...ike, skEi: 'aa', skAr: 'zz'.repeat(48) },
      { ...ike, encryption: 'aes256gcm16' },
      { ...esp, spi: 'deadbeef', salt: '' },
      { kind: 'ah' },
    ].map((entry) => JSON.stringify(entry))
    expect(parseKeys([...lines, '{"kind": '].join('\n'))).toEqual({
      faults: [
        'line 5.kind: must be "ike" or "esp"',
        'line 6: is not a JSON object',
        'line 1.integrity: is required with aes256',
        'line 2.skAr: must be hexadecimal bytes',
        'line 2.skEi: must have 64 hexadecimal digits, not 2',
        'line 3.integrity: must be absent with aes256gcm16',
        'line 4.spi: must be 0x and eight hexadecimal digits',
        'line 4.salt: must have 8 hexadecimal digits, not 0',
      ],
    })
  })

  it('checks every length against the algorithm', () => {
    expect(parseKeys(JSON.stringify({ ike: [{ ...ike, skEi: 'aa', skAr: '' }], esp: [{ ...esp, salt: '' }] }))).toEqual(
      {
        faults: [
          'ike[0].skEi: must have 64 hexadecimal digits, not 2',
          'ike[0].skAr: must have 96 hexadecimal digits, not 0',
          'esp[0].salt: must have 8 hexadecimal digits, not 0',
        ],
      },
    )
  })

  it.each(['', 'secret', '[]', '17', '{}', '{"ike": {}}', '{"ike": [1, null, "s3cret"]}', 'null'])(
    'refuses %j in words that quote nothing of it',
    (text) => {
      const parsed = parseKeys(text)
      if (!('faults' in parsed)) throw new Error('accepted')
      expect(parsed.faults.length).toBeGreaterThan(0)
      expect(parsed.faults.join()).not.toMatch(/s.?cret/)
    },
  )
})
