/** The way to the cloud provider: for whom it is open, and what it says in our words. */
import { CloudFailure, type Seen, type Subject } from '../domain/cloud/provider.ts'
import type { CloudRecord } from '../domain/cloud/types.ts'
import type { Refusal } from '../domain/refusal.ts'
import { Later, type RefusalCode, refusal } from './refusals.ts'
import { mustGet } from './support.ts'
import type { CloudAccess, Context } from './types.ts'

/** How long one look, or one call that changes something, may take: less than a lease. */
export const CALL_MS = 40_000
const RETRY_SECONDS = 10

const CODES: Readonly<Record<CloudFailure['kind'], RefusalCode>> = {
  credentials: 'cloud-credentials',
  forbidden: 'cloud-forbidden',
  quota: 'cloud-quota',
  later: 'cloud-unavailable',
  unknown: 'cloud-unavailable',
  gone: 'cloud-refused',
  exists: 'cloud-refused',
  invalid: 'cloud-refused',
  'in-use': 'cloud-refused',
  unsupported: 'cloud-refused',
}

/** Undefined where the operator has not enabled it for the network. */
export async function accessOf(context: Context, network: string): Promise<CloudAccess | undefined> {
  const { clouds } = context
  if (clouds === undefined) return undefined
  const { value } = await mustGet(context, network, 'network', network)
  return clouds.allows(value) ? clouds : undefined
}

/** Refuses what would use the credentials of the installation for a network that may not. */
export async function mustBeEnabled(context: Context, network: string): Promise<CloudAccess> {
  const access = await accessOf(context, network)
  if (access === undefined) throw refusal('cloud-not-enabled', 'the control plane may not call AWS for this network')
  return access
}

export function subjectOf({ id, region, target, resources }: CloudRecord, network: string): Subject {
  const known = new Set(resources.flatMap((each) => each.id.split('/')[0] ?? []))
  return { cloud: id, network, region, target, known: [...known] }
}

/** What there is of each, by its connection; where a region did not answer, why. */
export async function lookAt(
  context: Pick<Context, 'log'>,
  { provider }: CloudAccess,
  subjects: readonly Subject[],
): Promise<Map<string, Seen | CloudFailure>> {
  const found = new Map<string, Seen | CloudFailure>()
  const groups = Map.groupBy(subjects, ({ region }) => region)
  await Promise.all(
    [...groups].map(async ([region, own]) => {
      const seen = await within(context, `a look at ${region}`, 'later', () => provider.look(own))
      for (const [index, { cloud }] of own.entries()) {
        found.set(cloud, seen instanceof CloudFailure ? seen : seen[index]!)
      }
    }),
  )
  return found
}

/** What the call came to, or its failure; one of another kind, or none in time, counts as `otherwise`. */
export async function within<T>(
  { log }: Pick<Context, 'log'>,
  what: string,
  otherwise: 'later' | 'unknown',
  call: () => Promise<T>,
): Promise<T | CloudFailure> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<CloudFailure>((resolve) => {
    const cause = `AWS did not answer within ${CALL_MS / 1000} s.`
    const failure = () => new CloudFailure(otherwise, 'Timeout', cause, 'Nothing: it is tried again.')
    timer = setTimeout(() => resolve(failure()), CALL_MS)
  })
  try {
    return await Promise.race([call(), late])
  } catch (error) {
    if (error instanceof CloudFailure) return error
    // Its text may quote what it was given.
    log.error({ what, error: error instanceof Error ? error.name : 'unknown' }, 'a call at the cloud broke down')
    return new CloudFailure(otherwise, 'Internal', 'The call broke down on our side.', 'Look at the log.')
  } finally {
    clearTimeout(timer)
  }
}

export function refusalOfFailure({ kind, code, message, remedy, iamAction }: CloudFailure): Refusal {
  const told = CODES[kind]
  const missing = iamAction === undefined || message.includes(iamAction) ? '' : ` (it needs ${iamAction})`
  const detail = `${code}: ${message}${missing}`.slice(0, 1024)
  if (told === 'cloud-unavailable') return new Later(told, detail, RETRY_SECONDS)
  return refusal(told, detail, { remedy })
}
