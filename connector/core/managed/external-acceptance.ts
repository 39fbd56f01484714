/**
 * Which of a document's tunnels to other gateways this connector carries out, and how much of each. One that cannot be,
 * is refused in words, and what ran of it before goes on; the others do not notice.
 */
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import type { DocumentExternal } from '../../../protocol/control/external.ts'
import { type Address, addressBytes, familyOf, type Prefix, prefixContains } from '../../../protocol/net.ts'
import { identityText, parseIdentity } from '../ike/identity.ts'
import { parseEspProposal, parseIkeProposal } from '../ike/names.ts'
import { ExternalRoutingJudge } from './external-routing-acceptance.ts'
import { type ExternalPlan, type ExternalRefusal, ikeKeyId, type OpenedKeys } from './externals.ts'
import { insideNetwork } from './routing.ts'
import { areHosts, boundedWords, isInside } from './routing-acceptance.ts'

export interface ExternalSurroundings {
  /** Our outer address. */
  readonly address: Address
  /** What this site owns: nothing else is advertised unless it is a hub. */
  readonly owns: readonly Prefix[]
  readonly keys: OpenedKeys
  /** What was carried out so far, by identifier. */
  readonly running: ReadonlyMap<string, ExternalPlan>
}

export interface AcceptedExternals {
  /** In the order of the document. */
  readonly plans: readonly ExternalPlan[]
  /** By identifier. */
  readonly refusals: ReadonlyMap<string, ExternalRefusal>
  /** In words, at most 100 of at most 512 characters. */
  readonly refused: readonly string[]
}

type ExternalsDocument = Pick<ConnectorDocument, 'tunnels' | 'routing' | 'externals'>

/** Of hosts in clouds: who has its route could ask for this machine's credentials. */
const METADATA = '169.254.169.254' as Address
const REMEDY = 'What ran before goes on. Correct the connection at the control plane.'
/** The engine counts in words of 64 packets (RFC 4303 section 3.4.3 leaves the size open). */
const WINDOW_STEP = 64

export function acceptExternals(document: ExternalsDocument, around: ExternalSurroundings): AcceptedExternals {
  const externals = document.externals ?? []
  const claims = new Claims(document, around.address)
  const refusals = new Map<string, ExternalRefusal>()
  const words: string[] = []
  const found = new Map<DocumentExternal, Omit<ExternalPlan, 'routing'>>()
  const refuse = (external: DocumentExternal, code: ExternalRefusal['code'], fault: string): void => {
    const cause = `${external.name} is not carried out: ${fault}.`
    words.push(cause)
    if (!refusals.has(external.id)) refusals.set(external.id, { code, cause, remedy: REMEDY })
  }
  for (const external of externals) {
    const usable = withUsableProposals(external, words)
    const keys = keysOf(usable, around.keys)
    const fault = faultOf(usable, around.address) ?? claims.faultOf(usable)
    if (fault !== undefined) refuse(external, 'external-refused', fault)
    else if (typeof keys === 'string') refuse(external, 'key-refused', keys)
    else {
      claims.claim(usable)
      found.set(external, { external: usable, keys })
    }
  }
  for (const external of externals) {
    const before = around.running.get(external.id)
    if (found.has(external) || before === undefined || claims.faultOf(before.external) !== undefined) continue
    claims.claim(before.external)
    found.set(external, before)
  }
  const kept = [...found.values()].map((plan) => plan.external)
  const judge = new ExternalRoutingJudge({ ...document, externals: [...externals, ...kept] }, around)
  const plans = externals.flatMap((external) => {
    const plan = found.get(external)
    return plan === undefined ? [] : [{ ...plan, routing: judge.accepted(plan.external) }]
  })
  return { plans, refusals, refused: boundedWords([...words, ...judge.words]) }
}

/** What is wrong with it, whatever else there is. */
function faultOf(external: DocumentExternal, own: Address): string | undefined {
  const { peer, identity, inside, ike, esp } = external
  const { local, peer: remote } = inside
  if (familyOf(peer.address as Address) !== familyOf(own)) return `${peer.address} is no address of ${own}'s family`
  if (peer.address === own) return `${peer.address} is our own address`
  if (!isHost(peer.address as Address)) return `${peer.address} is no host's address`
  if (peer.identity !== undefined && 'error' in parseIdentity(peer.identity)) return 'the identity of its peer is none'
  if (identity !== undefined && peer.identity === identity) return 'both ends have the same identity'
  if (![local, remote].every(isInside)) return `${local} and ${remote} are not both in 169.254.0.0/16`
  if (insideNetwork(local) !== insideNetwork(remote) || !areHosts(local, remote)) {
    return `${local} and ${remote} are not the two hosts of one /30`
  }
  if (prefixContains(insideNetwork(local), METADATA)) {
    return `${insideNetwork(local)} has the address by which clouds tell machines of themselves`
  }
  if (ike.length === 0) return 'none of its suites for IKE is one that we have'
  if (esp.length === 0) return 'none of its suites for ESP is one that we have'
  return undefined
}

/** Suites that we do not know are left out, which is told. */
function withUsableProposals(external: DocumentExternal, words: string[]): DocumentExternal {
  const usable = (names: readonly string[], parse: (name: string) => object) =>
    names.filter((name) => {
      const parsed = parse(name)
      if ('error' in parsed) words.push(`${name} is not offered to ${external.name}: ${parsed.error}.`)
      return !('error' in parsed)
    })
  const replayWindow = Math.ceil(external.replayWindow / WINDOW_STEP) * WINDOW_STEP
  const [ike, esp] = [usable(external.ike, parseIkeProposal), usable(external.esp, parseEspProposal)]
  return { ...external, ike, esp, replayWindow }
}

/** All of them, or what is wrong with one: with fewer a change of keys would cut the tunnel. */
function keysOf({ id, keys, generation }: DocumentExternal, opened: OpenedKeys): ExternalPlan['keys'] | string {
  const found: { id: string; psk: Uint8Array }[] = []
  for (const key of keys) {
    const one = opened.get(`${id}/${key.id}`)
    if (one === undefined) return `its key ${key.id} was not opened`
    if ('fault' in one) return `its key ${key.id} ${one.fault}`
    found.push({ id: ikeKeyId(key.id, generation), psk: one.psk })
  }
  const first = found[0]?.id
  return found.slice(1).some(({ id: other }) => other === first) ? `it has ${first} twice` : found
}

/** RFC 6890: neither this network, nor loopback, link-local, multicast or reserved. */
function isHost(address: Address): boolean {
  const bytes = addressBytes(address)
  const [first = 0, second = 0] = bytes
  if (bytes.length === 16) return first !== 0xff && !(first === 0xfe && second >>> 6 === 2) && first !== 0
  return first !== 0 && first !== 127 && first < 224 && !(first === 169 && second === 254)
}

/** What only one of them can have. */
class Claims {
  readonly #ids = new Set<string>()
  readonly #names: Set<string>
  readonly #inside: Set<Prefix>
  /** Ends as IKE tells them apart. */
  readonly #ends = new Set<string>()
  readonly #address: Address

  constructor({ tunnels, routing }: ExternalsDocument, address: Address) {
    this.#names = new Set(tunnels.map(({ name }) => name))
    this.#inside = new Set(routing?.neighbours.map(({ local }) => insideNetwork(local)))
    this.#address = address
  }

  faultOf(external: DocumentExternal): string | undefined {
    const { id, name, inside } = external
    if (this.#ids.has(id)) return `${id} is there twice`
    if (this.#names.has(name)) return 'another tunnel has its name'
    const network = insideNetwork(inside.local)
    if (this.#inside.has(network)) return `${network} is that of another tunnel`
    return this.#ends.has(this.#endsOf(external)) ? 'nothing tells it from another one with the same peer' : undefined
  }

  claim(external: DocumentExternal): void {
    this.#ids.add(external.id)
    this.#names.add(external.name)
    this.#inside.add(insideNetwork(external.inside.local))
    this.#ends.add(this.#endsOf(external))
  }

  #endsOf({ peer, identity = this.#address }: DocumentExternal): string {
    const parsed = parseIdentity(peer.identity ?? peer.address)
    return [peer.address, 'error' in parsed ? '' : identityText(parsed).toLowerCase(), identity].join(' ')
  }
}
