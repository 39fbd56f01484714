/** What the presets for clouds share. */
import type { GroupName } from '../../core/ike/types.ts'
import type { PeerFacts } from './facts.ts'
import { type Agreed, espName, ikeName } from './preset.ts'

export const ANY = '0.0.0.0/0'
export const PRINTABLE = (most: number) => (text: string) => text.length <= most

const GROUP_NUMBERS: Readonly<Record<GroupName, string>> = {
  modp2048: '14',
  modp3072: '15',
  modp4096: '16',
  ecp256: '19',
  ecp384: '20',
  ecp521: '21',
  x25519: '31',
}

export function known(names: Readonly<Partial<Record<string, string>>>): (name: string) => string | undefined {
  return (name) => names[name]
}

export function numbered(...groups: readonly GroupName[]): (name: string) => string | undefined {
  return (name) => (groups.includes(name as GroupName) ? GROUP_NUMBERS[name as GroupName] : undefined)
}

/** Suites that all of them have. */
export const SUITES_ADVICE = 'add aes256gcm16-prfsha384-ecp384 to ike.proposals and aes256gcm16-ecp384 to esp.proposals'

/** For a vendor that has to be offered one suite: lines of `isthmus.yaml` that leave no other. */
export function onlySuites({ ike, children }: PeerFacts, suites: Agreed): string[] {
  const lines: string[] = []
  if (suites.ike !== undefined && ike.length > 1) lines.push(`ike: { proposals: [${ikeName(suites.ike.proposal)}] }`)
  if (suites.esp !== undefined && (children[0]?.esp.length ?? 0) > 1) {
    lines.push(`esp: { proposals: [${espName(suites.esp.proposal)}], esn: off }`)
  }
  return lines
}

/** Where the selectors take everything, those of the site are meant. */
export function ourNetworks({ children, networks }: PeerFacts): string {
  const selected = children.flatMap(({ ours }) => ours).filter((each) => each !== ANY && each !== '::/0')
  return [...new Set(selected.length === 0 ? networks : selected)].join(', ')
}

export function insideAdvice({ inside }: PeerFacts): string[] {
  return inside === undefined ? ['inside: [169.254.<x>.<y>/30]'] : []
}

export function needsAddress({ theirs }: PeerFacts, vendor: string): string[] {
  return theirs.address === undefined ? [`${vendor} has an address: give it as address of the peer.`] : []
}
