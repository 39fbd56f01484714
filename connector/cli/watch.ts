/** `--watch`: the same again and again, until Ctrl-C. */
import type { CliIo, CommandInput, CommandOption } from './command.ts'
import { numberOption } from './options.ts'

export const WATCH_OPTIONS: readonly CommandOption[] = [
  { flags: '-w, --watch', description: 'refresh until Ctrl-C' },
  { flags: '--interval <seconds>', description: 'time between two refreshes with --watch', default: '1' },
]

export interface Watched<Document> {
  read(): Promise<Document>
  render(document: Document, io: CliIo): string | Promise<string>
  exitCode(document: Document): number
}

/** Once, or with `--watch` until Ctrl-C or the end of the connector. With `--json` a document; one line each with `--watch`. */
export async function show<Document>(watched: Watched<Document>, input: CommandInput, io: CliIo): Promise<number> {
  if (input.options.watch === true) return watch(watched, input, io)
  const document = await watched.read()
  await print(watched, document, input, io)
  return watched.exitCode(document)
}

async function watch<Document>(watched: Watched<Document>, input: CommandInput, io: CliIo): Promise<number> {
  const intervalMs = numberOption(input, 'interval', { min: 0.1, max: 3600, fallback: 1 }) * 1000
  const interrupted = new AbortController()
  const onSignal = () => interrupted.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    for (;;) {
      const document = await watched.read()
      await print(watched, document, input, io)
      await pause(intervalMs, interrupted.signal)
      if (interrupted.signal.aborted) return watched.exitCode(document)
    }
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

async function print<Document>(
  watched: Watched<Document>,
  document: Document,
  input: CommandInput,
  io: CliIo,
): Promise<void> {
  if (input.options.json === true) {
    io.stdout(`${JSON.stringify(document, null, input.options.watch === true ? 0 : 2)}\n`)
    return
  }
  const text = `${await watched.render(document, io)}\n`
  io.stdout(input.options.watch === true && io.isTty ? `\x1b[H\x1b[2J${text}` : text)
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
