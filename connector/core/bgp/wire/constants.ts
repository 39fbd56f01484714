/** Numbers of BGP and their names (RFC 4271, IANA bgp-parameters). */

export const MESSAGE = { OPEN: 1, UPDATE: 2, NOTIFICATION: 3, KEEPALIVE: 4, 'ROUTE-REFRESH': 5 } as const

export const HEADER_LENGTH = 19
/** RFC 4271 section 4.1, and RFC 8654 section 4 for peers that announced extended messages. */
export const MAX_MESSAGE = 4096
export const MAX_EXTENDED_MESSAGE = 65_535

export const BGP_VERSION = 4
/** Stands for an AS number of four octets in a field of two (RFC 6793 section 9). */
export const AS_TRANS = 23_456

export const AFI = { ipv4: 1, ipv6: 2 } as const
export const SAFI = { unicast: 1 } as const

export const CAPABILITY = {
  multiprotocol: 1,
  'route-refresh': 2,
  'extended-message': 6,
  role: 9,
  'graceful-restart': 64,
  'four-octet-as': 65,
  'enhanced-route-refresh': 70,
} as const

export const ATTRIBUTE = {
  ORIGIN: 1,
  AS_PATH: 2,
  NEXT_HOP: 3,
  MULTI_EXIT_DISC: 4,
  LOCAL_PREF: 5,
  ATOMIC_AGGREGATE: 6,
  AGGREGATOR: 7,
  COMMUNITIES: 8,
  ORIGINATOR_ID: 9,
  CLUSTER_LIST: 10,
  MP_REACH_NLRI: 14,
  MP_UNREACH_NLRI: 15,
  EXTENDED_COMMUNITIES: 16,
  AS4_PATH: 17,
  AS4_AGGREGATOR: 18,
  IPV6_EXTENDED_COMMUNITIES: 25,
  LARGE_COMMUNITIES: 32,
  OTC: 35,
} as const

/** Attribute flags (RFC 4271 section 4.3). */
export const FLAG = { optional: 0x80, transitive: 0x40, partial: 0x20, extendedLength: 0x10 } as const

export const ERROR = {
  header: 1,
  open: 2,
  update: 3,
  holdTimer: 4,
  fsm: 5,
  cease: 6,
  refresh: 7,
  /** RFC 9687. */
  sendHoldTimer: 8,
} as const

/** RFC 4486; 9 is of RFC 8538, 10 of RFC 9384. */
export const CEASE = {
  maximumPrefixes: 1,
  administrativeShutdown: 2,
  peerDeconfigured: 3,
  administrativeReset: 4,
  connectionRejected: 5,
  otherConfigurationChange: 6,
  collisionResolution: 7,
  outOfResources: 8,
  hardReset: 9,
  bfdDown: 10,
} as const

/** RFC 6608: a message that the state does not await. */
export const FSM_ERROR = { unspecified: 0, openSent: 1, openConfirm: 2, established: 3 } as const

const ERROR_NAMES: Readonly<Record<number, string>> = {
  1: 'Message Header Error',
  2: 'OPEN Message Error',
  3: 'UPDATE Message Error',
  4: 'Hold Timer Expired',
  5: 'Finite State Machine Error',
  6: 'Cease',
  7: 'ROUTE-REFRESH Message Error',
  8: 'Send Hold Timer Expired',
}

const SUBCODE_NAMES: Readonly<Record<number, readonly (string | undefined)[]>> = {
  1: ['Unspecific', 'Connection Not Synchronized', 'Bad Message Length', 'Bad Message Type'],
  2: [
    'Unspecific',
    'Unsupported Version Number',
    'Bad Peer AS',
    'Bad BGP Identifier',
    'Unsupported Optional Parameter',
    undefined,
    'Unacceptable Hold Time',
    'Unsupported Capability',
    undefined,
    undefined,
    undefined,
    'Role Mismatch',
  ],
  3: [
    'Unspecific',
    'Malformed Attribute List',
    'Unrecognized Well-known Attribute',
    'Missing Well-known Attribute',
    'Attribute Flags Error',
    'Attribute Length Error',
    'Invalid ORIGIN Attribute',
    undefined,
    'Invalid NEXT_HOP Attribute',
    'Optional Attribute Error',
    'Invalid Network Field',
    'Malformed AS_PATH',
  ],
  4: ['Unspecific'],
  5: [
    'Unspecified Error',
    'Receive Unexpected Message in OpenSent State',
    'Receive Unexpected Message in OpenConfirm State',
    'Receive Unexpected Message in Established State',
  ],
  6: [
    'Unspecific',
    'Maximum Number of Prefixes Reached',
    'Administrative Shutdown',
    'Peer De-configured',
    'Administrative Reset',
    'Connection Rejected',
    'Other Configuration Change',
    'Connection Collision Resolution',
    'Out of Resources',
    'Hard Reset',
    'BFD Down',
  ],
  7: ['Unspecific', 'Invalid Message Length'],
  8: ['Unspecific'],
}

/** The IANA name of an error code, or `unknown (n)`. */
export function errorName(code: number): string {
  return ERROR_NAMES[code] ?? `unknown (${code})`
}

export function subcodeName(code: number, subcode: number): string {
  return SUBCODE_NAMES[code]?.[subcode] ?? `unknown (${subcode})`
}

const ATTRIBUTE_NAMES = new Map<number, string>(Object.entries(ATTRIBUTE).map(([name, type]) => [type, name]))

export function attributeName(type: number): string {
  return ATTRIBUTE_NAMES.get(type) ?? `unknown (${type})`
}
