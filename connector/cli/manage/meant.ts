/** Before something is changed that one would regret. */
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput } from '../command.ts'
import { askOf } from './access.ts'

/** Asks where there is somebody to answer; rejects where that is not so, or they say no. `again`: the verb with its arguments. */
export async function mustBeMeant(input: CommandInput, io: CliIo, again: string): Promise<void> {
  if (input.options.yes === true) return
  const ask = input.options.json === true ? undefined : askOf(io)
  if (ask === undefined) {
    throw new CommandFailure('nothing was changed yet', `if that is meant: isthmus ${again} --yes`, EXIT.usage)
  }
  if (await ask('Go on? ')) return
  throw new CommandFailure('nothing was changed', `run isthmus ${again} again when it is time`, EXIT.failed)
}
