/** UPDATEs like those of a neighbour with a full table, made one after the other so that they take no memory. */

import { packAnnouncement } from '../../connector/core/bgp/wire/encode-update.ts'
import type { PathAttributes, PrefixBlock } from '../../connector/core/bgp/wire/types.ts'
import type { Address } from '../../protocol/net.ts'
import { SeededRandom } from '../sim/random.ts'

export interface FeedOptions {
  readonly peerAs: number
  readonly nextHop: { readonly 4: string; readonly 6: string }
  /** Prefixes `from` to `to`, of one numbering. */
  readonly family: 4 | 6
  readonly from: number
  readonly to: number
  /** Prefixes of each attribute set, on average: of the Internet's table about six. */
  readonly perSet: number
  /** ASes in a path, at least and at most. */
  readonly path: readonly [number, number]
}

/** Whole messages as they come from a socket. */
export function* feed({ peerAs, nextHop, family, from, to, perSet, path }: FeedOptions): Generator<Uint8Array> {
  const random = new SeededRandom(from + family)
  for (let at = from; at < to; ) {
    const count = Math.min(1 + Math.floor(random.fraction() * (2 * perSet - 1)), to - at)
    const attributes = someAttributes(random, peerAs, path)
    const packed = packAnnouncement(
      attributes,
      { address: nextHop[family] as Address },
      blockFrom(family, at, count),
      0,
      {
        fourOctetAs: true,
        extendedMessages: false,
        internal: false,
      },
    )
    yield packed!.message
    at += packed!.next
  }
}

/** Prefixes `at` and on: all different, /24 in unlike places, of IPv6 /48. */
export function blockFrom(family: 4 | 6, at: number, count: number): PrefixBlock {
  const lengths = new Uint8Array(count).fill(family === 4 ? 24 : 48)
  const words = new Uint32Array(count * (family === 4 ? 1 : 4))
  for (let i = 0; i < count; i++) {
    // An odd factor gives each of four millions its own: 1.0.0.0 to 64.255.255.0.
    const place = Math.imul(at + i, 0x9e3779b1) & 0x3fffff
    if (family === 4) words[i] = 0x01000000 + (place << 8)
    else {
      words[4 * i] = 0x2a000000 + (place >>> 16)
      words[4 * i + 1] = (place & 0xffff) << 16
    }
  }
  return { family, lengths, words }
}

function someAttributes(
  random: SeededRandom,
  peerAs: number,
  [least, most]: readonly [number, number],
): PathAttributes {
  const length = least + Math.floor(random.fraction() * (most - least + 1)) - 1
  const asns = [peerAs, ...Array.from({ length }, () => 1 + (random.u32() % 400_000))]
  const communities = Array.from({ length: random.u32() % 6 }, () => random.u32()).sort((one, other) => one - other)
  return {
    origin: 0,
    asPath: [{ type: 'sequence', asns }],
    ...(communities.length === 0 ? {} : { communities: [...new Set(communities)] }),
    ...(random.chance(0.2) ? { med: random.u32() % 1_000 } : {}),
  }
}
