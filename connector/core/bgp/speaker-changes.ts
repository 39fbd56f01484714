/** What stands between two configurations of a speaker. Pure. */
import type { Prefix } from '../../../protocol/net.ts'
import type { PolicyDocument } from './rib/policy-types.ts'
import type { SpeakerConfig, SpeakerNeighbour } from './speaker-types.ts'

export interface SpeakerChanges {
  /** AS, identifier or the rules of decision are others: nothing stays. */
  readonly isAnother: boolean
  /** Names. */
  readonly removed: readonly string[]
  readonly added: readonly SpeakerNeighbour[]
  /** Their sessions have to end: what OPEN said, or where the connection goes, is another thing. */
  readonly replaced: readonly SpeakerNeighbour[]
  /** What the RIB has of them is other than before. */
  readonly adjusted: readonly SpeakerNeighbour[]
  readonly originated: readonly Prefix[]
  readonly withdrawn: readonly Prefix[]
  /** Policies that do another thing, or are new or gone, by name. */
  readonly policies: ReadonlySet<string>
  readonly hasOtherAddresses: boolean
}

export function speakerChanges(before: SpeakerConfig, after: SpeakerConfig): SpeakerChanges {
  const isAnother = beingOf(before) !== beingOf(after)
  const known = new Map(before.neighbours.map((neighbour) => [neighbour.name, neighbour]))
  const names = new Set(after.neighbours.map(({ name }) => name))
  const pairs = after.neighbours.flatMap((neighbour) => {
    const old = known.get(neighbour.name)
    return old === undefined ? [] : [{ old, neighbour }]
  })
  const replaced = pairs.filter(({ old, neighbour }) => isAnother || sessionOf(old) !== sessionOf(neighbour))
  const kept = pairs.filter((pair) => !replaced.includes(pair))
  return {
    isAnother,
    removed: [...known.keys()].filter((name) => !names.has(name)),
    added: after.neighbours.filter(({ name }) => !known.has(name)),
    replaced: replaced.map(({ neighbour }) => neighbour),
    adjusted: kept
      .filter(({ old, neighbour }) => stable(old.rib) !== stable(neighbour.rib))
      .map(({ neighbour }) => neighbour),
    originated: without(after.networks, before.networks),
    withdrawn: without(before.networks, after.networks),
    policies: changedPolicies(before.policies, after.policies),
    hasOtherAddresses: stable([...before.ownAddresses].sort()) !== stable([...after.ownAddresses].sort()),
  }
}

function beingOf({ localAs, routerId, decision }: SpeakerConfig): string {
  return stable([localAs, routerId, decision])
}

/** All but what the RIB and BFD are told of it; of the RIB's that what both ends agree on. */
function sessionOf({ rib, bfd: _, ...rest }: SpeakerNeighbour): string {
  const { peerAs, address, role } = rib
  return stable([rest, peerAs, address, role])
}

function changedPolicies(before: PolicyDocument, after: PolicyDocument): ReadonlySet<string> {
  const lists = changedKeys(before.prefixLists ?? {}, after.prefixLists ?? {})
  const changed = new Set(changedKeys(before.policies, after.policies))
  for (const [name, { rules }] of Object.entries(after.policies)) {
    if (rules.some((rule) => typeof rule.if?.prefixes === 'string' && lists.has(rule.if.prefixes))) changed.add(name)
  }
  return changed
}

function changedKeys(before: Readonly<Record<string, unknown>>, after: Readonly<Record<string, unknown>>) {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return new Set([...names].filter((name) => stable(before[name]) !== stable(after[name])))
}

function without(these: readonly Prefix[], those: readonly Prefix[]): Prefix[] {
  const known = new Set(those)
  return [...new Set(these)].filter((prefix) => !known.has(prefix))
}

/** The same text for equal plain data, whatever the order of its keys. */
function stable(value: unknown): string {
  const text = JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).sort(([left], [right]) => (left < right ? -1 : 1)))
  })
  return text ?? ''
}
