/** Secrets from the keyboard, which are not shown, or from standard input. */
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure } from '../command.ts'

const MAX_BYTES = 4096

/** Standard input must be a terminal. Rejects with a CommandFailure at Ctrl-C. */
export async function askHidden(question: string, io: CliIo): Promise<string> {
  const { stdin } = process
  io.stderr(question)
  stdin.setRawMode(true)
  let text = ''
  try {
    for await (const chunk of stdin.setEncoding('utf8')) {
      for (const key of String(chunk)) {
        if (key === '\r' || key === '\n' || key === '\u0004') return text.trim()
        if (key === '\u0003') throw new CommandFailure('interrupted', 'begin again; nothing was kept', EXIT.failed)
        if (key === '\u007f' || key === '\b') text = text.slice(0, -1)
        else if (text.length < MAX_BYTES) text += key
      }
    }
    return text.trim()
  } finally {
    stdin.setRawMode(false)
    stdin.pause()
    io.stderr('\n')
  }
}

export async function readStandardInput(): Promise<string> {
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk
    if (text.length > MAX_BYTES) break
  }
  return text.trim()
}
