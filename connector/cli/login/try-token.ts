/** Whether a control plane takes a token, and which network it is good for. */
import { z } from 'zod'
import { idSchema } from '../../../protocol/control/ids.ts'
import { problemSchema } from '../../../protocol/control/problem.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure } from '../command.ts'

const TIMEOUT_MS = 15_000
const networkSchema = z.object({ id: idSchema('network'), name: z.string() })
const pageSchema = z.object({ items: z.array(networkSchema) })

export interface Tried {
  /** Absent where the token is good for several, and none was named. */
  readonly network?: string
  /** For people. */
  readonly what: string
}

/** `wanted`: name or id. Rejects with a CommandFailure. */
export async function tryToken(url: string, token: string, wanted: string | undefined, io: CliIo): Promise<Tried> {
  const [, role = '', own] = token.match(/^ist_([a-z]+)_(?:([0-9a-z]{20})_)?/) ?? []
  const networks =
    role === 'admin'
      ? pageSchema.parse(await ask(url, '/v1/networks?limit=500', token, io)).items
      : [networkSchema.parse(await ask(url, `/v1/networks/net_${own}`, token, io))]
  const named = networks.find(({ id, name }) => wanted === id || wanted === name)
  if (wanted !== undefined && named === undefined) {
    const known = networks.map(({ name }) => name).join(', ')
    const remedy = known === '' ? 'there is none yet: isthmus network add makes one' : `this token knows: ${known}`
    throw new CommandFailure(`there is no network ${JSON.stringify(wanted)}`, remedy, EXIT.usage)
  }
  const chosen = named ?? (networks.length === 1 ? networks[0] : undefined)
  if (chosen !== undefined) return { network: chosen.id, what: `${role} of network ${chosen.name}` }
  return { what: networks.length === 0 ? `${role}, no network yet` : `${role} of ${networks.length} networks` }
}

async function ask(url: string, path: string, token: string, io: CliIo): Promise<unknown> {
  let status: number
  let text: string
  try {
    const headers = { Authorization: `Bearer ${token}`, Accept: 'application/json' }
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const response = await (io.fetch ?? fetch)(`${url}${path}`, { headers, signal, redirect: 'error' })
    status = response.status
    text = await response.text()
  } catch (error) {
    const { message, cause } = error as { message?: string; cause?: { code?: string } }
    const remedy = `check the address, and whether this machine reaches it: curl ${url}/healthz`
    throw new CommandFailure(`${url} cannot be reached (${cause?.code ?? message})`, remedy, EXIT.noControl)
  }
  const value = jsonOf(text)
  if (status === 200 && value !== undefined) return value
  const problem = problemSchema.safeParse(value)
  if (problem.success) {
    const { detail, title, remedy } = problem.data
    throw new CommandFailure(detail ?? title, remedy ?? 'look into the log of the control plane', EXIT.failed)
  }
  throw new CommandFailure(
    `${url} is no Isthmus control plane: it answered with HTTP status ${status}`,
    'check the address',
    EXIT.noControl,
  )
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
