/** FortiGate: its CLI, as the FortiOS reference has it. */
import type { PeerFacts } from './facts.ts'
import { agreed, type Preset, secretField, type Words } from './preset.ts'

const FORTI: Words = {
  ike: { encryption: aead },
  esp: { encryption: aead },
  prf: (name) => name,
  group: (name) => {
    const numbers = {
      modp2048: '14',
      modp3072: '15',
      modp4096: '16',
      ecp256: '19',
      ecp384: '20',
      ecp521: '21',
      x25519: '31',
    }
    return numbers[name]
  },
}

function aead(name: string): string | undefined {
  const names: Readonly<Record<string, string>> = {
    aes256gcm16: 'aes256gcm',
    aes128gcm16: 'aes128gcm',
    chacha20poly1305: 'chacha20poly1305',
  }
  return names[name]
}

export function fortinet(facts: PeerFacts): Preset {
  const advice = 'add aes256gcm16-prfsha384-ecp384 to ike.proposals and aes256gcm16-ecp384 to esp.proposals'
  const { ike, esp, faults } = agreed(facts, FORTI, advice)
  const key = secretField(facts, 'psksecret', '6 to 128 printable characters', (text) => /^[^"\\]{6,128}$/.test(text))
  const secret = facts.secret === undefined ? 'PUT-THE-KEY-HERE' : key.field.value
  const { name, ours, theirs, children } = facts
  const device = name.replaceAll(/[^A-Za-z0-9_-]/g, '-').slice(0, 15)
  const dynamic = theirs.address === undefined || facts.initiate === false
  const text = `config vpn ipsec phase1-interface
    edit "${device}"
        set interface "wan1"
        set ike-version 2
        set peertype any
        set remote-gw ${ours.address}
        set proposal ${ike?.encryption ?? ''}-${ike?.prf ?? ''}
        set dhgrp ${ike?.group ?? ''}
        set keylife 28800
        set dpd on-idle
        set nattraversal ${facts.encapsulation === 'udp' ? 'forced' : 'enable'}
        set localid-type ${theirs.identity.type === 'fqdn' ? 'fqdn' : 'address'}
${theirs.identity.type === 'fqdn' ? `        set localid "${theirs.identity.value}"\n` : ''}        set psksecret "${secret}"
    next
end
config vpn ipsec phase2-interface
${children
  .flatMap(({ ours: local, theirs: remote, name: child }) =>
    remote.flatMap((src, at) =>
      local.map(
        (dst, index) => `    edit "${device}-${child}-${at}-${index}"
        set phase1name "${device}"
        set proposal ${esp?.encryption ?? ''}
        set pfs ${esp?.group === undefined ? 'disable' : 'enable'}
${esp?.group === undefined ? '' : `        set dhgrp ${esp.group}\n`}        set keylifeseconds 3600
        set auto-negotiate ${dynamic ? 'enable' : 'disable'}
        set src-subnet ${src}
        set dst-subnet ${dst}
    next
`,
      ),
    ),
  )
  .join('')}end
`
  return {
    sections: [],
    file: { path: 'the CLI of the FortiGate', text },
    yaml: [],
    notes: [
      'wan1 is the interface with the address of the FortiGate; policies and static routes towards the tunnel interface are to be made beside.',
      'A phase 2 of its own for each pair of networks: name them as children of the peer, or use 0.0.0.0/0 at both ends.',
      ...(facts.secret === undefined ? ['The key stands as PUT-THE-KEY-HERE: put it in, or take --show-secret.'] : []),
      'Not tried with a real one; the settings are from its reference.',
    ],
    faults: [...faults, ...key.faults],
  }
}
