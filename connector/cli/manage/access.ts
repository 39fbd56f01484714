/** From the command line to a client, and to the network that a verb is about. */

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Network } from '../../../protocol/control/generated/api-client.ts'
import { idSchema } from '../../../protocol/control/ids.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput } from '../command.ts'
import { controlUrl } from '../login.ts'
import { Api } from './api.ts'
import { type Access, accessOf } from './credentials.ts'

/** What most verbs begin with. */
export interface Place {
  readonly api: Api
  readonly network: Network
  /** Of every operation within the network. */
  readonly params: { readonly network: string }
}

/** Throws a CommandFailure where it is not known where to, or as whom. */
export function openApi(input: CommandInput, io: CliIo): { api: Api; access: Access } {
  const access = accessOf(input, io)
  const api = new Api({
    url: controlUrl(access.url),
    token: access.token,
    fetch: io.fetch ?? ((url, init) => fetch(url, init)),
    pause: (ms) => pauseOf(io)(ms),
    freshKey: randomUUID,
  })
  return { api, access }
}

/** The network that is named, else the one of the token, else the only one. Rejects where that leaves a choice. */
export async function openNetwork(input: CommandInput, io: CliIo): Promise<Place> {
  const { api, access } = openApi(input, io)
  const found = await findNetwork(api, access)
  if ('network' in found) return placeOf(api, found.network)
  const { names, wanted } = found
  if (names.length === 0) {
    throw new CommandFailure('there is no network yet', 'make one: isthmus network add <name>', EXIT.failed)
  }
  const cause = wanted === undefined ? `there are ${names.length} networks` : `there is no network ${wanted}`
  throw new CommandFailure(cause, `name one with --network: ${names.join(', ')}`, EXIT.usage)
}

/** Like `openNetwork`; makes the first network where there is none at all. */
export async function openOrMakeNetwork(input: CommandInput, io: CliIo): Promise<Place & { readonly made: boolean }> {
  const { api, access } = openApi(input, io)
  const found = await findNetwork(api, access)
  if ('network' in found || found.names.length > 0) return { ...(await openNetwork(input, io)), made: false }
  const { value } = await api.call('networks.create', { body: { name: found.wanted ?? FIRST_NETWORK } })
  return { ...placeOf(api, value), made: true }
}

/** What the first network is called where nobody gave it a name. */
export const FIRST_NETWORK = 'main'

export function placeOf(api: Api, network: Network): Place {
  return { api, network, params: { network: network.id } }
}

export function nowOf(io: CliIo): number {
  return (io.now ?? Date.now)()
}

export function pauseOf(io: CliIo): NonNullable<CliIo['pause']> {
  return io.pause ?? pause
}

/** Asks the person at the terminal; undefined where there is none. */
export function askOf(io: CliIo): CliIo['ask'] {
  if (io.ask !== undefined) return io.ask
  return io.isTty && process.stdin.isTTY === true ? ask : undefined
}

async function ask(question: string): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question}[y/N] `)).trim())
  } finally {
    terminal.close()
  }
}

/** Ends early, and well, by `signal`. */
async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => {})
}

type Found = { readonly network: Network } | { readonly names: readonly string[]; readonly wanted: string | undefined }

async function findNetwork(api: Api, { network: wanted, token }: Access): Promise<Found> {
  const own = networkOfToken(token)
  if (own !== undefined) return ofScopedToken(api, own, wanted)
  if (wanted !== undefined && idSchema('network').safeParse(wanted).success) {
    return { network: await api.value('networks.get', { params: { network: wanted } }) }
  }
  const networks = await api.all('networks.list', {})
  const chosen = wanted === undefined ? networks : networks.filter(({ name }) => name === wanted)
  const [network] = chosen
  return network !== undefined && chosen.length === 1
    ? { network }
    : { names: networks.map(({ name }) => name), wanted }
}

/** A token other than the admin's is of one network, and its text tells which. */
async function ofScopedToken(api: Api, own: string, wanted: string | undefined): Promise<Found> {
  const network = await api.value('networks.get', { params: { network: own } })
  if (wanted !== undefined && wanted !== own && wanted !== network.name) {
    const remedy = `leave --network out, or use a token of ${wanted}`
    throw new CommandFailure(`the token is of the network ${network.name}, not of ${wanted}`, remedy, EXIT.permission)
  }
  return { network }
}

function networkOfToken(token: string): string | undefined {
  const match = /^ist_[a-z]+_([0-9a-z]{20})_[0-9a-z]{20}_/.exec(token)
  return match === null ? undefined : `net_${match[1]}`
}
