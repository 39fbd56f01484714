/** Composition root: the terminal, the verbs, the exit code. `bin/isthmus.cjs` starts it with a Node.js that fits. */
import { realpathSync } from 'node:fs'
import type { CliIo } from './cli/command.ts'
import { runCli } from './cli/run.ts'
import { accountBuffersWithHeap } from './io/heap.ts'

/** Runs the verb that the command line names and sets the exit code. */
export async function main(words: readonly string[] = process.argv.slice(2)): Promise<void> {
  // A reader that has enough, such as head, is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  accountBuffersWithHeap()
  const code = await runCli(words, terminal())
  process.exitCode = process.exitCode || code
}

function terminal(): CliIo {
  const { env, stdout, stderr } = process
  const isTty = stdout.isTTY === true
  const forced = env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== '' && env.FORCE_COLOR !== '0'
  const refused = env.NO_COLOR !== undefined && env.NO_COLOR !== ''
  return {
    stdout: (text) => {
      stdout.write(text)
    },
    stderr: (text) => {
      stderr.write(text)
    },
    env,
    isTty,
    get columns() {
      return stdout.columns || 100
    },
    color: !refused && env.TERM !== 'dumb' && (isTty || forced),
  }
}

function isStartedDirectly(): boolean {
  const started = process.argv[1]
  try {
    return started !== undefined && realpathSync(started) === import.meta.filename
  } catch {
    return false
  }
}

if (isStartedDirectly()) await main()
