/** What is to be entered at a vendor's end, as a document: sections of fields, what to mind, what does not fit. */
import type { EspProposal, IkeProposal } from '../../core/ike/types.ts'
import type { PeerFacts } from './facts.ts'
import { isText, secretText } from './secret-text.ts'

export interface Field {
  /** In the vendor's words. */
  readonly label: string
  readonly value: string
}

export interface Section {
  readonly title: string
  readonly fields: readonly Field[]
}

export interface Preset {
  readonly sections: readonly Section[]
  /** A file of the vendor's, in place of sections or beside them, with where it goes. */
  readonly file?: { readonly path: string; readonly text: string }
  /** Lines for the peer's section of `isthmus.yaml`, where it does not say so yet. */
  readonly yaml: readonly string[]
  /** What this vendor does not do, or does in its own way. */
  readonly notes: readonly string[]
  /** What cannot work as `isthmus.yaml` is now. */
  readonly faults: readonly string[]
}

/** What a vendor has of suites, in its own words. Undefined: it has none of that. */
export interface Words {
  readonly ike: { encryption(name: IkeProposal['encryption']): string | undefined }
  readonly esp: { encryption(name: EspProposal['encryption']): string | undefined }
  prf(name: IkeProposal['prf']): string | undefined
  group(name: IkeProposal['group']): string | undefined
  /** PFS; the same as `group` where absent. */
  pfs?(name: IkeProposal['group']): string | undefined
}

export interface IkeWords {
  readonly proposal: IkeProposal
  readonly encryption: string
  readonly prf: string
  readonly group: string
}

export interface EspWords {
  readonly proposal: EspProposal
  readonly encryption: string
  /** Absent: no PFS. */
  readonly group?: string
}

export interface Agreed {
  readonly ike?: IkeWords
  readonly esp?: EspWords
  /** Of what is not there. */
  readonly faults: readonly string[]
}

/** The first suites of ours that the vendor has; AEADs alone, for our ESP has nothing else. */
export function agreed({ ike, children, name }: PeerFacts, words: Words, advice: string): Agreed {
  const ikeWords = first(ike, (proposal) => {
    const encryption = proposal.integrity === undefined ? words.ike.encryption(proposal.encryption) : undefined
    const prf = words.prf(proposal.prf)
    const group = words.group(proposal.group)
    if (encryption === undefined || prf === undefined || group === undefined) return undefined
    return { proposal, encryption, prf, group }
  })
  const pfs = (group: IkeProposal['group']) => (words.pfs ?? words.group)(group)
  const espWords = first(children[0]?.esp ?? [], (proposal): EspWords | undefined => {
    const encryption = words.esp.encryption(proposal.encryption)
    if (encryption === undefined || proposal.esn) return undefined
    if (proposal.group === undefined) return { proposal, encryption }
    const group = pfs(proposal.group)
    return group === undefined ? undefined : { proposal, encryption, group }
  })
  const missing = [...(ikeWords === undefined ? ['ike'] : []), ...(espWords === undefined ? ['esp'] : [])]
  return {
    ...(ikeWords === undefined ? {} : { ike: ikeWords }),
    ...(espWords === undefined ? {} : { esp: espWords }),
    faults: missing.map((what) => `It has none of the suites that ${what} of ${name} names without ESN; ${advice}.`),
  }
}

function first<T, R>(items: readonly T[], of: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = of(item)
    if (found !== undefined) return found
  }
  return undefined
}

export function ikeName({ encryption, integrity, prf, group }: IkeProposal): string {
  return [encryption, integrity, prf, group].filter((part) => part !== undefined).join('-')
}

export function espName({ encryption, group }: EspProposal): string {
  return group === undefined ? encryption : `${encryption}-${group}`
}

/** The key's field; `takes`: whether the vendor takes this text, and its rule in words. */
export function secretField(
  facts: PeerFacts,
  label: string,
  rule: string,
  takes: (text: string) => boolean,
): { field: Field; faults: readonly string[] } {
  if (facts.secret === undefined) {
    return { field: { label, value: `the key of ${facts.name} (${rule}); --show-secret prints it` }, faults: [] }
  }
  const text = secretText(facts.secret)
  const fits = isText(facts.secret) && takes(text)
  const fault = `It does not take this key (${rule}): write another one into both ends.`
  return { field: { label, value: text }, faults: fits ? [] : [fault] }
}

export function fields(...entries: readonly (readonly [string, string | undefined])[]): Field[] {
  return entries.flatMap(([label, value]) => (value === undefined ? [] : [{ label, value }]))
}

export function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)]
}
