/** What is known of the path of one tunnel: what probes tell, and what everything that follows paths is told. */

export interface PathReport {
  /** `unknown`: nothing was ever answered, so silence says nothing. */
  readonly state: 'unknown' | 'up' | 'down'
  /** For how long, at the time of the report, nothing had been heard. */
  readonly silentMs?: number
  /** Smoothed round trip and its mean deviation, in milliseconds (as RFC 6298 has them). */
  readonly rttMs?: number
  readonly jitterMs?: number
  /** Shares of packets lost on the way there and back, 0 to 1, of the last some hundred probes; `lossOut` is both ways where only answers are counted. */
  readonly lossOut?: number
  readonly lossIn?: number
  /**
   * The same as numbers that only grow, from the start of the probes' session on: whoever steers by loss reads them at
   * least four times a second where probes are fast, and makes rates over times of its own. Less than before: a new session.
   */
  readonly counts?: { readonly out: ProbeCount; readonly in: ProbeCount }
  readonly mtu?: MeasuredMtu
}

/** Packets of one way: what is known to have been sent, and of these what is known to be lost. All that probes send counts, answers too. */
export interface ProbeCount {
  readonly sent: number
  readonly lost: number
}

export interface MeasuredMtu {
  /** Bytes of the largest outer packet that passes. */
  readonly pathMtu: number
  /** Still looking for more. */
  readonly searching: boolean
  /** In a sentence, why it is that number. */
  readonly why: string
}
