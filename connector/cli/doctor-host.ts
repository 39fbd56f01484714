/** What the doctor looks at: one small door to the machine, so that tests can hand in another. */
import { execFile } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs'

export interface DoctorHost {
  readonly platform: string
  readonly nodeVersion: string
  readonly uid: number | undefined
  /** Milliseconds since 1970. */
  readonly wallClock: number
  readText(path: string): string | undefined
  exists(path: string): boolean
  /** The error code of opening for reading and writing, or undefined when it opens. */
  openError(path: string): string | undefined
  /** First line of the output, or undefined when the program is missing or fails. */
  run(program: string, args: readonly string[]): Promise<string | undefined>
  /** The error code of binding a UDP port on all addresses, or undefined when it is free. */
  bindError(port: number): Promise<string | undefined>
  /** What is wrong with calling the C library, or undefined when all is well. */
  ffiError(): Promise<string | undefined>
}

export const systemHost: DoctorHost = {
  platform: process.platform,
  nodeVersion: process.versions.node,
  uid: process.getuid?.(),
  get wallClock() {
    return Date.now()
  },
  readText(path) {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return undefined
    }
  },
  exists: existsSync,
  openError(path) {
    try {
      closeSync(openSync(path, constants.O_RDWR))
      return undefined
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'unknown'
    }
  },
  run(program, args) {
    return new Promise((resolve) => {
      execFile(program, args, { timeout: 3_000 }, (error, stdout, stderr) => {
        resolve(error === null ? (stdout || stderr).split('\n')[0]! : undefined)
      })
    })
  },
  bindError(port) {
    return new Promise((resolve) => {
      const socket = createSocket({ type: 'udp4', reuseAddr: false })
      socket.once('error', (error: NodeJS.ErrnoException) => {
        socket.close()
        resolve(error.code ?? 'unknown')
      })
      socket.bind({ port, exclusive: true }, () => socket.close(() => resolve(undefined)))
    })
  },
  async ffiError() {
    try {
      const { libc } = await import('../io/ffi.ts')
      libc()
      return undefined
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  },
}
