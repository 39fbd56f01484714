/** One IKE SA: its SPIs, keys, message window and place in its life. */
import type { Instant } from '../../../protocol/machine.ts'
import type { ChildSa } from './child.ts'
import type { Connection } from './connection.ts'
import type { Context } from './context.ts'
import type { IkeCipher } from './crypto.ts'
import { FragmentReassembler } from './fragments.ts'
import type { IkeKeys } from './keymat.ts'
import { hex } from './messages.ts'
import { ikeCipher, suiteName } from './names.ts'
import type { Path } from './path.ts'
import { type IvSource, ivSource, type SealKeys, sealKeys } from './protect.ts'
import type { Ladder } from './retransmit.ts'
import type { Session } from './session.ts'
import type { Task } from './task.ts'
import type { IkeProposal, KeyLogEntry } from './types.ts'

/**
 *     initiator:  init ── auth ──┐
 *     responder:  half-open ─────┴─ established ── replaced ── closing ── closed
 *
 * `replaced`: a rekey made a successor; the SA waits for the DELETE of whichever end must send it. `closing`: we
 * delete it. `closed`: only retransmitted requests are still answered.
 */
export type SaState = 'init' | 'auth' | 'half-open' | 'established' | 'replaced' | 'closing' | 'closed'

/** Our request that waits for its response: the window is one message (RFC 7296 section 2.3). */
export interface Outstanding {
  readonly task: Task
  readonly id: number
  readonly exchange: number
  /** The message, or its fragments. */
  readonly datagrams: readonly Uint8Array[]
  readonly ladder: Ladder
  readonly sentAt: Instant
}

export interface HalfOpen {
  /** The connections that the peer may turn out to be: those of the addresses that accept the suite. */
  readonly candidates: readonly Connection[]
  readonly request: Uint8Array
  readonly response: Uint8Array
  readonly initiatorNonce: Uint8Array
  readonly responderNonce: Uint8Array
}

interface Secrets {
  readonly keys: IkeKeys
  readonly cipher: IkeCipher
  readonly outbound: SealKeys
  readonly inbound: SealKeys
  readonly ivs: IvSource
}

export class IkeSa {
  readonly context: Context
  /** Original initiator of this SA, which the header's flag tells; after a rekey the one that sent the rekey request. */
  readonly role: 'initiator' | 'responder'
  readonly localSpi: Uint8Array
  /** Zero until the responder has chosen it. */
  remoteSpi: Uint8Array
  readonly createdAt: Instant
  path: Path
  state: SaState
  /** None while a responder does not know who the peer is, and after the session's end. */
  session: Session | undefined
  suite: IkeProposal | undefined
  secrets: Secrets | undefined
  /** Both ends sent IKEV2_FRAGMENTATION_SUPPORTED. */
  fragmentation = false
  /** Largest datagram before fragments are used; of the connection. */
  fragmentSize = 0
  readonly reassembler = new FragmentReassembler()

  outstanding: Outstanding | undefined
  nextRequestId: number
  expectedId: number
  /** What a responder remembers of IKE_SA_INIT until IKE_AUTH. */
  halfOpen: HalfOpen | undefined
  /** Our IKE_SA_INIT message as sent, which AUTH covers. */
  initMessage: Uint8Array | undefined
  /** The last response, byte by byte, for a request that comes again, and the Child SA that it made. */
  answered: { readonly id: number; readonly datagrams: readonly Uint8Array[]; readonly child?: ChildSa } | undefined

  /** The SA that took over, or will. */
  successor: IkeSa | undefined
  /** The peer's rekey of this SA, answered by us; `low` is the lower nonce of that exchange. */
  incoming: { readonly sa: IkeSa; readonly low: Uint8Array } | undefined
  /** Lost against another SA of crossing rekeys; its creator, the peer, closes it. */
  surplus = false
  /** No request of ours before this instant, unless the peer uses the SA first: it may not have our answer yet. */
  usableAt: Instant
  /** End of `half-open`, `replaced` and `closed`. */
  expireAt: Instant | undefined
  /** Why we close it. */
  closeReason: string | undefined

  constructor(
    context: Context,
    options: {
      role: 'initiator' | 'responder'
      state: SaState
      path: Path
      localSpi: Uint8Array
      remoteSpi: Uint8Array
      /** 0 for an SA made by a rekey; the initial exchanges use 0 and 1. */
      firstRequestId?: number
      firstExpectedId?: number
    },
    now: Instant,
  ) {
    this.context = context
    this.role = options.role
    this.state = options.state
    this.path = options.path
    this.localSpi = options.localSpi
    this.remoteSpi = options.remoteSpi
    this.nextRequestId = options.firstRequestId ?? 0
    this.expectedId = options.firstExpectedId ?? 0
    this.createdAt = now
    this.usableAt = now
    context.register(this)
  }

  get initiatorSpi(): Uint8Array {
    return this.role === 'initiator' ? this.localSpi : this.remoteSpi
  }

  get responderSpi(): Uint8Array {
    return this.role === 'initiator' ? this.remoteSpi : this.localSpi
  }

  get spiTexts(): { initiatorSpi: string; responderSpi: string } {
    return { initiatorSpi: hex(this.initiatorSpi), responderSpi: hex(this.responderSpi) }
  }

  /** Not ended and not about to. */
  get live(): boolean {
    return this.state === 'init' || this.state === 'auth' || this.state === 'half-open' || this.state === 'established'
  }

  get suiteText(): string | undefined {
    return this.suite === undefined ? undefined : suiteName(this.suite)
  }

  setKeys(suite: IkeProposal, keys: IkeKeys): void {
    const cipher = ikeCipher(suite)
    const outbound = sealKeys(keys, this.role)
    const inbound = sealKeys(keys, this.role === 'initiator' ? 'responder' : 'initiator')
    const ivs = ivSource(this.context.crypto, cipher, outbound)
    this.suite = suite
    this.secrets = { keys, cipher, outbound, inbound, ivs }
    if (this.context.keyLog) this.context.emit({ type: 'key-log', entry: this.#keyLogEntry(suite, keys) })
  }

  /** Forgets the SA: its keys, its request, its place in the endpoint's table. */
  destroy(): void {
    this.state = 'closed'
    this.outstanding?.task.abandon?.()
    this.outstanding = undefined
    this.answered = undefined
    this.secrets?.keys.wipe()
    this.secrets = undefined
    this.reassembler.wipe()
    this.context.unregister(this)
  }

  /** Ended, but retransmitted requests are still answered until `until`. */
  linger(until: Instant): void {
    this.state = 'closed'
    this.outstanding?.task.abandon?.()
    this.outstanding = undefined
    this.session = undefined
    this.expireAt = until
    this.context.linger(this, until)
  }

  #keyLogEntry(suite: IkeProposal, keys: IkeKeys): KeyLogEntry {
    const { encryption, integrity } = suite
    return {
      kind: 'ike',
      ...this.spiTexts,
      encryption,
      ...(integrity === undefined ? {} : { integrity }),
      skEi: hex(keys.skEi),
      skEr: hex(keys.skEr),
      skAi: hex(keys.skAi),
      skAr: hex(keys.skAr),
    }
  }
}
