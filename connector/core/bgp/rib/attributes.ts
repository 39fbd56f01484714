/** Attribute sets as values: equality and a hash that agrees with it. */
import type { AsPath, PathAttributes } from '../wire/types.ts'
import { finish, mix } from './prefix-table.ts'

export function sameAttributes(left: PathAttributes, right: PathAttributes): boolean {
  if (left === right) return true
  return (
    left.origin === right.origin &&
    left.med === right.med &&
    left.localPref === right.localPref &&
    left.onlyToCustomer === right.onlyToCustomer &&
    left.atomicAggregate === right.atomicAggregate &&
    left.originatorId === right.originatorId &&
    left.aggregator?.asn === right.aggregator?.asn &&
    left.aggregator?.routerId === right.aggregator?.routerId &&
    samePath(left.asPath, right.asPath) &&
    sameNumbers(left.communities, right.communities) &&
    sameNumbers(left.clusterList, right.clusterList) &&
    sameLists(left.largeCommunities, right.largeCommunities, sameNumbers) &&
    sameLists(left.extendedCommunities, right.extendedCommunities, sameNumbers) &&
    sameLists(left.unknown, right.unknown, sameUnknown)
  )
}

function samePath(left: AsPath, right: AsPath): boolean {
  return sameLists(left, right, (one, other) => one.type === other.type && sameNumbers(one.asns, other.asns))
}

type Unknown = NonNullable<PathAttributes['unknown']>[number]

function sameUnknown(left: Unknown, right: Unknown): boolean {
  return left.type === right.type && left.flags === right.flags && sameNumbers(left.value, right.value)
}

function sameNumbers(left: ArrayLike<number> | undefined, right: ArrayLike<number> | undefined): boolean {
  return sameLists(left, right, (one, other) => one === other)
}

/** A missing list is another thing than an empty one. */
function sameLists<T>(
  left: ArrayLike<T> | undefined,
  right: ArrayLike<T> | undefined,
  same: (one: T, other: T) => boolean,
): boolean {
  if (left === undefined || right === undefined) return left === right
  if (left.length !== right.length) return false
  for (let i = 0; i < left.length; i++) if (!same(left[i]!, right[i]!)) return false
  return true
}

/** 32 bits, unsigned. */
export function hashAttributes(seed: number, attributes: PathAttributes): number {
  let hash = mix(seed, attributes.origin)
  for (const { type, asns } of attributes.asPath) {
    hash = mix(hash, type === 'set' ? 1 : 2)
    for (const asn of asns) hash = mix(hash, asn)
  }
  hash = mix(hash, attributes.med ?? 0)
  hash = mix(hash, attributes.localPref ?? 0)
  hash = mix(hash, attributes.onlyToCustomer ?? 0)
  hash = mix(hash, attributes.originatorId ?? 0)
  hash = mix(hash, attributes.aggregator?.routerId ?? 0)
  for (const community of attributes.communities ?? []) hash = mix(hash, community)
  for (const parts of attributes.largeCommunities ?? []) for (const part of parts) hash = mix(hash, part)
  for (const cluster of attributes.clusterList ?? []) hash = mix(hash, cluster)
  for (const bytes of attributes.extendedCommunities ?? []) for (const byte of bytes) hash = mix(hash, byte)
  for (const { type, value } of attributes.unknown ?? []) {
    hash = mix(hash, type)
    for (const byte of value) hash = mix(hash, byte)
  }
  return finish(hash)
}
