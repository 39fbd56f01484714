import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { connectorDocumentSchema } from '../../protocol/control/document.ts'
import { makeId } from '../../protocol/control/ids.ts'
import type { Site, Tunnel } from '../../protocol/control/intent.ts'
import {
  announced,
  contentHash,
  type DocumentConnector,
  type DocumentView,
  documentContent,
  nextVersion,
  versionFor,
  withVersion,
} from './document.ts'
import { endpointFor, foundEndpoint, standingOf } from './endpoint.ts'
import { halfName, newKeys, type TunnelKeys } from './keys.ts'

const id = (kind: 'network' | 'site' | 'tunnel' | 'connector', n: number) => makeId(kind, new Uint8Array(20).fill(n))
const KEY = 'A'.repeat(43)
const JWS = 'aaa.bbb.ccc'

const site = (n: number, more: Partial<Site> = {}): Site => ({
  id: id('site', n),
  name: `s${n}`,
  prefixes: [`10.${n}.0.0/16`],
  ...more,
})
const connector = (n: number, seenAddress?: string, own = seenAddress): DocumentConnector => ({
  id: id('connector', n),
  identityKey: KEY,
  seenAddress,
  addresses: own === undefined ? [] : [own],
})
const tunnel: Tunnel = { id: id('tunnel', 1), name: 'wan', sites: [id('site', 1), id('site', 2)] }

/** The documents of both ends. */
function pair(
  left: DocumentConnector,
  right: DocumentConnector,
  keys?: TunnelKeys,
  sites = [site(1), site(2)] as const,
) {
  const [one, two] = sites
  const view = (self: DocumentConnector, own: Site, peer: DocumentConnector, other: Site): DocumentView => ({
    network: id('network', 0),
    connector: self,
    site: own,
    tunnels: [{ tunnel, keys, peer: { site: other, connector: peer } }],
  })
  return [documentContent(view(left, one, right, two)), documentContent(view(right, two, left, one))] as const
}

const PUBLIC = '198.51.100.1'
const OTHER = '203.0.113.1'

describe('the document', () => {
  test('fits its schema', () => {
    const keys: TunnelKeys = {
      ...newKeys(tunnel.id),
      ends: [id('connector', 1), id('connector', 2)],
      current: 3,
      next: 4,
      nextPhase: 'use',
      highest: 4,
      halves: { [halfName(3, id('connector', 2))]: JWS, [halfName(4, id('connector', 2))]: JWS },
    }
    const [content] = pair(connector(1, PUBLIC), connector(2, OTHER), keys)
    const document = withVersion(content, 7)
    expect(connectorDocumentSchema.parse(document)).toEqual(document)
    expect(document.tunnels[0]).toMatchObject({
      initiate: true,
      peer: { site: 's2', prefixes: ['10.2.0.0/16'], endpoint: { address: OTHER, port: 500, natPort: 4500 } },
      epochs: [
        { epoch: 3, phase: 'accept', peerKey: JWS },
        { epoch: 4, phase: 'use', peerKey: JWS },
      ],
    })
  })

  test('what both ends are told of epochs, in each phase of a rotation', () => {
    const halves = Object.fromEntries(
      [3, 4].flatMap((epoch) => [1, 2].map((n) => [halfName(epoch, id('connector', n)), JWS])),
    )
    const epochs = (more: Partial<TunnelKeys>) => {
      const keys: TunnelKeys = { ...newKeys(tunnel.id), current: 3, highest: 4, halves, ...more }
      return pair(connector(1), connector(2), keys).map(({ tunnels }) =>
        tunnels[0]!.epochs.map(({ epoch, phase, peerKey }) => `${epoch} ${phase}${peerKey === undefined ? '' : ' +'}`),
      )
    }
    const alike = (...told: string[]) => [told, told]
    expect(epochs({})).toEqual(alike('3 use +'))
    expect(epochs({ next: 4, nextPhase: 'offer' })).toEqual(alike('3 use +', '4 offer'))
    expect(epochs({ next: 4, nextPhase: 'accept' })).toEqual(alike('3 use +', '4 accept +'))
    expect(epochs({ next: 4, nextPhase: 'use' })).toEqual(alike('3 accept +', '4 use +'))
    expect(epochs({ next: 4 })).toEqual(alike('3 use +'))
    expect(epochs({ current: 0, next: 4, nextPhase: 'use' })).toEqual(alike('4 use +'))
    expect(epochs({ current: 0, highest: 0, halves: {} })).toEqual(alike())
    expect(epochs({ ends: [id('connector', 1), id('connector', 3)] })).toEqual(alike())
  })

  test('a tunnel without a peer is left out', () => {
    const view = { network: id('network', 0), connector: connector(1), site: site(1) }
    expect(documentContent({ ...view, tunnels: [{ tunnel, keys: undefined, peer: undefined }] }).tunnels).toEqual([])
  })

  test('of a connector that serves functions has their keys besides; any other stays octet for octet as it was', () => {
    const view: DocumentView = { network: id('network', 0), connector: connector(1), site: site(1), tunnels: [] }
    const plain = withVersion(documentContent(view), 3)
    expect(JSON.stringify(plain)).toBe(
      `{"format":1,"network":"${view.network}","connector":"${view.connector.id}","version":3,` +
        '"site":{"name":"s1","prefixes":["10.1.0.0/16"]},"tunnels":[]}',
    )
    const serving = documentContent({ ...view, tokenKeys: [KEY] })
    expect(connectorDocumentSchema.parse(withVersion(serving, 3))).toEqual({
      ...plain,
      functions: { tokenKeys: [KEY] },
    })
    expect(contentHash(serving)).not.toBe(contentHash(documentContent(view)))
  })

  test('does not depend on the order in which tunnels were read', () => {
    const view = { network: id('network', 0), connector: connector(1), site: site(1) }
    const views = [2, 3, 4].map((n) => ({
      tunnel: { id: id('tunnel', n), name: `t${n}`, sites: [id('site', 1), id('site', n)] as [string, string] },
      keys: undefined,
      peer: { site: site(n), connector: connector(n) },
    }))
    fc.assert(
      fc.property(fc.shuffledSubarray(views, { minLength: 3 }), (tunnels) => {
        expect(contentHash(documentContent({ ...view, tunnels }))).toBe(
          contentHash(documentContent({ ...view, tunnels: views })),
        )
      }),
    )
  })
})

describe('who initiates, and where to', () => {
  const fixed = { address: '192.0.2.9', port: 500, natPort: 4500 }
  const initiators = (left: DocumentConnector, right: DocumentConnector, sites?: readonly [Site, Site]) =>
    pair(left, right, undefined, sites).map(({ tunnels }) => tunnels[0]!.initiate)

  test('the one whose peer can be reached; where both can, the first; where none can, nobody', () => {
    const behindNat = connector(2, OTHER, '192.168.1.2')
    expect(initiators(connector(1, PUBLIC), connector(2, OTHER))).toEqual([true, false])
    expect(initiators(connector(1, PUBLIC), behindNat)).toEqual([false, true])
    expect(initiators(connector(1, PUBLIC, '10.0.0.1'), connector(2, OTHER))).toEqual([true, false])
    expect(initiators(connector(1, PUBLIC, '10.0.0.1'), behindNat)).toEqual([false, false])
    expect(initiators(connector(1, PUBLIC), behindNat, [site(1), site(2, { endpoint: fixed })])).toEqual([true, false])
  })

  test('never both', () => {
    const address = fc.constantFrom(undefined, PUBLIC, OTHER, '10.0.0.1', '192.168.1.2', '127.0.0.1')
    fc.assert(
      fc.property(address, address, address, address, fc.boolean(), (a, b, c, d, set) => {
        const sites = [site(1), set ? site(2, { endpoint: fixed }) : site(2)] as const
        const [left, right] = pair(connector(1, a, b), connector(2, c, d), undefined, sites)
        expect(left.tunnels[0]!.initiate && right.tunnels[0]!.initiate).toBe(false)
        // Whoever initiates knows where to.
        for (const { tunnels } of [left, right]) {
          if (tunnels[0]!.initiate) expect(tunnels[0]!.peer.endpoint).toBeDefined()
          else if (tunnels[0]!.peer.endpoint !== undefined)
            expect(left.tunnels[0]!.initiate || right.tunnels[0]!.initiate).toBe(true)
        }
      }),
    )
  })

  test('an address is found out where it is seen and its own, and means something to others', () => {
    const at = (seenAddress: string | undefined, ...addresses: string[]) =>
      foundEndpoint({ seenAddress, addresses })?.address
    expect(at(PUBLIC, '10.0.0.1', PUBLIC)).toBe(PUBLIC)
    expect(at('2001:db8::1', '2001:DB8:0::1')).toBe('2001:db8::1')
    expect(at(PUBLIC, '10.0.0.1')).toBeUndefined()
    expect(at(undefined, PUBLIC)).toBeUndefined()
    for (const local of ['127.0.0.1', '::1', '169.254.1.1', 'fe80::1']) expect(at(local, local)).toBeUndefined()
  })

  test('a private address found out is no way for somebody outside, unless an operator says so', () => {
    const placed = (seenAddress: string, endpoint?: typeof fixed) => ({
      site: endpoint === undefined ? {} : { endpoint },
      connector: { seenAddress, addresses: [seenAddress] },
    })
    expect(endpointFor(placed('10.0.0.1'), placed('10.0.0.2'))?.address).toBe('10.0.0.1')
    expect(endpointFor(placed('10.0.0.1'), placed(PUBLIC))).toBeUndefined()
    expect(endpointFor(placed(PUBLIC), placed('10.0.0.1'))?.address).toBe(PUBLIC)
    expect(endpointFor(placed('10.0.0.1', fixed), placed(PUBLIC))).toEqual(fixed)
  })

  test('a place stays what it is for documents while only a NAT has another address in front', () => {
    const behind = (seenAddress: string, ...addresses: string[]) => standingOf({ seenAddress, addresses })
    expect(behind('203.0.113.9', '10.0.0.1')).toEqual(behind('198.51.100.4', '10.0.0.2', '10.0.0.3'))
    expect(behind(PUBLIC, PUBLIC)).not.toEqual(behind('198.51.100.4', PUBLIC))
    expect(behind('10.0.0.9')).not.toEqual(behind(PUBLIC))
  })
})

describe('versions', () => {
  const [content] = pair(connector(1, PUBLIC), connector(2, OTHER))
  const [other] = pair(connector(1, PUBLIC), connector(2))

  test('grow when the content changed, and only then', () => {
    const first = versionFor({ documentVersion: 0 }, content)
    expect(first).toEqual({ documentVersion: 1, documentHash: contentHash(content) })
    expect(versionFor(first, structuredClone(content))).toBe(first)
    expect(versionFor(first, other)).toEqual({ documentVersion: 2, documentHash: contentHash(other) })
  })

  test('one that was announced takes the content that is made for it', () => {
    const first = versionFor({ documentVersion: 0 }, content)
    const promised = announced(first)
    expect(promised).toEqual({ documentVersion: 2 })
    // The content may be what it was before; the version is another one all the same.
    expect(versionFor(promised, content)).toEqual({ documentVersion: 2, documentHash: contentHash(content) })
  })

  test('a connector that is ahead of the store gets a version behind its own', () => {
    const record = { documentVersion: 40, documentHash: contentHash(content) }
    expect(nextVersion(record, 57)).toBe(58)
    expect(versionFor(record, content, 57)).toEqual({ documentVersion: 58, documentHash: contentHash(content) })
    expect(versionFor(record, content, 40)).toBe(record)
  })
})
