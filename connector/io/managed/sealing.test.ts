import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CompactEncrypt, compactVerify, importJWK, type JWK } from 'jose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ExternalKey, externalKeySchema, sealingKeySchema } from '../../../protocol/control/external.ts'
import { ONE, sampleExternal, TWO } from '../../core/managed/testing/externals.ts'
import { leaveNetwork, openIdentity } from '../../store/enrollment.ts'
import { Unsealer } from './sealing.ts'

const SELF = { network: `net_${'0'.repeat(20)}`, connector: `con_${'0'.repeat(20)}` }
const ENROLLMENT = { format: 1, url: 'http://127.0.0.1:9', ...SELF, site: 'hq' } as const
const SECRET = 'key.of_the_tunnel1'
const NAME = `${ONE.id}/k1`

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-sealing-test-'))
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

const open = () => Unsealer.open(directory, ENROLLMENT, openIdentity(directory))

async function publishedBy({ published }: Unsealer) {
  const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: openIdentity(directory).publicKey }, 'EdDSA')
  const { payload } = await compactVerify(published, key)
  return sealingKeySchema.parse(JSON.parse(new TextDecoder().decode(payload)))
}

function fingerprint(bytes: string | Uint8Array): string {
  return createHash('sha256').update('isthmus fingerprint').update(bytes).digest('hex').slice(0, 16)
}

/** As a control plane would, or should not. */
async function sealedFor(
  unsealer: Unsealer,
  {
    header = {},
    text = SECRET,
    key,
  }: { readonly header?: object; readonly text?: string | Uint8Array; readonly key?: JWK } = {},
): Promise<ExternalKey> {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
  const to = key ?? { kty: 'OKP', crv: 'X25519', x: (await publishedBy(unsealer)).key }
  const all = { alg: 'ECDH-ES', enc: 'A256GCM', kid: NAME, ...header }
  const secret = await new CompactEncrypt(bytes).setProtectedHeader(all).encrypt(to)
  return { id: 'k1', fingerprint: fingerprint(bytes), secret }
}

async function opened(unsealer: Unsealer, key: ExternalKey, which = ONE) {
  return (await unsealer.open([sampleExternal(which, { keys: [key] })])).get(`${which.id}/${key.id}`)
}

describe('the sealing key', () => {
  it('is made once, kept to itself, and forgotten with the network', async () => {
    const one = await publishedBy(await open())
    expect(one).toEqual({ use: 'isthmus-sealing-key', ...SELF, key: one.key })
    expect((await publishedBy(await open())).key).toBe(one.key)
    expect(statSync(join(directory, 'sealing.key')).mode & 0o777).toBe(0o600)
    leaveNetwork(directory)
    expect(existsSync(join(directory, 'sealing.key'))).toBe(false)
    expect((await publishedBy(await open())).key).not.toBe(one.key)
  })

  it('that makes no sense is told, and what is in the file is not', async () => {
    writeFileSync(join(directory, 'sealing.key'), 'half-a-secret')
    const failure = await open().catch((error: Error) => error)
    expect(failure).toMatchObject({ code: 'state-unreadable' })
    expect(String(failure)).not.toContain('half-a-secret')
  })
})

describe('a sealed key', () => {
  it('is opened, after a restart too, and again without effort', async () => {
    const unsealer = await open()
    const key = externalKeySchema.parse(await sealedFor(unsealer))
    const first = await opened(unsealer, key)
    expect(first).toEqual({ psk: new TextEncoder().encode(SECRET) })
    expect(await opened(unsealer, key)).toBe(first)
    expect(await opened(await open(), key)).toEqual(first)
  })

  it.each<[string, Parameters<typeof sealedFor>[1]]>([
    ['for another tunnel', { header: { kid: `${TWO.id}/k1` } }],
    ['for another key of the tunnel', { header: { kid: `${ONE.id}/k2` } }],
    ['for nobody', { header: { kid: undefined } }],
  ])('%s is refused', async (_, options) => {
    const unsealer = await open()
    const key = await sealedFor(unsealer, options)
    expect(await opened(unsealer, key)).toEqual({ fault: 'was sealed for another tunnel' })
  })

  it.each<[string, Parameters<typeof sealedFor>[1]]>([
    ['another content encryption', { header: { enc: 'A128GCM' } }],
    ['CBC', { header: { enc: 'A256CBC-HS512' } }],
    ['a wrapped key', { header: { alg: 'ECDH-ES+A256KW' } }],
    ['a shared secret', { header: { alg: 'dir' }, key: { kty: 'oct', k: Buffer.alloc(32, 1).toString('base64url') } }],
  ])('with %s is refused', async (_, options) => {
    const unsealer = await open()
    const key = await sealedFor(unsealer, options)
    expect(await opened(unsealer, key)).toEqual({ fault: 'cannot be opened with our sealing key' })
  })

  it('for another connector, or with a bit turned, is refused', async () => {
    const unsealer = await open()
    const x = Buffer.alloc(32, 9).toString('base64url')
    const foreign = await sealedFor(unsealer, { key: { kty: 'OKP', crv: 'X25519', x } })
    const key = await sealedFor(unsealer)
    const parts = key.secret.split('.')
    const turned = parts.map((part, at) => {
      const other = part.length === 0 ? 'AAAA' : (part[0] === 'A' ? 'B' : 'A') + part.slice(1)
      return { ...key, secret: [...parts.slice(0, at), other, ...parts.slice(at + 1)].join('.') }
    })
    for (const bad of [foreign, ...turned]) {
      expect(await opened(unsealer, bad)).toEqual({ fault: 'cannot be opened with our sealing key' })
    }
  })

  it.each([
    ['nothing', '', 'has not 1 to 256 octets'],
    ['too much', 'x'.repeat(257), 'has not 1 to 256 octets'],
    ['no text', Uint8Array.of(0xff, 0xfe), 'is no text in UTF-8'],
  ])('that holds %s is refused', async (_, text, fault) => {
    const unsealer = await open()
    expect(await opened(unsealer, await sealedFor(unsealer, { text }))).toEqual({ fault })
  })

  it('with another fingerprint than its own is refused', async () => {
    const unsealer = await open()
    const key = { ...(await sealedFor(unsealer)), fingerprint: fingerprint('another') }
    expect(await opened(unsealer, key)).toEqual({ fault: 'has another fingerprint than it should' })
  })
})
