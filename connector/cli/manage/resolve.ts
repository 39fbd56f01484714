/** Resources by the names that people give them, or by their identifiers. */

import type {
  Cloud,
  Connector,
  Function as FunctionInfo,
  Policy,
  Site,
  Tunnel,
} from '../../../protocol/control/generated/api-client.ts'
import { ID_PREFIX, type IdKind, idSchema } from '../../../protocol/control/ids.ts'
import { EXIT } from '../../handle.ts'
import { CommandFailure } from '../command.ts'
import type { Place } from './access.ts'

/** Rejects with a CommandFailure that names what there is. */
export async function siteBy(place: Place, text: string): Promise<Site> {
  return pick('site', text, await place.api.all('sites.list', { params: place.params }))
}

export async function tunnelBy(place: Place, text: string): Promise<Tunnel> {
  return pick('tunnel', text, await place.api.all('tunnels.list', { params: place.params }))
}

export async function policyBy(place: Place, text: string): Promise<Policy> {
  return pick('policy', text, await place.api.all('policies.list', { params: place.params }))
}

export async function cloudBy(place: Place, text: string): Promise<Cloud> {
  return pick('cloud', text, await place.api.all('clouds.list', { params: place.params }))
}

/** Of several with one name, the one that is not revoked. */
export async function connectorBy(place: Place, text: string): Promise<Connector> {
  const { api, params } = place
  if (isIdOf('connector', text)) return api.value('connectors.get', { params: { ...params, connector: text } })
  const all = await api.all('connectors.list', { params })
  const live = all.filter(({ revokedAt }) => revokedAt === undefined)
  return pick('connector', text, live.length === 0 ? all : live)
}

/** Of several with one name, the one that is not revoked. */
export async function functionBy(place: Place, text: string): Promise<FunctionInfo> {
  const { api, params } = place
  if (isIdOf('function', text)) return api.value('functions.get', { params: { ...params, function: text } })
  const all = await api.all('functions.list', { params })
  return pick(
    'function',
    text,
    all.filter(({ revokedAt }) => revokedAt === undefined),
  )
}

/** By identifier. */
export async function siteNames({ api, params }: Place): Promise<ReadonlyMap<string, string>> {
  return new Map((await api.all('sites.list', { params })).map(({ id, name }) => [id, name]))
}

/** The one of `items` that `text` means. */
export function pick<T extends { id: string; name: string }>(kind: IdKind, text: string, items: readonly T[]): T {
  const byId = idSchema(kind).safeParse(text).success
  const found = items.find((item) => (byId ? item.id : item.name) === text)
  if (found !== undefined) return found
  const names = items.map(({ name }) => name)
  const known = names.length === 0 ? `there is no ${kind} at all` : `there are: ${some(names)}`
  throw new CommandFailure(`there is no ${kind} ${JSON.stringify(text)}`, known, EXIT.failed)
}

export function isIdOf(kind: IdKind, text: string): boolean {
  return text.startsWith(`${ID_PREFIX[kind]}_`)
}

function some(names: readonly string[]): string {
  return names.length <= 12 ? names.join(', ') : `${names.slice(0, 12).join(', ')} and ${names.length - 12} more`
}
