/** Wireshark's dissector as an independent reader of what our codecs write. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeOpen, type PathAttributes, packAnnouncement, prefixesOf } from '../../connector/core/bgp/wire/codec.ts'
import { arbitraryAttributes, arbitraryBlock, arbitraryNextHop, arbitraryOpen } from '../fuzz/bgp-arbitrary.ts'
import { ipPacket, LINK, pcapFile } from '../fuzz/ike-captures.ts'
import { skipWithoutPeers } from './peers.ts'

const skip = skipWithoutPeers('reading our BGP with tshark', 'tshark')
const OPTIONS = { fourOctetAs: true, extendedMessages: false, internal: true }

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-bgp-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.skipIf(skip)('tshark reads what we write', () => {
  test('IPv4 UPDATEs: prefixes, ORIGIN, NEXT_HOP, MED, LOCAL_PREF, types of attributes', () => {
    const arbitrary = fc.tuple(arbitraryAttributes, arbitraryNextHop(4), arbitraryBlock(4, 12))
    // Among short prefixes tshark sees the path identifiers of RFC 7911, which nobody announced.
    const all = fc
      .sample(arbitrary, { numRuns: 600, seed: 4271 })
      .filter(([, , { lengths }]) => lengths.every((bits) => bits > 8))
    expect(all.length).toBeGreaterThan(100)
    const messages = all.map(
      ([attributes, hop, block]) => packAnnouncement(attributes, hop, block, 0, OPTIONS)!.message,
    )
    const rows = read(messages, [
      'bgp.update.path_attribute.origin',
      'bgp.update.path_attribute.next_hop',
      'bgp.update.path_attribute.multi_exit_disc',
      'bgp.update.path_attribute.local_pref',
      'bgp.update.path_attribute.type_code',
      'bgp.nlri_prefix',
      'bgp.prefix_length',
    ])
    expect(rows.length).toBe(all.length)
    for (const [index, [attributes, hop, block]] of all.entries()) {
      const prefixes = prefixesOf(block).map((each) => each.split('/'))
      expect([index, ...rows[index]!.split('\t')]).toEqual([
        index,
        String(attributes.origin),
        hop.address,
        String(attributes.med ?? ''),
        String(attributes.localPref ?? ''),
        [...typesOf(attributes), 3].sort((left, right) => left - right).join(),
        prefixes.map(([address]) => address).join(),
        prefixes.map(([, bits]) => bits).join(),
      ])
    }
  })

  test('OPENs: AS, hold time, identifier, capabilities', () => {
    const all = fc
      .sample(arbitraryOpen, { numRuns: 200, seed: 5492 })
      .filter(({ capabilities }) => capabilities.length > 0)
    const rows = read(all.map(encodeOpen), ['bgp.open.myas', 'bgp.open.holdtime', 'bgp.open.identifier'])
    expect(rows).toEqual(
      all.map(({ myAs, holdTime, bgpIdentifier }) => {
        const quad = [24, 16, 8, 0].map((shift) => (bgpIdentifier >>> shift) & 255).join('.')
        return `${myAs}\t${holdTime}\t${quad}`
      }),
    )
  })
})

/** Of the attributes beside NEXT_HOP. */
function typesOf(attributes: PathAttributes): number[] {
  const present: [unknown, number][] = [
    [attributes.med, 4],
    [attributes.localPref, 5],
    [attributes.atomicAggregate, 6],
    [attributes.aggregator, 7],
    [attributes.communities, 8],
    [attributes.originatorId, 9],
    [attributes.clusterList, 10],
    [attributes.extendedCommunities, 16],
    [attributes.largeCommunities, 32],
    [attributes.onlyToCustomer, 35],
  ]
  const types = present.flatMap(([value, type]) => (value === undefined ? [] : [type]))
  return [1, 2, ...types, ...(attributes.unknown ?? []).map(({ type }) => type)]
}

/** One line of tab-separated fields for each message, each in a connection of its own. */
function read(messages: readonly Uint8Array[], fields: readonly string[]): string[] {
  const packets = messages.map((message, index) => {
    const header = Buffer.alloc(20)
    header.writeUInt16BE(10_000 + index, 0)
    header.writeUInt16BE(179, 2)
    header.writeUInt32BE(1, 4)
    header[12] = 0x50
    header[13] = 0x18
    return ipPacket('192.0.2.1', '192.0.2.2', 6, Buffer.concat([header, message]))
  })
  const file = join(folder, 'capture.pcap')
  writeFileSync(file, pcapFile(packets, { link: LINK.raw }))
  const wanted = fields.flatMap((field) => ['-e', field])
  const args = ['-r', file, '-o', 'bgp.asn_len:4 octet', '-T', 'fields', ...wanted]
  return execFileSync('tshark', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    .replace(/\n$/, '')
    .split('\n')
}
