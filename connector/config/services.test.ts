import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { type Authority, type Issued, makeAuthority } from '../io/functions/testing/certificates.ts'
import { formatFault } from './faults.ts'
import { loadServices } from './services.ts'
import { files } from './testing.ts'

const SHORT = `services:
  erp:
    target: http://10.1.0.20:8000
    allow: [orders, invoices]
  db: { target: 'tcp://10.1.0.30:5432', allow: [orders] }
  lan: { networks: [10.1.0.0/24], ports: [443, 8000-8010], allow: [orders] }
`

let authority: Authority
let issued: Issued
let other: Issued

beforeAll(() => {
  authority = makeAuthority()
  issued = authority.issue('IP:192.0.2.1,DNS:*.example.net,DNS:hq.example.net')
  other = authority.issue('IP:192.0.2.1')
})
afterAll(() => authority.remove())

function load(text: string, contents: Record<string, string> = {}) {
  return loadServices('/site/services.yaml', files({ '/site/services.yaml': text, ...contents }))
}

function planOf(text: string, contents: Record<string, string> = {}) {
  const loaded = load(text, contents)
  if ('faults' in loaded) throw new Error(loaded.faults.map(formatFault).join('\n'))
  return loaded.plan
}

function faultsOf(text: string, contents: Record<string, string> = {}): string[] {
  const loaded = load(text, contents)
  const faults = 'faults' in loaded ? loaded.faults : []
  return faults.map((fault) => formatFault(fault).replace('/site/services.yaml:', ''))
}

describe('services.yaml', () => {
  it('is short where little is wanted, with defaults for the rest', () => {
    const { services, listen, limits } = planOf(SHORT)
    expect(listen).toBeUndefined()
    expect(limits).toMatchObject({ sessions: 1024, handshakes: 64, streams: 8192, memory: 256 * 2 ** 20 })
    expect(services).toMatchObject([
      { name: 'erp', kind: 'http', host: '10.1.0.20', port: 8000, allow: ['orders', 'invoices'], warm: 1, hosts: [] },
      { name: 'db', kind: 'tcp', host: '10.1.0.30', port: 5432, warm: 0 },
      { name: 'lan', kind: 'network', networks: ['10.1.0.0/24'], ports: [{ start: 443, end: 443 }, { start: 8000 }] },
    ])
    expect(services[0]!.timeouts).toEqual({ connect: 10_000, response: 60_000, idle: 300_000, total: 3_600_000 })
  })

  it('takes all that a service may have', () => {
    const { services } = planOf(
      `services:
  erp:
    target: https://ERP.corp.example
    allow: [orders]
    hosts: [Erp.Example]
    headers: { X-Api-Key: { file: erp.key }, x-env: { env: BRANCH }, x-plain: text }
    host_header: erp.example:8443
    tls: { ca: ca.pem, certificate: c.pem, key: c.key, server_name: erp.example }
    timeouts: { connect: 1s, response: 2s, idle: 3s, total: 4s }
    max_connections: 5
    warm: 0
`,
      {
        '/site/erp.key': 'hunter2\n',
        '/site/ca.pem': authority.ca,
        '/site/c.pem': issued.certificate,
        '/site/c.key': issued.key,
      },
    )
    expect(services[0]).toEqual({
      name: 'erp',
      kind: 'https',
      host: 'erp.corp.example',
      port: 443,
      allow: ['orders'],
      hosts: ['erp.example'],
      headers: [
        ['x-api-key', 'hunter2'],
        ['x-env', 'correct horse battery staple'],
        ['x-plain', 'text'],
      ],
      hostHeader: 'erp.example:8443',
      tls: { ca: authority.ca, certificate: issued.certificate, key: issued.key, serverName: 'erp.example' },
      timeouts: { connect: 1000, response: 2000, idle: 3000, total: 4000 },
      maxConnections: 5,
      warm: 0,
    })
  })

  it('knows what functions are told from the certificate, or says that it does not', () => {
    const contents = { '/site/c.pem': issued.certificate, '/site/c.key': issued.key }
    const named = planOf(`${SHORT}listen: { certificate: c.pem, key: c.key }\n`, contents)
    expect(named.listen).toMatchObject({ address: '0.0.0.0', port: 8443, url: 'wss://hq.example.net:8443/' })
    expect(named.listen!.tls).toEqual({ certificate: issued.certificate, key: issued.key })
    const nameless = { '/site/c.pem': other.certificate, '/site/c.key': other.key }
    expect(faultsOf(`${SHORT}listen: { certificate: c.pem, key: c.key }\n`, nameless)).toEqual([
      expect.stringContaining('names no host that functions could be told'),
    ])
    expect(faultsOf(`${SHORT}listen: { port: 9 }\n`)).toEqual([expect.stringMatching(/^7:1: listen: without url/)])
    const proxied = planOf(`${SHORT}listen: { url: 'wss://hq.example.net/' }\n`)
    expect(proxied.listen).toEqual({ address: '0.0.0.0', port: 8443, url: 'wss://hq.example.net/' })
  })

  it('tells all faults at once, each with its place', () => {
    const text = `services:
  ERP: { target: 'http://10.1.0.20', allow: [orders] }
  erp:
    target: ftp://10.1.0.20
    alow: [orders]
  db: { target: tcp://10.1.0.30, warm: 1, hosts: [erp.internal] }
  lan: { networks: [10.1.0.7/24] }
  both: { target: 'http://h:80', networks: [10.1.0.0/24], ports: [99999] }
  none: { allow: [orders] }
listen: { address: here, key: 7 }
limits: { memory: 1 }
`
    expect(faultsOf(text)).toEqual([
      expect.stringMatching(/^2:3: services\.ERP: "ERP" is not a name for a service/),
      expect.stringMatching(/^4:13: services\.erp\.target: "ftp:\/\/10\.1\.0\.20" is not a target/),
      expect.stringMatching(/^5:5: services\.erp\.alow: there is no such key; did you mean allow\?/),
      expect.stringMatching(/^6:17: services\.db\.target: "tcp:\/\/10\.1\.0\.30" has no port; write tcp:\/\//),
      expect.stringMatching(/^6:34: services\.db\.warm: warm does nothing for a target of kind tcp/),
      expect.stringMatching(/^6:51: services\.db\.hosts\[0\]: erp\.internal leads to erp already/),
      expect.stringMatching(/^7:10: services\.lan\.networks: networks need ports/),
      expect.stringMatching(
        /^7:21: services\.lan\.networks\[0\]: "10\.1\.0\.7\/24" has bits set.*write 10\.1\.0\.0\/24/,
      ),
      expect.stringMatching(/^8:34: services\.both\.networks: target and networks exclude/),
      expect.stringMatching(/^8:59: services\.both\.ports: ports does nothing for a target of kind http/),
      expect.stringMatching(/^8:67: services\.both\.ports\[0\]: "99999" is not a port/),
      expect.stringMatching(/^9:3: services\.none: it says of no place/),
      expect.stringMatching(/^10:1: listen: without url and certificate/),
      expect.stringMatching(/^10:20: listen\.address: "here" is not an IP address/),
      expect.stringMatching(/^10:26: listen\.key: key without certificate/),
      expect.stringMatching(/^10:31: listen\.key: "7" is not a file path/),
      expect.stringMatching(/^11:19: limits\.memory: "1" is not a size/),
    ])
  })

  test.each([
    ['http://10.1.0.20:8000/path', 'leave path, query and user out'],
    ['http://user:hunter2@10.1.0.20:8000', 'leave path, query and user out'],
    ['http://10.1.0.20:0', 'is not a target'],
    ['http://10.1.0.20:70000', 'is not a target'],
    ['http://localhost:80', 'write the address'],
    ['http://x.localhost:80', 'write the address'],
    ['http://127.1:80', 'is not a target'],
    ['http://2130706433:80', 'is not a target'],
    ['http://0x7f.1:80', 'is not a target'],
    ['http://a..b:80', 'is not a target'],
    ['http://:80', 'is not a target'],
    ['http://[fe80::1%eth0]:80', 'is not a target'],
  ])('the target %s is refused', (target, words) => {
    expect(faultsOf(`services: { erp: { target: '${target}', allow: [orders] } }`)).toEqual([
      expect.stringContaining(words),
    ])
  })

  it('takes an IPv6 target and one that listens on the connector itself', () => {
    const { services } = planOf(
      `services: { a: { target: 'http://[2001:DB8::1]:8080/' }, b: { target: 'tcp://127.0.0.1:1' } }`,
    )
    expect(services).toMatchObject([
      { host: '2001:db8::1', port: 8080 },
      { host: '127.0.0.1', port: 1 },
    ])
  })

  test.each([
    ['x-key: 12345', 'the value of a header is text'],
    ['x-key: [hunter2]', 'the value of a header is text'],
    ['x-key: { hunter2: hunter2 }', 'the value of a header is text'],
    ['x-key: { env: "hunter2 12345" }', 'the value of a header is text'],
    ['x-key: "hunter2\\nx: 12345"', 'cannot stand in a header'],
    ['x-key: "hunter2\\u00e9"', 'cannot stand in a header'],
    ['x-key: { file: bad }', 'cannot stand in a header'],
    ['x-key: { file: missing }', 'there is no file /site/missing'],
    ['x-key: { env: MISSING }', 'the environment has no variable MISSING'],
    ['"x key": x', 'is not a header name'],
    ['Host: x', 'use host_header'],
    ['content-length: "5"', 'is for the connection'],
    ['transfer-encoding: x', 'is for the connection'],
  ])('the header %s is refused, and no message shows a value', (header, words) => {
    const text = `services: { erp: { target: 'http://h:1', allow: [orders], headers: { ${header} } } }`
    const faults = faultsOf(text, { '/site/bad': 'hunter2\nx: 12345' })
    expect(faults).toEqual([expect.stringContaining(words)])
    expect(faults.join()).not.toMatch(/hunter2|12345/)
  })

  it('looks into certificates and keys', () => {
    const expired = authority.issue('DNS:x', -1)
    const text = (key: string) => `services:
  erp: { target: 'https://h', allow: [orders], tls: { ca: ca, certificate: c.pem, key: ${key} } }
`
    const contents = {
      '/site/ca': 'nonsense',
      '/site/c.pem': issued.certificate,
      '/site/o': other.key,
      '/site/n': 'no',
    }
    expect(faultsOf(text('o'), contents)).toEqual([
      expect.stringContaining('services.erp.tls.ca: the file holds no certificate in PEM'),
      expect.stringContaining('services.erp.tls.key: it is not the key of the certificate'),
    ])
    expect(faultsOf(text('n'), contents)[1]).toContain('the file holds no private key in PEM')
    const warned = load(text('k'), {
      '/site/ca': authority.ca,
      '/site/c.pem': expired.certificate,
      '/site/k': expired.key,
    })
    expect('warnings' in warned && warned.warnings.map(formatFault)).toEqual([
      expect.stringContaining('the certificate has expired'),
    ])
  })

  it('warns of a service that nobody may use, and of secrets that others may read', () => {
    const source = files({ '/site/s': "services: { a: { target: 'http://h', headers: { k: { file: k } } } }" })
    const loaded = loadServices('/site/s', { ...source, fileMode: () => 0o100644 })
    expect('warnings' in loaded && loaded.warnings.map(({ message }) => message)).toEqual([
      'no function may use it',
      'others than its owner may open /site/k',
    ])
    expect(loaded.files).toEqual(['/site/s', '/site/k'])
  })

  test.each(['', '[]', 'services: x', 'services: []', 'services: { a: }', '- x', 'services: { a: { target: } }', '{'])(
    'whatever stands there, nothing is thrown: %j',
    (text) => expect(faultsOf(text).length).toBeGreaterThan(0),
  )
})
