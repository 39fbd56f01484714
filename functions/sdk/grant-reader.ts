/** Reads a grant and its stream keys; the shapes are those of `protocol/control/grant.ts`, without its library. */
import { fromBase64url } from '../../protocol/control/base64url.ts'
import type { Grant } from '../../protocol/control/grant.ts'
import { failure } from './error.ts'
import { isObject, verifiedClaims } from './jws.ts'

/** A connector whose stream key its identity has signed. */
export interface GrantedConnector {
  readonly id: string
  /** X25519, 32 bytes. */
  readonly streamKey: Uint8Array
  /** ws: or wss: */
  readonly direct?: string
  /** Path at the control plane. */
  readonly relay?: string
}

const MAX_CONNECTORS = 64

/** Undefined for what is no grant. Connectors that cannot be read are left out. */
export function readGrant(value: unknown): Grant | undefined {
  if (!isObject(value)) return undefined
  const { token, now, expiresAt, site, services, connectors } = value
  if (typeof token !== 'string' || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token) || token.length > 4096) return undefined
  if (!isInstant(now) || !isInstant(expiresAt) || typeof site !== 'string') return undefined
  if (!Array.isArray(services) || !Array.isArray(connectors)) return undefined
  return {
    token,
    now,
    expiresAt,
    site,
    services: services.filter((name): name is string => typeof name === 'string'),
    connectors: connectors.slice(0, MAX_CONNECTORS).flatMap(connectorOf),
  }
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function connectorOf(value: unknown): Grant['connectors'] {
  if (!isObject(value)) return []
  const { id, identityKey, streamKey, direct, relay } = value
  if (typeof id !== 'string' || typeof identityKey !== 'string' || typeof streamKey !== 'string') return []
  return [
    {
      id,
      identityKey,
      streamKey,
      ...(typeof direct === 'string' && isWebSocketUrl(direct) ? { direct } : {}),
      ...(typeof relay === 'string' && /^\/(?!\/)/.test(relay) ? { relay } : {}),
    },
  ]
}

function isWebSocketUrl(text: string): boolean {
  return URL.canParse(text) && /^wss?:$/.test(new URL(text).protocol)
}

/**
 * The connectors of a grant whose stream keys verify, of those in `pins` where there are any. Throws an IsthmusError
 * where a site has connectors and none of them can be trusted.
 */
export async function trustedConnectors(
  grant: Grant,
  network: string,
  pins: readonly string[] | undefined,
): Promise<readonly GrantedConnector[]> {
  const pinned = grant.connectors.filter(({ identityKey }) => pins === undefined || pins.includes(identityKey))
  if (pinned.length === 0 && grant.connectors.length > 0) {
    const cause = `None of the connectors of site ${grant.site} has one of the identity keys in connectorKeys.`
    throw failure('control-refused', cause, 'If a connector joined anew, put its key into connectorKeys.')
  }
  const verified = await Promise.all(pinned.map((connector) => verifiedConnector(connector, network)))
  const trusted = verified.filter((connector) => connector !== undefined)
  if (trusted.length === 0 && pinned.length > 0) {
    const cause = `The stream keys of site ${grant.site} are not signed by its connectors.`
    throw failure('protocol-error', cause, 'Bring the control plane, the connectors and this package to one version.')
  }
  return trusted
}

async function verifiedConnector(
  { id, identityKey, streamKey, direct, relay }: Grant['connectors'][number],
  network: string,
): Promise<GrantedConnector | undefined> {
  const identity = fromBase64url(identityKey)
  if (identity?.length !== 32) return undefined
  const claims = await verifiedClaims(streamKey, identity)
  if (claims?.use !== 'isthmus-stream-key' || claims.network !== network || claims.connector !== id) return undefined
  const key = typeof claims.key === 'string' ? fromBase64url(claims.key) : undefined
  if (key?.length !== 32) return undefined
  return {
    id,
    streamKey: key,
    ...(direct === undefined ? {} : { direct }),
    ...(relay === undefined ? {} : { relay }),
  }
}
