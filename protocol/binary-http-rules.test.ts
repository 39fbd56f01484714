/** What must not get through, because somebody behind would read it otherwise than we do. */
import { describe, expect, test } from 'vitest'
import { decode, type Raw, rawRequest, rawResponse } from '../test/fuzz/binary-http-messages.ts'
import { RequestEncoder, ResponseEncoder } from './binary-http.ts'
import { endToEndFields, fieldFault, requestFault } from './binary-http-rules.ts'
import type { FieldLine } from './binary-http-types.ts'

const GOOD: Record<string, Raw> = {
  'a plain GET': {},
  'a query': { path: '/orders?from=2024-01-01&q=%20a|b{c}[d]^e`f\\"\'<>' },
  'OPTIONS of the server': { method: 'OPTIONS', path: '*' },
  'a port': { authority: 'erp.internal:8000' },
  'an IPv6 address': { authority: '[2001:db8::1]:8000' },
  'no authority, a host field': { authority: '', fields: [['host', 'erp.internal']] },
  'neither authority nor host': { authority: '' },
  'a host field that agrees': { fields: [['host', 'ERP.internal']] },
  'an extension method': { method: 'M-SEARCH' },
  'an empty value': { fields: [['x', '']] },
  'blanks within a value': { fields: [['x', 'a \t b']] },
  'octets from 0x80': { fields: [['x', '\u0080\u00ff']] },
  'te: trailers': { fields: [['te', 'trailers']] },
  'a field twice': {
    fields: [
      ['cookie', 'a=1'],
      ['cookie', 'b=2'],
    ],
  },
}

/** Each is refused by the decoder, and by the encoder. */
const SMUGGLED: Record<string, Raw> = {
  'transfer-encoding': { fields: [['transfer-encoding', 'chunked']] },
  connection: { fields: [['connection', 'close, x-secret']] },
  'keep-alive': { fields: [['keep-alive', 'timeout=5']] },
  'proxy-connection': { fields: [['proxy-connection', 'keep-alive']] },
  upgrade: { fields: [['upgrade', 'websocket']] },
  'http2-settings': { fields: [['http2-settings', 'AAMAAABkAAQAAP__']] },
  'te other than trailers': { fields: [['te', 'gzip']] },
  'te with more than trailers': { fields: [['te', 'trailers, gzip']] },
  'two lengths': {
    method: 'POST',
    fields: [
      ['content-length', '5'],
      ['content-length', '6'],
    ],
    content: 'hello',
  },
  'the same length twice': {
    method: 'POST',
    fields: [
      ['content-length', '5'],
      ['content-length', '5'],
    ],
    content: 'hello',
  },
  'a list of lengths': { method: 'POST', fields: [['content-length', '5, 5']], content: 'hello' },
  'a length with a sign': { method: 'POST', fields: [['content-length', '+5']], content: 'hello' },
  'a length in hexadecimal': { method: 'POST', fields: [['content-length', '0x5']], content: 'hello' },
  'a length beyond numbers': { method: 'POST', fields: [['content-length', '9007199254740993']], content: 'hello' },
  'an empty length': { fields: [['content-length', '']] },
  'a name in capitals': { fields: [['Content-Length', '0']] },
  'a name with a blank': { fields: [['content-length ', '0']] },
  'a name with a colon': { fields: [['x:y', 'z']] },
  'a name with CR LF': { fields: [['x\r\ny', 'z']] },
  'a name beyond ASCII': { fields: [['x\u00e9', 'z']] },
  'a pseudo-field': { fields: [[':path', '/admin']] },
  'an unknown pseudo-field': { fields: [[':protocol', 'websocket']] },
  'a value with CR LF': { fields: [['x', 'a\r\ntransfer-encoding: chunked']] },
  'a value with LF': { fields: [['x', 'a\nb']] },
  'a value with CR': { fields: [['x', 'a\rb']] },
  'a value with NUL': { fields: [['x', 'a\u0000b']] },
  'a value with another control character': { fields: [['x', 'a\u0001b']] },
  'a value with DEL': { fields: [['x', 'a\u007fb']] },
  'a value that begins with a blank': { fields: [['x', ' a']] },
  'a value that ends with a tab': { fields: [['x', 'a\t']] },
  'a value of a blank': { fields: [['x', ' ']] },
  'a method with a blank': { method: 'GET /admin' },
  'a method with CR LF': { method: 'GET\r\n' },
  'no method': { method: '' },
  CONNECT: { method: 'CONNECT', authority: 'db.internal:5432', path: '/' },
  'no scheme': { scheme: '' },
  'a scheme that is more': { scheme: 'http://evil.example/?' },
  'an authority with a user': { authority: 'erp.internal@evil.example' },
  'an authority with a path': { authority: 'erp.internal/admin' },
  'an authority with a blank': { authority: 'erp.internal evil.example' },
  'an authority with CR LF': { authority: 'erp.internal\r\nx: y' },
  'an authority with two ports': { authority: 'erp.internal:80:81' },
  'no path': { path: '' },
  'a path without a slash': { path: 'orders' },
  'a whole URL as path': { path: 'http://evil.example/' },
  'a path with a blank': { path: '/ HTTP/1.1' },
  'a path with CR LF': { path: '/\r\nx: y' },
  'a path with a fragment': { path: '/a#b' },
  'a path beyond ASCII': { path: '/\u00e9' },
  'an asterisk with GET': { path: '*' },
  'two hosts': {
    authority: '',
    fields: [
      ['host', 'erp.internal'],
      ['host', 'erp.internal'],
    ],
  },
  'a host other than the authority': { fields: [['host', 'evil.example']] },
  'a host with a user': { authority: '', fields: [['host', 'erp.internal@evil.example']] },
  'a length in the trailers': { trailers: [['content-length', '5']] },
  'a host in the trailers': { trailers: [['host', 'evil.example']] },
  'transfer-encoding in the trailers': { trailers: [['transfer-encoding', 'chunked']] },
  'a pseudo-field in the trailers': { trailers: [[':status', '200']] },
  'credentials in the trailers': { trailers: [['authorization', 'Basic eDp5']] },
}

describe('requests that are in order', () => {
  for (const [name, raw] of Object.entries(GOOD)) {
    test(name, () => {
      expect(decode('request', rawRequest(raw))).toMatchObject({ head: { fields: raw.fields ?? [] } })
      expect(Buffer.from(encode(raw)).toString('latin1')).toBe(Buffer.from(rawRequest(raw)).toString('latin1'))
    })
  }
})

describe('requests that say two things', () => {
  for (const [name, raw] of Object.entries(SMUGGLED)) {
    test(name, () => {
      expect(decode('request', rawRequest(raw))).toHaveProperty('fault')
      expect(() => encode(raw)).toThrow(TypeError)
    })
  }
})

describe('responses', () => {
  const bad = Object.entries(SMUGGLED).filter(([, raw]) => !('method' in raw || 'authority' in raw || 'path' in raw))
  for (const [name, raw] of bad.filter(([, { fields, trailers }]) => (fields ?? trailers) && !isHost(fields))) {
    test(name, () => {
      expect(decode('response', rawResponse(200, raw))).toHaveProperty('fault')
      const encoder = new ResponseEncoder()
      expect(() => {
        encoder.head({ status: 200, fields: raw.fields ?? [] })
        encoder.end(raw.trailers)
      }).toThrow(TypeError)
    })
  }

  test('there are some', () => {
    expect(bad.length).toBeGreaterThan(25)
  })

  test('the encoder refuses statuses in the wrong place, and pieces in the wrong order', () => {
    const encoder = new ResponseEncoder()
    expect(() => encoder.head({ status: 103, fields: [] })).toThrow(TypeError)
    expect(() => encoder.informational({ status: 200, fields: [] })).toThrow(TypeError)
    expect(() => encoder.informational({ status: 101, fields: [] })).toThrow(TypeError)
    expect(() => encoder.data(new Uint8Array(1))).toThrow(TypeError)
    expect(() => encoder.end()).toThrow(TypeError)
    encoder.head({ status: 200, fields: [['content-length', '2']] })
    expect(() => encoder.informational({ status: 103, fields: [] })).toThrow(TypeError)
    expect(() => encoder.head({ status: 200, fields: [] })).toThrow(TypeError)
    expect(encoder.data(new Uint8Array(0))).toEqual([])
    expect(() => encoder.end()).toThrow('less content')
    encoder.data(new Uint8Array(2))
    expect(() => encoder.data(new Uint8Array(1))).toThrow('more content')
  })

  function isHost(fields: readonly FieldLine[] | undefined): boolean {
    return fields?.some(([name]) => name === 'host') ?? false
  }
})

describe('fields on their way', () => {
  test('those of one connection stay behind, and those that Connection names', () => {
    const fields: FieldLine[] = [
      ['Connection', 'close, X-Hop'],
      ['connection', 'x-other'],
      ['Transfer-Encoding', 'chunked'],
      ['Keep-Alive', 'timeout=5'],
      ['TE', 'trailers'],
      ['x-hop', '1'],
      ['X-Other', '2'],
      ['x-end', '3'],
    ]
    expect(endToEndFields(fields)).toEqual([['x-end', '3']])
  })

  test('a cause quotes nothing of a value', () => {
    const secret = 'hunter2\u0000'
    expect(fieldFault(['x', secret])).not.toContain('hunter2')
    const head = { method: 'GET', scheme: 'http', authority: '', path: ` /${secret}`, fields: [] }
    expect(requestFault(head)).not.toContain('hunter2')
  })
})

function encode(raw: Raw): Uint8Array {
  const { method = 'GET', scheme = 'http', authority = 'erp.internal', path = '/', fields = [] } = raw
  const encoder = new RequestEncoder()
  const head = encoder.head({ method, scheme, authority, path, fields })
  const content = encoder.data(Buffer.from(raw.content ?? '', 'latin1'))
  return Buffer.concat([head, ...content, encoder.end(raw.trailers)])
}
