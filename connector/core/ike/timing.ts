/** Waits that no configuration changes, in milliseconds, each with its reason. */

/**
 * Under traffic no liveness check is due, and nothing would measure the way to the peer: an exchange soon after the SA
 * is there, and then one in a while, do.
 */
export const FIRST_MEASURE_MS = 1_000
export const MEASURE_MS = 60_000

/** An SA that is replaced or deleted still opens packets that were on their way. */
export const GRACE_MS = 5_000

/**
 * How long the responder of a rekey sends on the old SA when neither traffic on the new one nor the DELETE of the old
 * one shows that the initiator has the answer. Both ends can still receive on the old one, so waiting loses nothing,
 * while sending too early would. Each repetition of the request shows that the answer is missing and starts the wait anew.
 */
export const PROMOTE_MS = 30_000

/** Least wait after TEMPORARY_FAILURE (RFC 7296 section 2.25); a random part of the same length comes on top. */
export const TEMPORARY_MS = 2_000

/** The peer has this long to delete an SA that is its to delete, before we do it. */
export const REPLACED_MS = 120_000

/** From IKE_SA_INIT to the end of IKE_AUTH, as responder. */
export const HALF_OPEN_MS = 30_000

/** A finished SA still answers retransmitted requests from its cache. */
export const LINGER_MS = 10_000

/** The answer to our DELETE of an IKE SA is not worth waiting for much longer. */
export const CLOSE_MS = 5_000

/** Of two SAs that came up at once, the creator of the surplus one closes it after this wait, */
export const SURPLUS_MS = 1_000
/** and the other end after this one, if it is still there. */
export const SURPLUS_PEER_MS = 10_000

/** After a new authentication the old session ends when the new one carries all that it carries, or after so long. */
export const SUPERSEDE_MS = 10_000

/**
 * And its DELETE is sent again for so long: until the peer has it, some resource of the peer may still send on the old
 * session, whose SAs receive until then.
 */
export const SUPERSEDE_CLOSE_MS = 120_000

/** A session whose key is no longer accepted ends after so long, when nothing took its place: revocation has to bite. */
export const MISSING_KEY_MS = 60_000

/** A Child SA that lived so long is made anew at once when it ends; a shorter life calls for a pause. */
export const SETTLED_MS = 10_000

/** The responder of the IKE SA makes a missing Child SA only when the initiator did not for so long. */
export const MISSING_CHILD_MS = 5_000

/** Life of a cookie's secret; the one before it stays valid. */
export const COOKIE_MS = 60_000

/** Bounds: SAs of one connection, Child SAs of one session for each configured child, tasks in a queue. */
export const MAX_SESSIONS = 4
export const MAX_IKE_SAS = 6
export const MAX_CHILDREN = 64
export const MAX_QUEUE = 128
