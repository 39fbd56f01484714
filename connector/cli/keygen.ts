import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { EXIT } from '../handle.ts'
import { type Command, CommandFailure } from './command.ts'
import { numberOption } from './options.ts'

export const keygen: Command = {
  name: 'keygen',
  summary: 'make a pre-shared key in a file of mode 0600',
  description:
    'Writes a random key to a new file that only its owner may read, and says how to hand it to the peer. An existing file is never overwritten, and the key is never printed. Its characters are letters and digits, which every gateway and cloud console takes.',
  arguments: [{ name: '[file]', description: 'where to write it; ./isthmus.key when left out' }],
  options: [{ flags: '--length <characters>', description: '20 to 64 characters, almost 6 bits each', default: '43' }],
  examples: [
    { command: 'isthmus keygen /etc/isthmus/branch.key', what: 'a key of 256 bits' },
    { command: 'isthmus keygen aws.key --length 32', what: 'a shorter one, of 190 bits' },
  ],
  exits: ['permission'],
  async action(input, io) {
    const path = resolve(input.args[0] ?? 'isthmus.key')
    const length = Math.floor(numberOption(input, 'length', { min: 20, max: 64, fallback: 43 }))
    try {
      writeFileSync(path, `${randomText(length)}\n`, { mode: 0o600, flag: 'wx' })
    } catch (error) {
      throw explain(path, error)
    }
    io.stdout(`A new key of ${length} characters is in ${path} (mode 0600).\n`)
    io.stdout('Next:\n')
    io.stdout(`  1. In isthmus.yaml, at the peer:  secret: { file: ${path} }\n`)
    io.stdout(`  2. Give the peer the same key over a channel that you trust, for example:  scp ${path} peer:\n`)
    io.stdout('  3. isthmus check\n')
    return EXIT.ok
  },
}

/** Each of 62 characters equally likely; the first is a letter, as AWS allows no leading zero. */
export function randomText(length: number, random: (size: number) => Uint8Array = randomBytes): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
  const all = `${letters}0123456789`
  let text = ''
  while (text.length < length) {
    const alphabet = text === '' ? letters : all
    const limit = 256 - (256 % alphabet.length)
    for (const byte of random(1)) if (byte < limit) text += alphabet[byte % alphabet.length]
  }
  return text
}

function explain(path: string, error: unknown): Error {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'EEXIST') {
    return new CommandFailure(
      `${path} exists already`,
      'name another file, or move this one away if no peer uses it',
      EXIT.failed,
    )
  }
  if (code === 'ENOENT') {
    return new CommandFailure(`the directory of ${path} does not exist`, 'make it first, with mode 0700', EXIT.failed)
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new CommandFailure(
      `${path} may not be written (${code})`,
      'name a file in a directory of yours, or run as root',
      EXIT.permission,
    )
  }
  return new CommandFailure(`${path} could not be written (${code ?? 'unknown'})`, 'name another file', EXIT.failed)
}
