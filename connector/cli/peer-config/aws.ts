/** AWS Site-to-Site VPN, in the words of its console. */
import { ANY, insideAdvice, known, needsAddress, numbered, ourNetworks, SUITES_ADVICE } from './cloud-words.ts'
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

/** VpnTunnelOptionsSpecification of the EC2 API reference. */
const AWS: Words = {
  ike: { encryption: known({ aes256gcm16: 'AES256-GCM-16', aes128gcm16: 'AES128-GCM-16' }) },
  esp: { encryption: known({ aes256gcm16: 'AES256-GCM-16', aes128gcm16: 'AES128-GCM-16' }) },
  prf: known({ prfsha256: 'SHA2-256', prfsha384: 'SHA2-384', prfsha512: 'SHA2-512' }),
  group: numbered('ecp384', 'ecp256', 'ecp521', 'modp4096', 'modp3072', 'modp2048'),
}

export function aws(facts: PeerFacts): Preset {
  const suites = agreed(facts, AWS, SUITES_ADVICE)
  const rule = '8 to 64 letters, digits, dots and underscores, not beginning with 0'
  const key = secretField(facts, 'Pre-shared key', rule, (text) => /^(?!0)[A-Za-z0-9._]{8,64}$/.test(text))
  return {
    sections: sectionsOf(facts, suites, key.field),
    yaml: [
      ...insideAdvice(facts),
      ...(suites.esp === undefined || suites.esp.group !== undefined
        ? []
        : ['esp: { proposals: [aes256gcm16-ecp384] }']),
    ],
    notes: [
      'isthmus cloud aws plan and apply do all of this, with both tunnels, and rotate the keys; see docs/aws.md.',
      'A connection has two tunnels, and AWS takes either down for maintenance: make a second peer for the other one, with a group over both.',
      'In each inside CIDR AWS has the first address, and we the second.',
      'Startup action and DPD timeout action are Add and Clear unless you change them: then a tunnel stays down after AWS has replaced its endpoint.',
      'Tunnels to AWS have no extended sequence numbers, no ChaCha20 and no X25519.',
    ],
    faults: [...suites.faults, ...key.faults, ...needsAddress(facts, 'AWS')],
  }
}

function sectionsOf(facts: PeerFacts, { ike, esp }: Agreed, key: Field): Section[] {
  const { ours, bgp, inside } = facts
  return [
    {
      title: 'Customer gateway',
      fields: fields(['IP address', ours.address], ['BGP ASN', bgp === undefined ? '65000' : String(bgp.ourAs)]),
    },
    {
      title: 'Site-to-Site VPN connection',
      fields: fields(
        ['Routing options', bgp === undefined ? 'Static' : 'Dynamic (requires BGP)'],
        ['Static IP prefixes', bgp === undefined ? ourNetworks(facts) : undefined],
        ['Local IPv4 network CIDR', ANY],
        ['Remote IPv4 network CIDR', ANY],
      ),
    },
    {
      title: `Tunnel 1 options (${facts.name})`,
      fields: [
        ...fields(['Inside IPv4 CIDR', inside?.network]),
        key,
        ...fields(
          ['Phase 1 encryption algorithms', ike?.encryption],
          ['Phase 2 encryption algorithms', esp?.encryption],
          ['Phase 1 integrity algorithms', ike?.prf],
          ['Phase 2 integrity algorithms', esp === undefined ? undefined : (ike?.prf ?? 'SHA2-256')],
          ['Phase 1 DH group numbers', ike?.group],
          ['Phase 2 DH group numbers', esp?.group],
          ['IKE version', 'ikev2'],
          ['Phase 1 lifetime', `28800 seconds; we rekey after ${facts.ikeRekeyS}`],
          ['Phase 2 lifetime', `3600 seconds; we rekey after ${facts.children[0]?.rekeyS ?? 0}`],
          ['Replay window size', '1024 packets'],
          ['DPD timeout', '30 seconds'],
          ['DPD timeout action', 'Restart'],
          ['Startup action', 'Start'],
        ),
      ],
    },
  ]
}
