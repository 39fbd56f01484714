/** The two tunnels of a connection as the connector is told of them. */
import type { AwsOptions } from '../../../protocol/control/cloud.ts'
import type { DocumentExternal, ExternalKey } from '../../../protocol/control/external.ts'
import { insideHosts } from './rules.ts'
import type { CloudKey, CloudRecord, CloudTunnelRecord } from './types.ts'

const ENCRYPTION = {
  'AES256-GCM-16': 'aes256gcm16',
  'AES128-GCM-16': 'aes128gcm16',
  AES256: 'aes256',
  AES128: 'aes128',
}
const HASH = { 'SHA2-512': 'sha512', 'SHA2-384': 'sha384', 'SHA2-256': 'sha256' }
const GROUP = { 14: 'modp2048', 15: 'modp3072', 16: 'modp4096', 19: 'ecp256', 20: 'ecp384', 21: 'ecp521' }
/** The document has room for so many. */
const MOST_PROPOSALS = 8
/** Of AWS's side it is not known: IPsec in UDP over the internet. */
const HOLD_TIME_S = 30
const MAX_PREFIXES = 1_000

/** Those that are known at AWS; `sealed` gives a key's JWE for the connector, undefined where there is none yet. */
export function externalsOf(
  record: CloudRecord,
  sealed: (tunnel: CloudTunnelRecord, key: CloudKey) => ExternalKey | undefined,
): DocumentExternal[] {
  return record.tunnels.flatMap((tunnel) => {
    const keys = tunnel.keys.map((key) => sealed(tunnel, key))
    if (tunnel.outside === undefined || record.resolved === undefined || keys.length === 0) return []
    return keys.every((key) => key !== undefined) ? [externalOf(record, tunnel, keys)] : []
  })
}

function externalOf(record: CloudRecord, tunnel: CloudTunnelRecord, keys: readonly ExternalKey[]): DocumentExternal {
  const { options, routing } = record
  const { address, as, peerAs, local, remote } = record.resolved!
  const { external, name, insideCidr, outside, drained, generation } = tunnel
  return {
    id: external,
    name,
    peer: { address: outside! },
    identity: address,
    initiate: true,
    ike: offered(ikeProposals, options, record.earlierOptions),
    esp: offered(espProposals, options, record.earlierOptions),
    ikeLifetimeS: options.ikeLifetimeS,
    childLifetimeS: options.childLifetimeS,
    dpdS: 10,
    replayWindow: options.replayWindow,
    inside: insideHosts(insideCidr),
    routing:
      routing === 'static'
        ? { kind: 'static', prefixes: [...remote] }
        : {
            kind: 'bgp',
            localAs: as,
            peerAs,
            advertise: [...local],
            accept: [...remote],
            maxPrefixes: MAX_PREFIXES,
            holdTimeS: HOLD_TIME_S,
          },
    group: record.id,
    drained,
    keys: [...keys],
    generation,
  }
}

/** Of what is wanted, and then of what the provider may have yet: while it is changed, either end would else be alone. */
function offered(
  proposals: (options: AwsOptions) => string[],
  wanted: AwsOptions,
  earlier: AwsOptions | undefined,
): string[] {
  const [first, second] = [proposals(wanted), earlier === undefined ? [] : proposals(earlier)]
  const room = Math.max(MOST_PROPOSALS - second.length, MOST_PROPOSALS / 2)
  return [...new Set([...first.slice(0, room), ...second])].slice(0, MOST_PROPOSALS)
}

/** Every combination that both AWS and we have, the strongest first. */
export function ikeProposals({ encryption, integrity, groups }: AwsOptions): string[] {
  const names = encryption.flatMap((cipher) =>
    integrity.flatMap((hash) =>
      groups.map((group) => {
        const whole = cipher.includes('GCM') ? [ENCRYPTION[cipher]] : [ENCRYPTION[cipher], HASH[hash]]
        return [...whole, `prf${HASH[hash]}`, GROUP[group]].join('-')
      }),
    ),
  )
  return names.slice(0, MOST_PROPOSALS)
}

/** Our ESP has AES-GCM alone. */
export function espProposals({ encryption, groups }: AwsOptions): string[] {
  const ciphers = encryption.filter((cipher) => cipher.includes('GCM'))
  return ciphers
    .flatMap((cipher) => groups.map((group) => `${ENCRYPTION[cipher]}-${GROUP[group]}-noesn`))
    .slice(0, MOST_PROPOSALS)
}
