/**
 * The suites offered when the configuration names none, best first. A responder takes the first of ours that it
 * knows, and we send the key exchange of the first, so the order is a statement: AEADs with modern curves, then the classic group that older gateways have,
 * then CBC for those that never learnt GCM.
 */
export const DEFAULT_IKE_PROPOSALS = [
  'aes256gcm16-prfsha256-x25519',
  'aes128gcm16-prfsha256-x25519',
  'chacha20poly1305-prfsha256-x25519',
  'aes256gcm16-prfsha384-ecp384',
  'aes256gcm16-prfsha256-ecp256',
  'aes128gcm16-prfsha256-ecp256',
  'aes256gcm16-prfsha256-modp2048',
  'aes128gcm16-prfsha256-modp2048',
  'aes256-sha256-prfsha256-ecp256',
  'aes256-sha256-prfsha256-modp2048',
  'aes128-sha256-prfsha256-modp2048',
] as const

/**
 * With a PFS group first and without one after: a peer that has PFS switched off picks the latter at a rekey instead
 * of refusing it. The first Child SA takes its keys from the IKE exchange and has no group either way.
 */
export const DEFAULT_ESP_PROPOSALS = [
  'aes256gcm16-x25519',
  'aes128gcm16-x25519',
  'chacha20poly1305-x25519',
  'aes256gcm16-ecp256',
  'aes256gcm16-modp2048',
  'aes256gcm16',
  'aes128gcm16',
  'chacha20poly1305',
] as const
