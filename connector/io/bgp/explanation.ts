/** What the RIB knows of a prefix, as the local API tells it. */
import type { RouteAttributes, RouteExplanation, RouteRow } from '../../../protocol/routes.ts'
import { communityText } from '../../core/bgp/rib/communities.ts'
import type { Explanation } from '../../core/bgp/rib/explain.ts'
import type { AsPath, PathAttributes } from '../../core/bgp/wire/codec.ts'

const ORIGINS = ['igp', 'egp', 'incomplete']

/** `rib` is undefined where no BGP speaks of it. */
export function explanationOf(
  prefix: string,
  used: RouteRow | undefined,
  rib: Explanation | undefined,
): RouteExplanation {
  return {
    prefix,
    ...(used === undefined ? {} : { used }),
    candidates: (rib?.candidates ?? []).map(({ accepted, attributes, nextHop, igpMetric, neighbour, ...rest }) => ({
      neighbour,
      state: rest.state,
      ...(rest.why === undefined ? {} : { why: rest.why }),
      ...(rest.rule === undefined ? {} : { rule: rest.rule }),
      nextHop: nextHop.address,
      reachable: igpMetric !== undefined,
      attributes: attributesOf(accepted ?? attributes),
      stale: rest.stale,
      penalty: Math.round(rest.penalty),
      ageSeconds: rest.ageSeconds,
    })),
    advertised: (rib?.advertised ?? []).map(({ neighbour, attributes, why, rule }) => ({
      neighbour,
      told: attributes !== undefined,
      ...(attributes === undefined ? {} : { attributes: attributesOf(attributes) }),
      ...(why === undefined ? {} : { why }),
      ...(rule === undefined ? {} : { rule }),
    })),
  }
}

function attributesOf({
  asPath,
  origin,
  localPref,
  med,
  communities,
  largeCommunities,
}: PathAttributes): RouteAttributes {
  return {
    asPath: asPathText(asPath),
    origin: ORIGINS[origin] ?? String(origin),
    ...(localPref === undefined ? {} : { localPref }),
    ...(med === undefined ? {} : { med }),
    communities: [...(communities ?? []).map(communityText), ...(largeCommunities ?? []).map((each) => each.join(':'))],
  }
}

function asPathText(path: AsPath): string {
  return path.map(({ type, asns }) => (type === 'set' ? `{${asns.join(',')}}` : asns.join(' '))).join(' ')
}
