/** Connections to clouds as a file wants them, and prices: every fault with its place, those too that the API finds. */
import { z } from 'zod'
import { cloudDraftSchema, priceSchema } from '../../../protocol/control/cloud.ts'
import type { CloudDraft, CloudPrices } from '../../../protocol/control/generated/api-client.ts'
import { type ConfigFault, formatFault } from '../../config/faults.ts'
import { type ConfigSource, readSource, readSources } from '../../config/source.ts'
import type { CliIo } from '../command.ts'
import { faulty, MAX_CHARACTERS, schemaFaults, textOf } from './document-file.ts'
import { ApiFailure } from './transport.ts'

const PAGE = 'docs/aws.md'
const REMEDY = `${PAGE} shows what it looks like`
/** Connections of one file. */
const MOST_DRAFTS = 1_000

export interface WantedCloud {
  /** As it was written, without defaults. */
  readonly draft: CloudDraft
  /** Where the API refused the draft: its faults with their places in the file; none where it says something else. */
  faults(error: unknown): readonly ConfigFault[]
}

/** One or more documents, divided by `---`, each one connection or a list. Throws a CommandFailure with all faults. */
export function readCloudFile(path: string, io: Pick<CliIo, 'stderr'>): readonly WantedCloud[] {
  const sources = readSources(path, textOf(path), MAX_CHARACTERS)
  const faults = sources.flatMap((source) => (source.faults.length > 0 ? source.faults : faultsOf(source)))
  if (faults.length === 0) {
    const wanted = sources.flatMap(wantedOf)
    const twice = repeated(wanted)
    if (wanted.length > 0 && twice.length === 0) return wanted.map(({ entry }) => entry)
    faults.push(...twice)
  }
  throw faulty(path, faults.map(formatFault), REMEDY, io)
}

/** Prints what the API has refused of the drafts, by its place in the file. Throws a CommandFailure. */
export function refuseFile(path: string, faults: readonly ConfigFault[], io: Pick<CliIo, 'stderr'>): never {
  throw faulty(path, faults.map(formatFault), REMEDY, io)
}

/** Prices that a person has written down; the defaults of the control plane where there is no file. */
export function readPrices(path: string | undefined, io: Pick<CliIo, 'stderr'>): CloudPrices | undefined {
  if (path === undefined) return undefined
  const source = readSource(path, textOf(path), MAX_CHARACTERS)
  const faults = source.faults.length > 0 ? source.faults : schemaFaults(source, priceSchema, PAGE)
  if (faults.length > 0) throw faulty(path, faults.map(formatFault), REMEDY, io)
  return (source.value ?? {}) as CloudPrices
}

function faultsOf(source: ConfigSource): ConfigFault[] {
  const schema = Array.isArray(source.value) ? z.array(cloudDraftSchema).min(1).max(MOST_DRAFTS) : cloudDraftSchema
  return schemaFaults(source, schema, PAGE)
}

interface Placed {
  readonly entry: WantedCloud
  place(path: readonly (string | number)[], message: string, remedy: string): ConfigFault
}

function wantedOf(source: ConfigSource): Placed[] {
  const isList = Array.isArray(source.value)
  const drafts = (isList ? source.value : [source.value]) as CloudDraft[]
  return drafts.map((draft, index) => {
    const place: Placed['place'] = (path, message, remedy) => {
      return source.place({ path: isList ? [index, ...path] : path, message, remedy })
    }
    const faults = (error: unknown) => {
      const told = error instanceof ApiFailure ? error.errors : []
      return told.map(({ pointer, detail }) => place(pathOf(pointer), detail.replace(/\.$/, ''), `see ${PAGE}`))
    }
    return { entry: { draft, faults }, place }
  })
}

function repeated(wanted: readonly Placed[]): ConfigFault[] {
  const seen = new Set<string>()
  return wanted.flatMap(({ entry: { draft }, place }) => {
    if (!seen.has(draft.name)) {
      seen.add(draft.name)
      return []
    }
    return [place(['name'], `${draft.name} is there twice`, 'give each connection a name of its own')]
  })
}

/** RFC 6901, as path in the draft: the body of a plan has it under `draft`. */
function pathOf(pointer: string): (string | number)[] {
  const parts = pointer.split('/').slice(1)
  const within = parts[0] === 'draft' ? parts.slice(1) : parts
  return within.map((part) => (/^\d+$/.test(part) ? Number(part) : part.replaceAll('~1', '/').replaceAll('~0', '~')))
}
