/** Google Cloud VPN, in the words of its console. */
import { insideAdvice, known, needsAddress, onlySuites, ourNetworks, PRINTABLE, SUITES_ADVICE } from './cloud-words.ts'
import type { PeerFacts } from './facts.ts'
import {
  type Agreed,
  agreed,
  type Field,
  fields,
  type Preset,
  type Section,
  secretField,
  type Words,
} from './preset.ts'

const GOOGLE_MTU = 1_460
/** "Supported IKE ciphers" of the Cloud VPN documentation. */
const GOOGLE: Words = {
  ike: { encryption: known({ aes256gcm16: 'AES-GCM-16-256', aes128gcm16: 'AES-GCM-16-128' }) },
  esp: { encryption: known({ aes256gcm16: 'AES-GCM-16-256', aes128gcm16: 'AES-GCM-16-128' }) },
  prf: known({ prfsha256: 'PRF-HMAC-SHA2-256', prfsha384: 'PRF-HMAC-SHA2-384', prfsha512: 'PRF-HMAC-SHA2-512' }),
  group: known({
    x25519: 'curve25519 (Group 31)',
    ecp256: 'ecp-256 (Group 19)',
    ecp384: 'ecp-384 (Group 20)',
    ecp521: 'ecp-521 (Group 21)',
    modp2048: 'modp-2048 (Group 14)',
    modp3072: 'modp-3072 (Group 15)',
    modp4096: 'modp-4096 (Group 16)',
  }),
}

export function google(facts: PeerFacts): Preset {
  const suites = agreed(facts, GOOGLE, SUITES_ADVICE)
  const key = secretField(facts, 'IKE pre-shared key', 'text', PRINTABLE(1_024))
  return {
    sections: sectionsOf(facts, suites, key.field),
    yaml: [
      ...onlySuites(facts, suites),
      ...(facts.pathMtu > GOOGLE_MTU ? [`path_mtu: ${GOOGLE_MTU}`] : []),
      ...(facts.bgp === undefined ? [] : insideAdvice(facts)),
    ],
    notes: [
      'Offer one suite only: Cloud VPN chooses by its own order, and may choose another one at each rekey.',
      'Cloud VPN wants large packets fragmented before they are encrypted, which is what we do; its gateways have an MTU of 1460.',
      'HA VPN is BGP only and has two interfaces: a second peer for interface 1, with a group over both.',
      'Its SAs live 36,000 seconds (phase 1) and 10,800 (phase 2), which cannot be changed; we rekey before.',
      'Our identity has to be the address of the interface that Google was given.',
    ],
    faults: [...suites.faults, ...key.faults, ...needsAddress(facts, 'Cloud VPN'), ...needsAddressIdentity(facts)],
  }
}

function sectionsOf(facts: PeerFacts, { ike, esp }: Agreed, key: Field): Section[] {
  const { ours, bgp } = facts
  return [
    { title: 'Peer VPN gateway', fields: fields(['Interface 0 IP address', ours.address]) },
    {
      title: `VPN tunnel (${facts.name})`,
      fields: [
        ...fields(['IKE version', 'IKEv2']),
        key,
        ...fields(
          ['Phase 1 Encryption', ike?.encryption],
          ['Phase 1 PRF', ike?.prf],
          ['Phase 1 DH', ike?.group],
          ['Phase 2 Encryption', esp?.encryption],
          ['Phase 2 PFS algorithm', esp === undefined ? undefined : (esp.group ?? 'none')],
          ['Routing options', bgp === undefined ? 'Route-based (Classic VPN)' : 'Dynamic (BGP)'],
          ['Remote network IP ranges', bgp === undefined ? ourNetworks(facts) : undefined],
        ),
      ],
    },
    ...(bgp === undefined
      ? []
      : [
          {
            title: 'BGP session',
            fields: fields(
              ['Google ASN', String(bgp.peerAs)],
              ['Peer ASN', String(bgp.ourAs)],
              ['Cloud Router BGP IPv4 address', bgp.theirs],
              ['BGP peer IPv4 address', bgp.ours],
            ),
          },
        ]),
  ]
}

function needsAddressIdentity({ ours }: PeerFacts): string[] {
  const { type, value } = ours.identity
  return type === 'ipv4' || type === 'ipv6'
    ? []
    : [`Our identity is ${value}, and has to be an address: leave local_id and id out.`]
}
