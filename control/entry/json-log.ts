/** The log where the platform collects what is written to the console: one JSON line each. */
import type { Log } from '../service/types.ts'

type Level = 'info' | 'warn' | 'error'

export function jsonLog(write: (line: string) => void, now: () => number): Log {
  const at = (level: Level) => (fields: Readonly<Record<string, unknown>>, message: string) =>
    write(JSON.stringify({ level, time: now(), ...fields, msg: message }))
  return { info: at('info'), warn: at('warn'), error: at('error') }
}
