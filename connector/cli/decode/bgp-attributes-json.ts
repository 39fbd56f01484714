/** Path attributes as a JSON value, in the notations of their RFCs. */
import { formatAddress } from '../../../protocol/net.ts'
import { type AsPath, attributeName, ORIGIN, type PathAttributes } from '../../core/bgp/wire/codec.ts'
import type { Json } from './payload-json.ts'

export function attributesJson(attributes: PathAttributes): Json {
  const { med, localPref, aggregator, originatorId, clusterList, onlyToCustomer } = attributes
  const origin = Object.entries(ORIGIN).find(([, value]) => value === attributes.origin)?.[0]
  return {
    origin,
    asPath: asPathText(attributes.asPath),
    ...present('med', med),
    ...present('localPref', localPref),
    ...present('atomicAggregate', attributes.atomicAggregate),
    ...present('aggregator', aggregator && { asn: aggregator.asn, routerId: dottedQuad(aggregator.routerId) }),
    ...present('communities', attributes.communities?.map(communityText)),
    ...present('extendedCommunities', attributes.extendedCommunities?.map(hex)),
    ...present(
      'largeCommunities',
      attributes.largeCommunities?.map((each) => each.join(':')),
    ),
    ...present('originatorId', originatorId === undefined ? undefined : dottedQuad(originatorId)),
    ...present('clusterList', clusterList?.map(dottedQuad)),
    ...present('onlyToCustomer', onlyToCustomer),
    ...present(
      'others',
      attributes.unknown?.map(({ flags, type, value }) => ({
        type,
        name: attributeName(type),
        flags,
        value: hex(value),
      })),
    ),
  }
}

function present(name: string, value: unknown): Json {
  return value === undefined ? {} : { [name]: value }
}

/** Sets stand in braces. */
function asPathText(path: AsPath): string {
  return path.map(({ type, asns }) => (type === 'set' ? `{${asns.join(',')}}` : asns.join(' '))).join(' ')
}

/** RFC 1997: AS number and value. */
function communityText(community: number): string {
  return `${community >>> 16}:${community & 0xffff}`
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** A BGP identifier as it is written. */
export function dottedQuad(value: number): string {
  return formatAddress(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value))
}
