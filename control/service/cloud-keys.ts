/** Pre-shared keys of tunnels to clouds: kept sealed, and sealed anew for the connector that is to have them. */
import { CompactEncrypt, importJWK } from 'jose'
import { type DocumentExternal, sealingKeySchema } from '../../protocol/control/external.ts'
import { externalsOf } from '../domain/cloud/external.ts'
import { makePsk, pskFingerprint } from '../domain/cloud/rules.ts'
import type { CloudKey, CloudRecord, CloudTunnelRecord } from '../domain/cloud/types.ts'
import type { ConnectorRecord } from '../store/repo.ts'
import { claimsOf, utf8 } from './signatures.ts'
import { mustGet } from './support.ts'
import type { Context, SecretName } from './types.ts'
import type { Work } from './work.ts'

/** Connections of one site. */
export const MAX_CLOUDS = 500
/** The document has room for so many keys of a tunnel. */
const MOST_KEYS = 2

export class CloudKeys {
  readonly #context: Context

  constructor(context: Context) {
    this.#context = context
  }

  /** A fresh key, in the store; gives its fingerprint. `name`: `<external>/<key>`. */
  async make(work: Work, name: string): Promise<string> {
    const { random, sealer, clock } = this.#context
    const text = makePsk(random)
    const plain = utf8(text)
    const sealed = await sealer.seal(secretName(work.network, name), plain)
    plain.fill(0)
    await work.put('secret', { id: name, sealed, createdAt: clock() })
    return pskFingerprint(text)
  }

  /** The texts of these keys, for one call. */
  async open(network: string, names: readonly string[]): Promise<Map<string, string>> {
    const texts = new Map<string, string>()
    for (const name of names) {
      const { value } = await mustGet(this.#context, network, 'secret', name)
      texts.set(name, await this.#open(network, name, value.sealed))
    }
    return texts
  }

  /** Keys that `before` had and `after` has not: nobody needs them any more. */
  async forget(work: Work, before: CloudRecord, after: CloudRecord | undefined): Promise<void> {
    const kept = new Set(after === undefined ? [] : namesOf(after))
    for (const name of namesOf(before)) if (!kept.has(name)) await work.remove('secret', name)
  }

  /** Has all keys of the site's connections sealed for its connector; those that are, stay as they are. */
  async seal(work: Work, connector: ConnectorRecord): Promise<void> {
    const sealingKey = keyOf(connector)
    if (sealingKey === undefined) return
    for (const record of await this.#cloudsOf(work, connector.site)) {
      if (record.tunnels.every(({ keys }) => keys.every((key) => isSealedFor(key, connector.id, sealingKey)))) continue
      const tunnels: CloudTunnelRecord[] = []
      for (const tunnel of record.tunnels) {
        const keys: CloudKey[] = []
        for (const key of tunnel.keys) {
          const fits = isSealedFor(key, connector.id, sealingKey)
          keys.push(fits ? key : await this.#sealed(work, `${tunnel.external}/${key.id}`, key, connector, sealingKey))
        }
        tunnels.push({ ...tunnel, keys })
      }
      await work.put('cloud', { ...record, tunnels })
    }
  }

  /** The tunnels of the site's connections as its connector is told of them: those whose keys are sealed for it. */
  async externals(work: Work, connector: ConnectorRecord): Promise<DocumentExternal[]> {
    const sealingKey = keyOf(connector)
    if (sealingKey === undefined) return []
    const records = await this.#cloudsOf(work, connector.site)
    return records.flatMap((record) =>
      externalsOf(withFewKeys(record), (_, { id, fingerprint, sealed }) =>
        sealed?.connector === connector.id && sealed.sealingKey === sealingKey
          ? { id, fingerprint, secret: sealed.jwe }
          : undefined,
      ),
    )
  }

  async #cloudsOf(work: Work, site: string): Promise<CloudRecord[]> {
    const page = await this.#context.repo.list(work.network, 'cloud', { ref: site, limit: MAX_CLOUDS })
    return work.adopt('cloud', page)
  }

  async #sealed(
    work: Work,
    name: string,
    key: CloudKey,
    connector: ConnectorRecord,
    sealingKey: string,
  ): Promise<CloudKey> {
    const { sealed } = await work.mustGet('secret', name)
    const plain = utf8(await this.#open(work.network, name, sealed))
    const recipient = await importJWK({ kty: 'OKP', crv: 'X25519', x: sealingKey }, 'ECDH-ES')
    const jwe = await new CompactEncrypt(plain)
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', kid: name })
      .encrypt(recipient)
    plain.fill(0)
    return { ...key, sealed: { connector: connector.id, sealingKey, jwe } }
  }

  async #open(network: string, name: string, sealed: string): Promise<string> {
    const plain = await this.#context.sealer.open(secretName(network, name), sealed)
    const text = new TextDecoder().decode(plain)
    plain.fill(0)
    return text
  }
}

/** Names of all keys of a connection, as its secrets are kept. */
export function namesOf({ tunnels }: CloudRecord): string[] {
  return tunnels.flatMap(({ external, keys }) => keys.map(({ id }) => `${external}/${id}`))
}

/** The X25519 key, base64url, of what the connector reported; its signature was verified then. */
function keyOf({ sealingKey }: ConnectorRecord): string | undefined {
  return sealingKey === undefined ? undefined : claimsOf(sealingKey, sealingKeySchema)?.key
}

function isSealedFor({ sealed }: CloudKey, connector: string, sealingKey: string): boolean {
  return sealed?.connector === connector && sealed.sealingKey === sealingKey
}

/** The one in use, and the newest. */
function withFewKeys(record: CloudRecord): CloudRecord {
  if (record.tunnels.every(({ keys }) => keys.length <= MOST_KEYS)) return record
  const tunnels = record.tunnels.map((tunnel) =>
    tunnel.keys.length <= MOST_KEYS ? tunnel : { ...tunnel, keys: [tunnel.keys[0]!, tunnel.keys.at(-1)!] },
  )
  return { ...record, tunnels }
}

function secretName(network: string, id: string): SecretName {
  return { network, kind: 'cloud-key', id }
}
