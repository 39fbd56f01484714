/**
 * What goes into the IKE endpoint and what comes out: configuration, inputs, effects, status.
 * This file is the boundary between the pure protocol and its driver.
 */
import type { Address, SocketAddress } from '../../../protocol/net.ts'

export type IdentityType = 'ipv4' | 'ipv6' | 'fqdn' | 'email' | 'dn' | 'key-id'
/** RFC 7296 section 3.5. `dn` and `key-id` values are hex of the encoded bytes. */
export interface Identity {
  readonly type: IdentityType
  readonly value: string
}

/** Names as strongSwan and the cloud providers' consoles spell them; each maps to one IANA number. */
export type EncryptionName = 'aes128gcm16' | 'aes256gcm16' | 'chacha20poly1305' | 'aes128' | 'aes256'
export type IntegrityName = 'sha256' | 'sha384' | 'sha512'
export type PrfName = 'prfsha256' | 'prfsha384' | 'prfsha512'
export type GroupName = 'modp2048' | 'modp3072' | 'modp4096' | 'ecp256' | 'ecp384' | 'ecp521' | 'x25519'

export interface IkeProposal {
  readonly encryption: EncryptionName
  /** Only with the CBC ciphers. */
  readonly integrity?: IntegrityName
  readonly prf: PrfName
  readonly group: GroupName
}

export interface EspProposal {
  readonly encryption: 'aes128gcm16' | 'aes256gcm16' | 'chacha20poly1305'
  /** PFS group at CREATE_CHILD_SA; the first child never uses it. Absent: no PFS. */
  readonly group?: GroupName
  readonly esn: boolean
}

/** Ranges are inclusive. Structurally the engine's `TrafficSelector`. */
export interface TrafficSelector {
  readonly protocol: number
  readonly startPort: number
  readonly endPort: number
  readonly startAddress: Address
  readonly endAddress: Address
}

/** Milliseconds. Soft starts a rekey, at soft minus a random part of jitter; hard deletes. */
export interface Lifetime {
  readonly softMs: number
  readonly hardMs: number
  readonly jitterMs: number
}

export interface ChildLifetime extends Lifetime {
  /** Enforced by the engine, which reports the crossing as an input. */
  readonly softPackets?: number
  readonly hardPackets?: number
  readonly softBytes?: number
  readonly hardBytes?: number
}

export interface ChildConfig {
  readonly name: string
  readonly local: readonly TrafficSelector[]
  readonly remote: readonly TrafficSelector[]
  readonly proposals: readonly EspProposal[]
  readonly lifetime: ChildLifetime
  readonly replayWindow: number
}

/** A pre-shared key with the name by which status and evidence speak of it. */
export interface IkeKey {
  readonly id: string
  readonly psk: Uint8Array
}

export interface ConnectionConfig {
  readonly name: string
  /** Source of our datagrams; the driver binds it. */
  readonly localAddress: Address
  /** Where to initiate to. Absent: any address, respond only. */
  readonly remoteAddress?: Address
  /** IKE port and NAT-traversal port of the peer: 500 and 4500 unless both ends agree otherwise. */
  readonly remotePort: number
  readonly remoteNatPort: number
  readonly localId: Identity
  /** What the peer must prove to be. */
  readonly remoteId: Identity
  readonly psk: Uint8Array
  /** Where keys change while the connection is up: the first is to be used, all are accepted. In place of `psk`. */
  readonly keys?: readonly IkeKey[]
  /** True: initiate at start and again whenever the SA is lost. */
  readonly initiate: boolean
  /** When keys change, sessions that the peer initiated are replaced by us too: it does not know when. Default: false */
  readonly renews?: boolean
  readonly proposals: readonly IkeProposal[]
  readonly children: readonly ChildConfig[]
  readonly lifetime: Lifetime
  /** Silence from the peer before a liveness check (RFC 7296 section 2.4). 0: never. */
  readonly dpdIntervalMs: number
  /** 'udp' forces encapsulation by failing NAT detection on purpose; 'auto' uses plain ESP where no NAT is found. */
  readonly encapsulation: 'auto' | 'udp'
  readonly natKeepaliveMs: number
  /** Largest IKE datagram (IP and UDP headers included) before RFC 7383 fragments are used; 0: never fragment. */
  readonly fragmentSize: number
  /** Home: the packet worker (RFC 9611: resource) of each child's first Child SA. Absent: 0. */
  readonly resource?: number
}

/** Ports that we receive on. Datagrams from or to `natPort` carry the non-ESP marker, which the driver handles. */
export interface LocalPorts {
  readonly port: number
  readonly natPort: number
}

export interface EndpointLimits {
  /** Half-open responder SAs before cookies are demanded, and before new ones are refused. */
  readonly cookieThreshold: number
  readonly maxHalfOpen: number
  /** Ladder of request retransmission: first wait, growth factor, tries after the first. */
  readonly retransmitMs: number
  readonly retransmitFactor: number
  readonly retransmitTries: number
  /** Pause before initiating again after a failure; doubles to the maximum, with jitter. */
  readonly retryMs: number
  readonly retryMaxMs: number
}

export type IkeInput =
  /** An IKE message, non-ESP marker removed. `local.port` is `LocalPorts.port` or `.natPort`. */
  | {
      readonly type: 'datagram'
      readonly local: SocketAddress
      readonly remote: SocketAddress
      readonly bytes: Uint8Array
    }
  | { readonly type: 'time' }
  | { readonly type: 'initiate'; readonly connection: string }
  | { readonly type: 'terminate'; readonly connection: string }
  | { readonly type: 'rekey-ike'; readonly connection: string }
  | { readonly type: 'rekey-child'; readonly connection: string; readonly child: string }
  /**
   * Replaces the keys of a connection: the first is to be used, all are accepted, at least one. Says what is wanted, not
   * what to do: giving the same keys again does nothing. They are copied.
   */
  | { readonly type: 'set-keys'; readonly connection: string; readonly keys: readonly IkeKey[] }
  /**
   * The same children, of the same names, with other selectors. A Child SA whose selectors are not these is rekeyed, so
   * that there is always one; what the peer does not have yet of them it narrows away, and its own change brings it.
   */
  | { readonly type: 'set-children'; readonly connection: string; readonly children: readonly ChildConfig[] }
  /** A connection more. Nothing happens where one of that name is there. */
  | { readonly type: 'add-connection'; readonly config: ConnectionConfig }
  /** Deletes its SAs in good order and forgets it; `connection-removed` comes when it is gone. */
  | { readonly type: 'remove-connection'; readonly connection: string }
  /** The engine crossed a soft or hard limit of an outbound SA. `spi` is the outbound SPI. */
  | { readonly type: 'child-limit'; readonly connection: string; readonly spi: number; readonly hard: boolean }
  /** The engine could not install this Child SA: it is deleted at the peer too, told, and made anew after a pause. */
  | { readonly type: 'child-refused'; readonly connection: string; readonly id: number; readonly reason: string }
  /** ESP traffic passed on an inbound SA since the last report: liveness, and proof that the peer uses it. */
  | { readonly type: 'child-traffic'; readonly connection: string; readonly inboundSpi: number }
  /** Authentic ESP came from a new address or port (RFC 7296 section 2.23). */
  | {
      readonly type: 'peer-moved'
      readonly connection: string
      readonly inboundSpi: number
      readonly remote: SocketAddress
    }
  /** Deletes every SA in good order, then reports `stopped`. */
  | { readonly type: 'shutdown' }

export interface ChildSaKeys {
  readonly spi: number
  readonly key: Uint8Array
  readonly salt: Uint8Array
}

/** Both directions of one Child SA. The receiver of the effect owns the key arrays and wipes them. */
export interface ChildSaSpec {
  /** Unique in this process's life. */
  readonly id: number
  readonly connection: string
  readonly child: string
  /** The packet worker that both directions are installed on; where there are several, the inbound SPI tells it too. */
  readonly resource: number
  readonly suite: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'
  readonly esn: boolean
  readonly replayWindow: number
  readonly local: readonly TrafficSelector[]
  readonly remote: readonly TrafficSelector[]
  readonly inbound: ChildSaKeys
  readonly outbound: ChildSaKeys
  readonly limits: Pick<ChildLifetime, 'softPackets' | 'hardPackets' | 'softBytes' | 'hardBytes'>
  readonly encapsulation: 'udp' | 'esp'
  readonly localAddress: SocketAddress
  readonly remoteAddress: SocketAddress
}

/**
 * Effects are carried out strictly in order: a `send` after an `install-child` goes out only when the
 * engine has the inbound SA.
 */
export type IkeEffect =
  | { readonly type: 'send'; readonly local: SocketAddress; readonly remote: SocketAddress; readonly bytes: Uint8Array }
  /** One 0xff byte, no marker (RFC 3948 section 2.3). */
  | { readonly type: 'keepalive'; readonly local: SocketAddress; readonly remote: SocketAddress }
  /** Install inbound and outbound, receive at once, send nothing on it yet. */
  | { readonly type: 'install-child'; readonly sa: ChildSaSpec }
  /**
   * From here on, traffic of this connection's child leaves on this SA, on its resource; the one before it there stays
   * installed.
   */
  | { readonly type: 'promote-child'; readonly id: number }
  /**
   * Nothing leaves on this SA's resource any more, for it has no usable SA: other resources carry the child's traffic
   * from here on. The SA still receives.
   */
  | { readonly type: 'demote-child'; readonly id: number }
  | { readonly type: 'remove-child'; readonly id: number }
  | { readonly type: 'move-child'; readonly id: number; readonly remoteAddress: SocketAddress }
  | { readonly type: 'report'; readonly connection: string; readonly event: IkeEvent }
  /** Only when the endpoint was made with a key log: secrets, for a debug file that the user asked for. */
  | { readonly type: 'key-log'; readonly entry: KeyLogEntry }
  | { readonly type: 'connection-removed'; readonly connection: string }
  | { readonly type: 'stopped' }

/** What happened, for logs, `status` and metrics. Never holds a secret. */
export type IkeEvent =
  | { readonly type: 'initiating'; readonly remote: SocketAddress }
  | {
      readonly type: 'ike-established'
      readonly initiatorSpi: string
      readonly responderSpi: string
      readonly suite: string
      readonly natDetected: boolean
    }
  | { readonly type: 'ike-rekeyed'; readonly initiatorSpi: string; readonly responderSpi: string }
  | { readonly type: 'ike-closed'; readonly reason: string }
  | {
      readonly type: 'child-established'
      readonly child: string
      readonly id: number
      readonly suite: string
      readonly resource: number
    }
  | {
      readonly type: 'child-rekeyed'
      readonly child: string
      readonly id: number
      readonly replaces: number
      readonly resource: number
    }
  | { readonly type: 'child-closed'; readonly child: string; readonly id: number; readonly reason: string }
  | { readonly type: 'peer-moved'; readonly from: SocketAddress; readonly to: SocketAddress }
  /** Something failed: one sentence of cause, one of remedy. `retryAt` when we try again by ourselves. */
  | {
      readonly type: 'failed'
      readonly code: FailureCode
      readonly cause: string
      readonly remedy: string
      readonly retryAt?: number
    }

export type FailureCode =
  | 'no-response'
  | 'no-proposal-chosen'
  | 'authentication-failed'
  | 'ts-unacceptable'
  | 'peer-dead'
  | 'invalid-ke'
  | 'peer-refused'
  | 'protocol-error'
  | 'engine-refused'

/** A snapshot for `status`; taking it changes nothing. */
export interface ConnectionStatus {
  readonly connection: string
  readonly state: 'idle' | 'connecting' | 'established' | 'waiting' | 'closing'
  /** Instant at which this state began. */
  readonly since: number
  readonly role?: 'initiator' | 'responder'
  readonly local?: SocketAddress
  readonly remote?: SocketAddress
  readonly suite?: string
  readonly initiatorSpi?: string
  readonly responderSpi?: string
  readonly establishedAt?: number
  readonly rekeyAt?: number
  readonly natDetected?: boolean
  /** Of the key that the session in use was authenticated with. */
  readonly keyId?: string
  /** The peer has shown that it is in this session too: by ESP, or by an IKE message after IKE_AUTH's request. */
  readonly keyConfirmed?: boolean
  readonly ikeRekeys: number
  /** Round trips of requests that were answered at the first try, over the last few of them; absent until measured. */
  readonly rtt?: { readonly lastMs: number; readonly medianMs: number; readonly samples: number }
  /** Requests of ours since start, and how often one had to be sent again. */
  readonly requestsSent: number
  readonly requestsRetransmitted: number
  readonly children: readonly ChildStatus[]
  readonly lastError?: {
    readonly code: FailureCode
    readonly cause: string
    readonly remedy: string
    readonly at: number
  }
}

export interface ChildStatus {
  readonly id: number
  readonly child: string
  readonly suite: string
  readonly inboundSpi: number
  readonly outboundSpi: number
  readonly establishedAt: number
  readonly rekeyAt: number
  /** The packet worker that it is installed on. */
  readonly resource: number
  /** Chosen for sending now, on its resource. */
  readonly active: boolean
  readonly rekeys: number
  readonly local: readonly TrafficSelector[]
  readonly remote: readonly TrafficSelector[]
}

/** Datagrams that came to nothing, by reason. */
export interface IkeCounters {
  readonly malformed: number
  readonly unknownVersion: number
  readonly unknownSpi: number
  readonly integrityFailed: number
  readonly replayed: number
  readonly cookiesDemanded: number
  readonly halfOpenRefused: number
  readonly retransmits: number
  readonly noConnection: number
}

/**
 * One line of the key file that `isthmus decode --keys` reads (docs/decode.md). Byte strings are lower-case hex.
 * `skEi` and `skEr` end with the 4-byte salt where the cipher is an AEAD; `skAi` and `skAr` are empty then.
 */
export type KeyLogEntry =
  | {
      readonly kind: 'ike'
      readonly initiatorSpi: string
      readonly responderSpi: string
      readonly encryption: EncryptionName
      readonly integrity?: IntegrityName
      readonly skEi: string
      readonly skEr: string
      readonly skAi: string
      readonly skAr: string
    }
  | {
      readonly kind: 'esp'
      /** `0x` and eight hex digits. */
      readonly spi: string
      readonly encryption: 'aes128gcm16' | 'aes256gcm16' | 'chacha20poly1305'
      readonly key: string
      readonly salt: string
      readonly esn: boolean
    }
