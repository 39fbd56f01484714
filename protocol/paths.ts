/** Which tunnels are used, and why: `isthmus paths`, the local API, and a part of the status document. */

export interface PathsStatus {
  readonly paths: readonly PathRow[]
  readonly classes: readonly ClassRow[]
}

export interface PathRow {
  readonly peer: string
  /**
   * `up`: it passes packets as far as anybody knows. `down`: probes or BFD say that it does not. `returning`: well again,
   * and waiting whether it stays so. `no-sa`: there is no Child SA to send on.
   */
  readonly state: 'up' | 'down' | 'returning' | 'no-sa' | 'draining' | 'drained'
  readonly since: string
  /** Engines pass over it while another tunnel is there, when it is not. */
  readonly passing: boolean
  /** Prefixes that lead there now, and classes that prefer it now. */
  readonly prefixes: number
  readonly classes: readonly string[]
  /** As probes have it; `unknown`: the peer has never answered one. Absent without probes. */
  readonly probe?: 'up' | 'down' | 'unknown'
  readonly bfd?: 'up' | 'down'
  /** This and what follows up to the loss: absent while probes are not answered, for it would be of the past. */
  readonly rttMs?: number
  readonly jitterMs?: number
  /** Shares of packets, 0 to 1. */
  readonly lossOut?: number
  readonly lossIn?: number
  /** Bytes of the largest outer packet that passes, where it was measured. */
  readonly pathMtu?: number
  /** Failovers from it since the start, by cause. */
  readonly failovers: Readonly<Record<'sa' | 'probe' | 'bfd', number>>
  readonly lastFailover?: FailoverRow
  /** Packets that came by it though what answers them leaves by another tunnel. */
  readonly asymmetric: number
}

export interface FailoverRow {
  readonly at: string
  /** Peers. */
  readonly to: readonly string[]
  readonly cause: 'sa' | 'probe' | 'bfd'
  /** From the last sign of life until the other tunnel was used. */
  readonly ms: number
  /** About: sent into the dead path in that time, and missing of what the peer sent. */
  readonly lostPackets: number
}

export interface ClassRow {
  readonly name: string
  /** The peer whose tunnel it prefers now. */
  readonly peer: string
  readonly since: string
  /** Why it moved there from another one; absent: it never did. */
  readonly because?: 'loss' | 'rtt' | 'jitter' | 'down' | 'drain' | 'well-again' | 'plan'
  /** Of that other one. */
  readonly from?: string
  readonly moves: number
  /** In the configured order, with the limits that each is beyond. */
  readonly tunnels: readonly { readonly peer: string; readonly beyond: readonly ('loss' | 'rtt' | 'jitter')[] }[]
}
