/** Enrollment: the identity is made here, the token spent, and what came of it put on disk. */
import { emptyState } from '../../core/managed/state.ts'
import { EXIT, StartFailure } from '../../handle.ts'
import { type Enrollment, openIdentity, writeEnrollment, writeManagedState } from '../../store/enrollment.ts'
import { ControlFailure, requestJoin } from './control-client.ts'
import { sha256, signPayload } from './signatures.ts'

export interface JoinOptions {
  readonly url: string
  readonly token: string
  readonly directory: string
  readonly software: string
  /** Our own addresses, by which the control plane finds out whether there is a NAT in between. */
  readonly addresses: readonly string[]
  readonly name?: string
  /** What this site owns; absent: the prefixes that it has now. */
  readonly owns?: readonly string[]
  /** To be used in place of the one that leads to the control plane. */
  readonly address?: string
}

/** Rejects with a StartFailure, and nothing but the identity is on disk then. */
export async function joinNetwork(options: JoinOptions): Promise<Enrollment> {
  const { url, token, directory, software, name, address } = options
  const identity = openIdentity(directory)
  const proof = await signPayload(identity, { use: 'isthmus-join', token: sha256(token), iat: Date.now() })
  const addresses = address === undefined ? [...options.addresses] : [address, ...options.addresses].slice(0, 16)
  const request = { token, publicKey: identity.publicKey, addresses, software, proof }
  const answer = await requestJoin(url, name === undefined ? request : { ...request, name }).catch((error: unknown) => {
    throw error instanceof ControlFailure ? refusal(error) : error
  })
  const enrollment: Enrollment = {
    format: 1,
    url,
    network: answer.network,
    connector: answer.connector,
    site: answer.site,
    ...(address === undefined ? {} : { address }),
    owns: [...(options.owns ?? answer.document.site.prefixes)],
  }
  // The enrollment last: with it alone there would be nothing to run on.
  writeManagedState(directory, { ...emptyState(), document: answer.document })
  writeEnrollment(directory, enrollment)
  return enrollment
}

function refusal({ code, message, remedy }: ControlFailure): StartFailure {
  return new StartFailure(code, message, remedy, EXIT.failed)
}
