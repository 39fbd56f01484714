/** `isthmus control admin-token`. */
import { newAdminToken } from '../../../control/entry/node-admin.ts'
import { EXIT } from '../../handle.ts'
import type { CliIo, CommandInput } from '../command.ts'
import { asFailure, storePlace } from './settings.ts'

export async function printAdminToken(input: CommandInput, io: CliIo): Promise<number> {
  const token = await newAdminToken(storePlace(input, io)).catch((error: unknown) => {
    throw asFailure(error)
  })
  io.stdout(`${token}\n`)
  io.stderr('It holds when the control plane has started anew. What next: isthmus login <url>\n')
  return EXIT.ok
}
