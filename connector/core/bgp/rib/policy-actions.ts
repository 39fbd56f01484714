/** What a policy sets, carried out on an attribute set. */
import type { AsPath, PathAttributes } from '../wire/types.ts'
import {
  type CommunityPattern,
  exactCommunity,
  parseCommunityPattern,
  withCommunities,
  withoutCommunities,
} from './communities.ts'
import type { PolicyActions } from './policy-types.ts'

export interface CompiledActions {
  readonly actions: PolicyActions
  readonly removed: readonly CommunityPattern[]
  readonly added: readonly (readonly number[])[]
}

/** Every community there is. */
const ALL: readonly CommunityPattern[] = [
  [undefined, undefined],
  [undefined, undefined, undefined],
]

/** Of actions without fault. */
export function compileActions(actions: PolicyActions): CompiledActions {
  const { set, delete: removed, add } = actions.communities ?? {}
  const patterns = (texts: readonly string[] = []) => texts.map((text) => parseCommunityPattern(text)!)
  return {
    actions,
    removed: set === undefined ? patterns(removed) : ALL,
    added: [...patterns(set), ...patterns(add)].map((pattern) => exactCommunity(pattern)!),
  }
}

/** The attributes with everything set, in order. The given ones are not changed. */
export function applyActions(
  attributes: PathAttributes,
  all: readonly CompiledActions[],
  localAs: number,
): PathAttributes {
  let result = attributes
  for (const { actions, removed, added } of all) {
    if (removed.length > 0) result = withoutCommunities(result, removed)
    if (added.length > 0) result = withCommunities(result, added)
    if (actions.prepend !== undefined) {
      const { times, asn } = actions.prepend
      result = { ...result, asPath: prepended(result.asPath, asn ?? localAs, times) }
    }
    if (actions.localPref !== undefined) result = { ...result, localPref: actions.localPref }
    if (actions.med !== undefined) {
      const { med: _, ...rest } = result
      result = actions.med === 'none' ? rest : { ...rest, med: actions.med }
    }
  }
  return result
}

export function setsNextHopSelf(all: readonly CompiledActions[]): boolean {
  return all.findLast(({ actions }) => actions.nextHopSelf !== undefined)?.actions.nextHopSelf ?? false
}

/** RFC 4271 section 5.1.2: into the first segment where that is a sequence. */
export function prepended(asPath: AsPath, asn: number, times: number): AsPath {
  const added = new Array<number>(times).fill(asn)
  const [first, ...rest] = asPath
  if (first?.type !== 'sequence') return [{ type: 'sequence', asns: added }, ...asPath]
  return [{ type: 'sequence', asns: [...added, ...first.asns] }, ...rest]
}
