/** FortiGate: its CLI, as the FortiOS reference has it. */
import { known, numbered, SUITES_ADVICE } from './cloud-words.ts'
import type { ChildFacts, PeerFacts } from './facts.ts'
import { type Agreed, agreed, type Preset, secretField, type Words } from './preset.ts'

const AEADS = known({
  aes256gcm16: 'aes256gcm',
  aes128gcm16: 'aes128gcm',
  chacha20poly1305: 'chacha20poly1305',
})
const FORTI: Words = {
  ike: { encryption: AEADS },
  esp: { encryption: AEADS },
  prf: (name) => name,
  group: numbered('x25519', 'ecp384', 'ecp256', 'ecp521', 'modp4096', 'modp3072', 'modp2048'),
}
const UNKNOWN_SECRET = 'PUT-THE-KEY-HERE'

export function fortinet(facts: PeerFacts): Preset {
  const suites = agreed(facts, FORTI, SUITES_ADVICE)
  const rule = '6 to 128 printable characters without quotes'
  const key = secretField(facts, 'psksecret', rule, (text) => /^[^"\\]{6,128}$/.test(text))
  const isKnown = facts.secret !== undefined && key.faults.length === 0
  const selectors = facts.children.flatMap(({ ours, theirs }) => [...ours, ...theirs])
  return {
    sections: [],
    file: { path: 'the CLI of the FortiGate', text: textOf(facts, suites, isKnown ? key.field.value : UNKNOWN_SECRET) },
    yaml: [],
    notes: [
      'wan1 is the interface with the address of the FortiGate; policies and static routes towards the tunnel interface are to be made beside.',
      'A phase 2 of its own for each pair of networks: name them as children of the peer, or use 0.0.0.0/0 at both ends.',
      ...(isKnown ? [] : [`The key stands as ${UNKNOWN_SECRET}: put it in, or take --show-secret.`]),
    ],
    faults: [
      ...suites.faults,
      ...key.faults,
      ...(selectors.some((each) => /[[:]/.test(each))
        ? ['Children with protocols or IPv6 are not written here: enter their selectors by hand.']
        : []),
    ],
  }
}

function textOf(facts: PeerFacts, { ike, esp }: Agreed, secret: string): string {
  const { name, ours, theirs, children, encapsulation } = facts
  const device = name.replaceAll(/[^A-Za-z0-9_-]/g, '-').slice(0, 15)
  const isNamed = theirs.identity.type === 'fqdn'
  const lines = [
    'set interface "wan1"',
    'set ike-version 2',
    'set peertype any',
    `set remote-gw ${ours.address}`,
    `set proposal ${ike?.encryption ?? ''}-${ike?.prf ?? ''}`,
    `set dhgrp ${ike?.group ?? ''}`,
    'set keylife 28800',
    'set dpd on-idle',
    `set nattraversal ${encapsulation === 'udp' ? 'forced' : 'enable'}`,
    `set localid-type ${isNamed ? 'fqdn' : 'address'}`,
    ...(isNamed ? [`set localid "${theirs.identity.value}"`] : []),
    `set psksecret "${secret}"`,
  ]
  const phases = children.flatMap((child) => phase2Of(child, device, facts.initiate, esp))
  return `config vpn ipsec phase1-interface\n${edited(device, lines)}end\nconfig vpn ipsec phase2-interface\n${phases.join('')}end\n`
}

function phase2Of({ name, ours, theirs }: ChildFacts, device: string, weCall: boolean, esp: Agreed['esp']): string[] {
  const pairs = theirs.flatMap((source) => ours.map((destination) => ({ source, destination })))
  return pairs.map(({ source, destination }, index) =>
    edited(`${device}-${name}-${index}`, [
      `set phase1name "${device}"`,
      `set proposal ${esp?.encryption ?? ''}`,
      ...(esp?.group === undefined ? ['set pfs disable'] : ['set pfs enable', `set dhgrp ${esp.group}`]),
      'set keylifeseconds 3600',
      `set auto-negotiate ${weCall ? 'disable' : 'enable'}`,
      `set src-subnet ${source}`,
      `set dst-subnet ${destination}`,
    ]),
  )
}

function edited(name: string, lines: readonly string[]): string {
  return [`    edit "${name}"`, ...lines.map((line) => `        ${line}`), '    next', ''].join('\n')
}
