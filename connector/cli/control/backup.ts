/** `isthmus control backup` and `restore`. */
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { backupStore, restoreStore } from '../../../control/entry/node-backup.ts'
import { EXIT } from '../../handle.ts'
import { type CliIo, CommandFailure, type CommandInput } from '../command.ts'
import { asFailure, storePlace } from './settings.ts'

const CHUNK_BYTES = 1 << 20

export async function writeBackup(input: CommandInput, io: CliIo): Promise<number> {
  const path = input.args[0]!
  const lines = backupStore(storePlace(input, io))
  try {
    if (path === '-') for await (const line of lines) io.stdout(`${line}\n`)
    else await writeNew(path, lines)
  } catch (error) {
    throw asFailure(error)
  }
  if (path !== '-') io.stderr(`Written: ${path}. Keep the key-encryption keys too, at another place.\n`)
  return EXIT.ok
}

export async function readBackup(input: CommandInput, io: CliIo): Promise<number> {
  const path = input.args[0]!
  const file = path === '-' ? undefined : await openOld(path)
  try {
    const chunks = file?.createReadStream({ encoding: 'utf8' }) ?? process.stdin.setEncoding('utf8')
    const { networks, rows, events } = await restoreStore(storePlace(input, io), chunks)
    io.stderr(`Restored: ${networks} networks, ${rows} rows, ${events} audit events, all of them verified.\n`)
    return EXIT.ok
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === 'read' ? unusable(path, error) : asFailure(error)
  } finally {
    await file?.close()
  }
}

async function openOld(path: string): Promise<FileHandle> {
  try {
    return await open(path)
  } catch (error) {
    throw unusable(path, error)
  }
}

/** A file that is whole, or none. */
async function writeNew(path: string, lines: AsyncIterable<string>): Promise<void> {
  const file = openNew(path)
  try {
    let waiting: string[] = []
    let bytes = 0
    const flush = () => {
      writeAll(file, Buffer.from(waiting.join('')))
      waiting = []
      bytes = 0
    }
    for await (const line of lines) {
      waiting.push(line, '\n')
      bytes += line.length
      if (bytes >= CHUNK_BYTES) flush()
    }
    flush()
    fsyncSync(file)
  } catch (error) {
    rmSync(path, { force: true })
    throw (error as NodeJS.ErrnoException).syscall === 'write' ? unusable(path, error) : error
  } finally {
    closeSync(file)
  }
}

function writeAll(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
}

function openNew(path: string): number {
  try {
    return openSync(path, 'wx', 0o600)
  } catch (error) {
    throw unusable(path, error)
  }
}

function unusable(path: string, error: unknown): CommandFailure {
  const { code = String(error) } = error as NodeJS.ErrnoException
  const exists = code === 'EEXIST'
  return new CommandFailure(
    exists ? `${path} is there already` : `${path} cannot be used (${code})`,
    exists
      ? 'choose another name: a backup replaces nothing'
      : 'name a file that this user may use, on a disk with room',
    EXIT.unreadableFile,
  )
}
