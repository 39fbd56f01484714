/** Azure VPN Gateway, in the words of its portal. */
import { ANY, known, needsAddress, onlySuites, ourNetworks, PRINTABLE, SUITES_ADVICE } from './cloud-words.ts'
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

/** "IPsec/IKE policy FAQ" of the Azure VPN Gateway documentation. */
const AZURE: Words = {
  ike: { encryption: known({ aes256gcm16: 'GCMAES256', aes128gcm16: 'GCMAES128' }) },
  esp: { encryption: known({ aes256gcm16: 'GCMAES256', aes128gcm16: 'GCMAES128' }) },
  prf: known({ prfsha384: 'SHA384', prfsha256: 'SHA256' }),
  group: known({ ecp384: 'ECP384', ecp256: 'ECP256', modp2048: 'DHGroup14' }),
  pfs: known({ ecp384: 'ECP384', ecp256: 'ECP256', modp2048: 'PFS2048' }),
}

export function azure(facts: PeerFacts): Preset {
  const suites = agreed(facts, AZURE, SUITES_ADVICE)
  const key = secretField(facts, 'Shared key (PSK)', 'up to 128 printable characters', PRINTABLE(128))
  const narrow = isNarrow(facts)
  return {
    sections: sectionsOf(facts, suites, key.field),
    yaml: onlySuites(facts, suites),
    notes: [
      'A custom policy is one combination, for initiating and answering; the default policies have DH group 2 only, which we do not have.',
      'The Basic gateway has no custom policy. A PolicyBased gateway has IKEv1 only: it cannot be used.',
      narrow
        ? 'With policy based traffic selectors, each of our prefixes has to stand with each of the virtual network’s.'
        : 'A RouteBased gateway proposes any-to-any selectors, as isthmus.yaml has them.',
      'Phase 1 lives 28,800 seconds, which cannot be changed; we rekey before.',
      'BGP inside is between the gateway’s own address, or 169.254.21.0 to 169.254.22.255, and ours.',
      'No X25519, no ChaCha20, no ESN.',
    ],
    faults: [...suites.faults, ...key.faults, ...needsAddress(facts, 'Azure'), ...azureInside(facts)],
  }
}

function sectionsOf(facts: PeerFacts, { ike, esp }: Agreed, key: Field): Section[] {
  const { ours, bgp, children } = facts
  return [
    {
      title: 'Local network gateway',
      fields: fields(
        ['Endpoint', 'IP address'],
        ['IP address', ours.address],
        ['Address Space(s)', bgp === undefined ? ourNetworks(facts) : 'leave empty; BGP tells'],
        ['Autonomous system number (ASN)', bgp === undefined ? undefined : String(bgp.ourAs)],
        ['BGP peer IP address', bgp?.ours],
      ),
    },
    {
      title: `Connection (${facts.name}), of a RouteBased gateway`,
      fields: [
        ...fields(['Connection type', 'Site-to-site (IPsec)']),
        key,
        ...fields(
          ['IKE Protocol', 'IKEv2'],
          ['Enable BGP', bgp === undefined ? 'no' : 'yes'],
          ['IPsec / IKE policy', 'Custom'],
          ['IKE Phase 1 Encryption', ike?.encryption],
          ['IKE Phase 1 Integrity/PRF', ike?.prf],
          ['IKE Phase 1 DH Group', ike?.group],
          ['IKE Phase 2 IPsec Encryption', esp?.encryption],
          ['IKE Phase 2 IPsec Integrity', esp?.encryption],
          ['IKE Phase 2 PFS Group', esp === undefined ? undefined : (esp.group ?? 'None')],
          ['IPsec SA lifetime in KiloBytes', '102400000'],
          ['IPsec SA lifetime in seconds', `27000; we rekey after ${children[0]?.rekeyS ?? 0}`],
          ['Use policy based traffic selector', isNarrow(facts) ? 'Enable' : 'Disable'],
          ['DPD timeout in seconds', '45'],
          ['Connection Mode', facts.initiate ? 'Default' : 'InitiatorOnly'],
        ),
      ],
    },
  ]
}

function isNarrow({ children }: PeerFacts): boolean {
  return children.some(({ ours, theirs }) => ![...ours, ...theirs].every((each) => each === ANY))
}

/** Of link-local addresses Azure takes these for BGP alone. */
function azureInside({ bgp }: PeerFacts): string[] {
  const wrong = [bgp?.ours, bgp?.theirs].filter(
    (each) => each?.startsWith('169.254.') && !/^169\.254\.2[12]\./.test(each),
  )
  if (wrong.length === 0) return []
  return [
    `Azure has no BGP with ${wrong.join(' and ')}: take addresses from 169.254.21.0 to 169.254.22.255 for inside.`,
  ]
}
