/** What is wanted of a network, from a file: every fault with its place, before anything is asked of the control plane. */
import type { IntentDraft } from '../../../protocol/control/generated/api-client.ts'
import { intentDraftSchema } from '../../../protocol/control/intent.ts'
import { formatFault } from '../../config/faults.ts'
import { readSource } from '../../config/source.ts'
import type { CliIo } from '../command.ts'
import { faulty, MAX_CHARACTERS, parsedJson, schemaFaults, textOf } from './document-file.ts'

const REMEDY = 'isthmus network export shows what it looks like, docs/intents.md tells what may be in it'

/**
 * YAML or JSON; `-` is standard input. Prints all faults; throws a CommandFailure when there are any. What it gives is
 * as it was written, without defaults.
 */
export function readIntentFile(path: string, io: Pick<CliIo, 'stderr'>): IntentDraft {
  const text = textOf(path)
  const plain = parsedJson(text)
  if (plain !== undefined && intentDraftSchema.safeParse(plain).success) return plain as IntentDraft
  const source = readSource(path, text, MAX_CHARACTERS)
  const faults = source.faults.length > 0 ? source.faults : schemaFaults(source, intentDraftSchema, 'docs/intents.md')
  if (faults.length > 0) throw faulty(path, faults.map(formatFault), REMEDY, io)
  return source.value as IntentDraft
}
