/** Failures in words: one sentence of cause, one of remedy. No secret gets in here. */
import { formatSocketAddress, type SocketAddress } from '../../../protocol/net.ts'
import { identityText } from './identity.ts'
import { notifyName } from './messages.ts'
import { suiteName } from './names.ts'
import { selectorFromWire, selectorText } from './selectors.ts'
import type {
  ChildConfig,
  ConnectionConfig,
  EspProposal,
  FailureCode,
  Identity,
  IkeProposal,
  TrafficSelector,
} from './types.ts'
import { nameOf, TRANSFORM, transformIdName } from './wire/constants.ts'
import { NOTIFY } from './wire/notify.ts'
import type { Proposal, WireTrafficSelector } from './wire/types.ts'

export interface Failure {
  readonly code: FailureCode
  readonly cause: string
  readonly remedy: string
}

export function noResponse(remote: SocketAddress, hint: Failure | undefined): Failure {
  if (hint !== undefined) return hint
  return {
    code: 'no-response',
    cause: `${formatSocketAddress(remote)} does not answer.`,
    remedy: `Check that the peer runs, that its address is right, and that UDP ports 500 and 4500 are open between here and there.`,
  }
}

export function engineRefused(config: ChildConfig, reason: string): Failure {
  return {
    code: 'engine-refused',
    cause: `The packet engine did not take the keys of child ${config.name}: ${reason}.`,
    remedy: 'Lower the number of tunnels and children of this connector, or spread them over several.',
  }
}

export function peerDead(remote: SocketAddress): Failure {
  return {
    code: 'peer-dead',
    cause: `${formatSocketAddress(remote)} stopped answering.`,
    remedy: 'Check the way to the peer and whether it still runs; the tunnel comes back by itself when it answers.',
  }
}

export function refusedIkeProposal(ours: readonly IkeProposal[]): Failure {
  return {
    code: 'no-proposal-chosen',
    cause: `The peer accepts none of our IKE proposals: ${suites(ours)}.`,
    remedy: 'Configure an IKE proposal that both ends have.',
  }
}

export function unacceptableOffer(
  kind: 'IKE' | 'ESP',
  offered: readonly Proposal[],
  ours: readonly (IkeProposal | EspProposal)[],
): Failure {
  return {
    code: 'no-proposal-chosen',
    cause: `The peer offers ${offered.slice(0, 8).map(proposalText).join(', ') || 'nothing'}; we accept ${suites(ours)}.`,
    remedy: `Configure an ${kind} proposal that both ends have.`,
  }
}

export function authenticationRefused({ localId, remoteId }: ConnectionConfig): Failure {
  return {
    code: 'authentication-failed',
    cause: `The peer refuses to authenticate us as ${identityText(localId)} towards ${identityText(remoteId)}.`,
    remedy: 'Check that both ends have the same pre-shared key and the same identities.',
  }
}

export function wrongKey(peer: Identity | undefined): Failure {
  return {
    code: 'authentication-failed',
    cause: `The peer ${peer === undefined ? '' : `${identityText(peer)} `}does not prove to have our pre-shared key.`,
    remedy: 'Check that both ends have the same pre-shared key.',
  }
}

export function wrongIdentity(peer: Identity | undefined, expected: Identity): Failure {
  const shown = peer === undefined ? 'something unreadable' : identityText(peer)
  return {
    code: 'authentication-failed',
    cause: `The peer calls itself ${shown} where ${identityText(expected)} is configured.`,
    remedy: 'Make the identity of the peer the same at both ends.',
  }
}

export function protocolError(what: string): Failure {
  return {
    code: 'protocol-error',
    cause: `The peer broke the protocol: ${what}.`,
    remedy: 'Check the software of the peer; `isthmus decode` on a capture shows the message.',
  }
}

export function invalidKe(groups: string): Failure {
  return {
    code: 'invalid-ke',
    cause: `The peer asks for another key exchange group than any of ours: ${groups}.`,
    remedy: 'Configure a proposal with a group that both ends have.',
  }
}

/** What the peer's refusal of a Child SA means. */
export function childRefused(child: ChildConfig, type: number): Failure {
  const { name } = child
  if (type === NOTIFY.NO_PROPOSAL_CHOSEN)
    return {
      code: 'no-proposal-chosen',
      cause: `The peer accepts none of our ESP proposals for child ${name}: ${suites(child.proposals)}.`,
      remedy: 'Configure an ESP proposal that both ends have, with the same choice of ESN and of a group for PFS.',
    }
  if (type === NOTIFY.TS_UNACCEPTABLE || type === NOTIFY.SINGLE_PAIR_REQUIRED)
    return {
      code: 'ts-unacceptable',
      cause: `The peer does not accept the networks of child ${name}: ${selectors(child.local)} here, ${selectors(child.remote)} there.`,
      remedy:
        type === NOTIFY.SINGLE_PAIR_REQUIRED
          ? 'Give each pair of networks a child of its own: the peer takes one pair at a time.'
          : 'Make the networks of both ends mirror each other.',
    }
  if (type === NOTIFY.FAILED_CP_REQUIRED || type === NOTIFY.INTERNAL_ADDRESS_FAILURE)
    return {
      code: 'peer-refused',
      cause: `The peer wants to give us an address before child ${name} (${notifyName(type)}), which a site does not take.`,
      remedy: 'Configure the peer for a site-to-site tunnel instead of remote access.',
    }
  return {
    code: 'peer-refused',
    cause: `The peer refuses child ${name} with ${notifyName(type)}.`,
    remedy: 'Look at the log of the peer for its reason.',
  }
}

/** As responder: the peer wants networks that we have no child for. */
export function unacceptableSelectors(
  tsi: readonly WireTrafficSelector[],
  tsr: readonly WireTrafficSelector[],
  ours: readonly ChildConfig[],
): Failure {
  const own = ours.map((child) => `${selectors(child.local)} here and ${selectors(child.remote)} there`).join('; ')
  return {
    code: 'ts-unacceptable',
    cause: `The peer wants ${wireSelectors(tsr)} here and ${wireSelectors(tsi)} there; we have ${own || 'no children'}.`,
    remedy: 'Make the networks of both ends mirror each other.',
  }
}

export function refused(type: number): Failure {
  return {
    code: 'peer-refused',
    cause: `The peer refuses the connection with ${notifyName(type)}.`,
    remedy: 'Look at the log of the peer for its reason.',
  }
}

function suites(proposals: readonly (IkeProposal | EspProposal)[]): string {
  return proposals.map(suiteName).join(', ')
}

function selectors(list: readonly TrafficSelector[]): string {
  return list.map(selectorText).join(', ')
}

function wireSelectors(list: readonly WireTrafficSelector[]): string {
  const known = list.slice(0, 8).map(selectorFromWire)
  return known.map((selector) => (selector === undefined ? 'an unusable selector' : selectorText(selector))).join(', ')
}

/** Transforms of the peer's proposal by IANA's names, at most a line of them. */
function proposalText({ transforms }: Proposal): string {
  const shown = transforms.slice(0, 12).map(({ type, id, keyLength }) => {
    const kind = nameOf(TRANSFORM, type) ?? `type ${type}`
    const name = transformIdName(type, id) ?? `${kind} ${id}`
    return keyLength === undefined ? name : `${name}-${keyLength}`
  })
  return shown.join('/')
}
