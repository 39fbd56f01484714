import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EXIT } from '../../handle.ts'
import { runCli } from '../run.ts'
import { recordedIo } from '../testing.ts'
import { VENDORS } from './vendors.ts'

const SECRET = 'Zebra_Quagga.Okapi_1234567890'
const STATIC = `
  branch:
    address: 198.51.100.7
    networks: [10.2.0.0/16]
    secret: { file: branch.key }`
const BY_BGP = `
  cloud:
    address: 198.51.100.9
    inside: [169.254.21.2/30]
    routes: bgp
    secret: { env: CLOUD_PSK }`
const BGP = `
bgp:
  as: 65010
  neighbours:
    cloud: { peer: cloud, address: 169.254.21.1, as: 64512, import: take, export: give }
  policies:
    take: { rules: [], otherwise: accept }
    give: { rules: [{ if: { from: [local] }, do: accept }] }`

let directory: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-test-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

async function run(peers: string, ...words: string[]) {
  const config = join(directory, 'isthmus.yaml')
  writeFileSync(config, `site: hq\naddress: 192.0.2.1\nnetworks: [10.1.0.0/16, 10.3.0.0/16]\npeers:${peers}\n`)
  const io = recordedIo()
  const code = await runCli(['peer-config', ...words, '--config', config], io)
  return { code, out: io.out().replaceAll(directory, ''), err: io.err().replaceAll(directory, '') }
}

async function document(peers: string, ...words: string[]) {
  const { code, out } = await run(peers, ...words, '--json')
  const { sections, ...rest } = JSON.parse(out)
  const all = sections.flatMap(({ fields }: { fields: { label: string; value: string }[] }) => fields)
  return {
    code,
    ...rest,
    fields: Object.fromEntries(all.map((field: { label: string; value: string }) => [field.label, field.value])),
  }
}

describe.each(Object.keys(VENDORS))('%s', (vendor) => {
  test('needs no right to read the key, and does not print it', async () => {
    const { code, out, err } = await run(STATIC, vendor)
    expect({ code, err }).toEqual({ code: EXIT.ok, err: '' })
    expect(out).toContain('the other end of branch, for the site hq')
    expect(out).toContain('--show-secret')
  })

  test('prints the key where it is asked for', async () => {
    writeFileSync(join(directory, 'branch.key'), `${SECRET}\n`, { mode: 0o600 })
    const { code, out } = await run(STATIC, vendor, '--show-secret')
    expect(code).toBe(EXIT.ok)
    expect(out.split(SECRET)).toHaveLength(2)
    rmSync(join(directory, 'branch.key'))
  })

  test('knows BGP and addresses inside', async () => {
    const { code, out } = await run(BY_BGP + BGP, vendor)
    expect(code).toBe(EXIT.ok)
    const needed = { strongswan: 'XFRM', fortinet: 'config vpn', cloudflare: '169.254.21.1/30' }
    expect(out).toContain(needed[vendor as 'strongswan'] ?? '65010')
  })

  test('does not take suites that the vendor has not', async () => {
    // What strongSwan and FortiGate lack of ours is nothing.
    const { code, faults } = await document(
      `${STATIC}\n    ike: { proposals: [chacha20poly1305-prfsha256-ecp521] }`,
      vendor,
    )
    const has = vendor === 'strongswan' || vendor === 'fortinet'
    expect({ code, faults: faults.length }).toEqual({ code: has ? EXIT.ok : EXIT.findings, faults: has ? 0 : 1 })
  })
})

test('AWS: the suite that both have, in its words', async () => {
  const { fields, yaml } = await document(BY_BGP + BGP, 'aws')
  expect(fields).toMatchObject({
    'IP address': '192.0.2.1',
    'BGP ASN': '65010',
    'Routing options': 'Dynamic (requires BGP)',
    'Inside IPv4 CIDR': '169.254.21.0/30',
    'Phase 1 encryption algorithms': 'AES256-GCM-16',
    'Phase 1 integrity algorithms': 'SHA2-384',
    'Phase 1 DH group numbers': '20',
    'Phase 2 DH group numbers': '19',
    'Startup action': 'Start',
    'DPD timeout action': 'Restart',
  })
  expect(yaml).toEqual([])
})

test('AWS without BGP has static prefixes', async () => {
  const { fields } = await document(STATIC, 'aws')
  expect(fields).toMatchObject({ 'Routing options': 'Static', 'Static IP prefixes': '10.1.0.0/16, 10.3.0.0/16' })
})

test('AWS does not take every key, which is seen where it is shown', async () => {
  writeFileSync(join(directory, 'branch.key'), 'has+plus/and=signs and blanks')
  const { code, faults } = await document(STATIC, 'aws', '--show-secret')
  expect(code).toBe(EXIT.findings)
  expect(faults).toEqual([expect.stringContaining('8 to 64 letters, digits, dots and underscores')])
})

test('Azure: one combination, to be the only one of ours too', async () => {
  const { fields, yaml } = await document(STATIC, 'azure')
  expect(fields).toMatchObject({
    'IKE Phase 1 Encryption': 'GCMAES256',
    'IKE Phase 1 Integrity/PRF': 'SHA384',
    'IKE Phase 1 DH Group': 'ECP384',
    'IKE Phase 2 IPsec Encryption': 'GCMAES256',
    'IKE Phase 2 IPsec Integrity': 'GCMAES256',
    'IKE Phase 2 PFS Group': 'ECP256',
    'Use policy based traffic selector': 'Enable',
    'Address Space(s)': '10.1.0.0/16, 10.3.0.0/16',
  })
  expect(yaml).toEqual([
    'ike: { proposals: [aes256gcm16-prfsha384-ecp384] }',
    'esp: { proposals: [aes256gcm16-ecp256], esn: off }',
  ])
})

test('Azure takes few link-local addresses for BGP', async () => {
  const elsewhere = (BY_BGP + BGP).replaceAll('169.254.21.', '169.254.10.')
  const { code, faults } = await document(elsewhere, 'azure')
  expect({ code, faults }).toEqual({
    code: EXIT.findings,
    faults: [expect.stringContaining('169.254.10.2 and 169.254.10.1')],
  })
})

test('Cloudflare: what isthmus.yaml still needs, until it has it', async () => {
  expect(await document(STATIC, 'cloudflare')).toMatchObject({
    yaml: [
      'local_id: <TUNNEL_ID>.<ACCOUNT_ID>.ipsec.cloudflare.com',
      'ports: { ike: 4500 }',
      'esp: { esn: off, replay_window: 0 }',
      'inside: [169.254.<x>.<y>/30]',
    ],
  })
  const ready = `${STATIC}
    local_id: f00.123.ipsec.cloudflare.com
    ports: { ike: 4500 }
    esp: { esn: off, replay_window: 0 }
    inside: [169.254.21.2/30]`
  expect(await document(ready, 'cloudflare')).toMatchObject({ code: EXIT.ok, yaml: [], faults: [] })
  const waiting = await document(`${ready}\n    initiate: false`, 'cloudflare')
  expect(waiting).toMatchObject({ code: EXIT.findings, faults: [expect.stringContaining('never calls')] })
})

test('Google: one suite, its MTU, and an identity that is an address', async () => {
  const { yaml } = await document(STATIC, 'google')
  expect(yaml).toEqual([
    'ike: { proposals: [aes256gcm16-prfsha256-x25519] }',
    'esp: { proposals: [aes256gcm16-x25519], esn: off }',
    'path_mtu: 1460',
  ])
  const named = await document(`${STATIC}\n    local_id: hq.example.net`, 'google')
  expect(named).toMatchObject({
    code: EXIT.findings,
    faults: [expect.stringContaining('Our identity is hq.example.net')],
  })
})

test('strongSwan: prefixes, ports and identities are those of isthmus.yaml, mirrored', async () => {
  const children = `${STATIC}
    id: branch.example.net
    ports: { ike: 501 }
    esp: { proposals: [aes256gcm16-x25519], esn: require }
    children: { web: { local: [10.1.5.0/24], protocol: tcp, local_ports: 443 }, rest: { local: ['10.3.0.0/16'] } }`
  const { file } = await document(children, 'strongswan')
  expect(file.text).toContain('local_port = 501\n')
  expect(file.text).toContain('id = fqdn:branch.example.net\n')
  expect(file.text).toContain('remote_ts = 10.1.5.0/24[6/443]\n')
  expect(file.text).toContain('local_ts = 10.2.0.0/16[6]\n')
  expect(file.text).toContain('remote_ts = 10.3.0.0/16\n')
  expect(file.text).toContain('esp_proposals = aes256gcm16-x25519-esn\n')
})

test('a key that is not text, or would read as something else, stands in hexadecimal for strongSwan', async () => {
  for (const [key, expected] of [
    ['hex:00ff10a1', 'secret = 0x00ff10a1'],
    ['with "quotes" in it', `secret = 0x${Buffer.from('with "quotes" in it').toString('hex')}`],
    ['0s+looks/like+base64', `secret = 0x${Buffer.from('0s+looks/like+base64').toString('hex')}`],
  ] as const) {
    writeFileSync(join(directory, 'branch.key'), key)
    expect((await document(STATIC, 'strongswan', '--show-secret')).file.text).toContain(`${expected}\n`)
  }
})

test('FortiGate: a phase 2 for each pair of networks; a key that would end its quotes is not printed', async () => {
  const { file } = await document(STATIC, 'fortinet')
  expect(file.text).toContain('set proposal aes256gcm-prfsha256\n        set dhgrp 31\n')
  expect(file.text.match(/set dst-subnet (\S+)/g)).toEqual(['set dst-subnet 10.1.0.0/16', 'set dst-subnet 10.3.0.0/16'])
  writeFileSync(join(directory, 'branch.key'), 'abcdef"\n    next\nend')
  const shown = await document(STATIC, 'fortinet', '--show-secret')
  expect(shown).toMatchObject({ code: EXIT.findings, faults: [expect.stringContaining('without quotes')] })
  expect(shown.file.text).toContain('set psksecret "PUT-THE-KEY-HERE"\n')
  const narrow = `${STATIC}\n    children: { web: { protocol: tcp, local_ports: 443 } }`
  expect(await document(narrow, 'fortinet')).toMatchObject({ code: EXIT.findings })
})

test('unknown vendors and peers are told with those that there are', async () => {
  expect(await run(STATIC, 'cisco')).toEqual({
    code: EXIT.usage,
    out: '',
    err: 'isthmus peer-config: there is no vendor "cisco".\n  What to do: choose one of strongswan, aws, azure, cloudflare, fortinet, google.\n',
  })
  expect((await run(STATIC, 'aws', '--peer', 'x')).err).toContain('there is no peer "x"')
  expect((await run(STATIC + BY_BGP + BGP, 'aws')).err).toContain('name one with --peer: branch, cloud.')
})

test('a configuration with faults is refused with all of them', async () => {
  const { code, err } = await run(`${STATIC}\n    netwroks: []`, 'aws')
  expect(code).toBe(EXIT.badConfig)
  expect(err).toContain('isthmus.yaml:9:5: peers.branch.netwroks: there is no such key; did you mean networks?')
  expect(await runCli(['peer-config', 'aws', '--config', '/nowhere.yaml'], recordedIo())).toBe(EXIT.unreadableFile)
})

describe('the examples of docs/peers.md', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/peers.md'), 'utf8')
  const examples = [...page.matchAll(/```yaml\npeers:(\n {2}(\w+):\n[^`]+)```/g)].map(([, text, vendor]) => [
    vendor,
    text,
  ])

  test.each(examples as [string, string][])('%s needs nothing more', async (vendor, text) => {
    const [, inside] = /inside: \[([\d.]+)2\//.exec(text) ?? []
    const bgp = BGP.replace('cloud: { peer: cloud', `${vendor}: { peer: ${vendor}`).replace(
      '169.254.21.1',
      `${inside}1`,
    )
    const { code, yaml, faults } = await document(text + (text.includes('routes: bgp') ? bgp : ''), vendor)
    expect({ code, yaml, faults }).toEqual({ code: EXIT.ok, yaml: [], faults: [] })
  })

  test('are three', () => expect(examples.map(([vendor]) => vendor)).toEqual(['azure', 'cloudflare', 'google']))
})
