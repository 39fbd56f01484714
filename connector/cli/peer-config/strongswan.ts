/** A complete swanctl.conf for the other end. */
import type { EspProposal, Identity } from '../../core/ike/types.ts'
import type { ChildFacts, PeerFacts } from './facts.ts'
import { espName, ikeName, type Preset, unique } from './preset.ts'
import { isText, secretText } from './secret-text.ts'

const UNKNOWN_SECRET = 'PUT-THE-KEY-HERE'

export function strongswan(facts: PeerFacts): Preset {
  const isShown = facts.secret !== undefined
  const notes = [
    'With forwarding between its networks: sysctl net.ipv4.ip_forward=1, and no NAT of what goes into the tunnel.',
    ...(facts.inside === undefined && facts.bgp === undefined
      ? []
      : [
          'Addresses inside the tunnel and BGP need an XFRM interface (if_id_in, if_id_out) and a routing daemon there.',
        ]),
    ...(isShown ? [] : [`The key stands as ${UNKNOWN_SECRET}: put it in, or take --show-secret.`]),
  ]
  return { sections: [], file: { path: '/etc/swanctl/swanctl.conf', text: fileOf(facts) }, yaml: [], notes, faults: [] }
}

function fileOf(facts: PeerFacts): string {
  const { site, name, ours, theirs, children } = facts
  const secret = facts.secret === undefined ? `"${UNKNOWN_SECRET}"` : quotedSecret(facts.secret)
  return `# The end of ${name}, towards the site ${site}. Load it with: swanctl --load-all
connections {
  ${nameOf(site)} {
    version = 2
    local_addrs = ${theirs.address ?? '%any'}
    remote_addrs = ${ours.address}
${ports(facts)}    proposals = ${unique(facts.ike.map(ikeName)).join(',')}
    rekey_time = ${facts.ikeExpireS}s
    dpd_delay = 30s
    encap = ${facts.encapsulation === 'udp' ? 'yes' : 'no'}
    mobike = no
    local {
      auth = psk
      id = ${identityText(theirs.identity)}
    }
    remote {
      auth = psk
      id = ${identityText(ours.identity)}
    }
    children {
${children.map((child) => childText(child, facts)).join('')}    }
  }
}

secrets {
  ike-${nameOf(site)} {
    id-local = ${identityText(theirs.identity)}
    id-remote = ${identityText(ours.identity)}
    secret = ${secret}
  }
}
`
}

function ports({ ours, theirs }: PeerFacts): string {
  const lines = [
    ...(theirs.port === 500 ? [] : [`    local_port = ${theirs.port}\n`]),
    ...(ours.port === 500 ? [] : [`    remote_port = ${ours.port}\n`]),
  ]
  return lines.join('')
}

function childText({ name, ours, theirs, esp, expireS, replayWindow }: ChildFacts, { initiate }: PeerFacts): string {
  const suites = unique(esp.some(({ esn }) => !esn) ? esp.filter(({ esn }) => !esn).map(espName) : esp.map(withEsn))
  return `      ${nameOf(name)} {
        local_ts = ${theirs.join(',')}
        remote_ts = ${ours.join(',')}
        esp_proposals = ${suites.join(',')}
        rekey_time = ${expireS}s
        replay_window = ${replayWindow}
        start_action = ${initiate ? 'none' : 'start'}
        dpd_action = ${initiate ? 'clear' : 'restart'}
      }
`
}

function withEsn(proposal: EspProposal): string {
  return `${espName(proposal)}-esn`
}

function identityText({ type, value }: Identity): string {
  if (type === 'key-id') return `keyid:#${value}`
  if (type === 'dn') return `asn1dn:#${value}`
  return type === 'ipv4' || type === 'ipv6' ? value : `${type}:${value}`
}

/** Sections have names without dots, blanks and the like. */
function nameOf(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_-]/g, '-')
}

function quotedSecret(secret: Uint8Array): string {
  const text = secretText(secret)
  if (!isText(secret)) return text
  // What begins like an encoded key is one there: its octets say what is meant.
  const encoded = /^0[xs]/i.test(text) || /["\\\n{}#]/.test(text)
  return encoded ? `0x${Buffer.from(secret).toString('hex')}` : `"${text}"`
}
