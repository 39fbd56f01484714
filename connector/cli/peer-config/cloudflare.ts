/** Cloudflare WAN (formerly Magic WAN), in the words of its dashboard. */
import { insideAdvice, known, numbered, ourNetworks, PRINTABLE, SUITES_ADVICE } from './cloud-words.ts'
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

/** "GRE and IPsec tunnels" of the Cloudflare WAN documentation. */
const CLOUDFLARE: Words = {
  ike: { encryption: known({ aes256gcm16: 'AES-GCM-16, 256 bits', aes128gcm16: 'AES-GCM-16, 128 bits' }) },
  esp: { encryption: known({ aes256gcm16: 'AES-GCM-16, 256 bits', aes128gcm16: 'AES-GCM-16, 128 bits' }) },
  prf: known({ prfsha256: 'SHA2-256', prfsha384: 'SHA2-384', prfsha512: 'SHA2-512' }),
  group: numbered('ecp384', 'modp2048'),
}

export function cloudflare(facts: PeerFacts): Preset {
  const suites = agreed(facts, CLOUDFLARE, SUITES_ADVICE)
  const key = secretField(facts, 'Pre-shared key', 'text', PRINTABLE(1_024))
  const { ours, theirs, children } = facts
  const isStrict = children.some(({ esp, replayWindow }) => replayWindow !== 0 || esp.some(({ esn }) => esn))
  const isNamed = ours.identity.type === 'fqdn' && ours.identity.value.endsWith('.ipsec.cloudflare.com')
  return {
    sections: sectionsOf(facts, suites, key.field),
    yaml: [
      ...(isNamed ? [] : ['local_id: <TUNNEL_ID>.<ACCOUNT_ID>.ipsec.cloudflare.com']),
      ...(theirs.port === theirs.natPort ? [] : ['ports: { ike: 4500 }']),
      ...(isStrict ? ['esp: { esn: off, replay_window: 0 }'] : []),
      ...insideAdvice(facts),
    ],
    notes: [
      'Cloudflare only answers: we have to call (initiate).',
      'IKEv2 with a pre-shared key only; extended sequence numbers have to be off.',
      'Begin on port 4500: from behind a NAT it does not follow from 500 to 4500.',
      'Our identity is the FQDN ID that the dashboard shows for the tunnel, once it is made.',
      'Any of its servers may send, each with sequence numbers of its own: replay protection drops packets, at both ends.',
      'Tunnels are anycast: one tunnel is enough for its data centers, two Cloudflare endpoints for its maintenance.',
    ],
    faults: [
      ...suites.faults,
      ...key.faults,
      ...(facts.initiate ? [] : ['Cloudflare never calls, and we wait for it: give the peer its address.']),
    ],
  }
}

function sectionsOf(facts: PeerFacts, { ike, esp }: Agreed, key: Field): Section[] {
  const { ours, theirs, inside } = facts
  return [
    {
      title: `IPsec tunnel (${facts.name})`,
      fields: [
        ...fields(
          ['Tunnel name', facts.name],
          [
            'Interface address',
            inside?.theirs === undefined ? undefined : `${inside.theirs}/${inside.network.split('/')[1]}`,
          ],
          ['Customer endpoint', ours.address],
          ['Cloudflare endpoint', theirs.address ?? 'one of the anycast addresses of the account'],
        ),
        key,
        ...fields(
          ['Replay protection', 'off; on needs that the tunnel is set up anew after a server was lost'],
          ['Health check', 'on, direction bidirectional'],
        ),
      ],
    },
    {
      title: 'It takes what we propose',
      fields: fields(
        ['IKE SA encryption', ike?.encryption],
        ['IKE SA PRF', ike?.prf],
        ['IKE SA Diffie-Hellman group', ike?.group],
        ['IPsec encryption', esp?.encryption],
        ['IPsec PFS group', esp === undefined ? undefined : (esp.group ?? 'none')],
      ),
    },
    { title: 'Static routes', fields: fields(['Prefix', ourNetworks(facts)], ['Tunnel/Next hop', facts.name]) },
  ]
}
