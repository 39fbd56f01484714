/** What a managed connector needs to begin with, and how it says that it is not there. */
import type { ConnectorDocument } from '../../../protocol/control/document.ts'
import type { Prefix } from '../../../protocol/net.ts'
import { EXIT, StartFailure } from '../../handle.ts'
import { type Enrollment, writeEnrollment } from '../../store/enrollment.ts'

/** What the site's people said; else, from the first start on, the prefixes that the site has then. */
export function ownedHere(
  directory: string,
  enrollment: Enrollment,
  document: ConnectorDocument | undefined,
): Prefix[] {
  if (enrollment.owns !== undefined) return enrollment.owns as Prefix[]
  if (document === undefined) return []
  const owns = document.site.prefixes
  writeEnrollment(directory, { ...enrollment, owns })
  return owns as Prefix[]
}

export function noDocument(directory: string): StartFailure {
  return new StartFailure(
    'state-unreadable',
    `${directory} belongs to a network, but what the control plane wants of this machine is not there.`,
    'Bring managed.json back from a backup, or leave the network with "isthmus leave" and join it again with a new token.',
    EXIT.unreadableFile,
  )
}
