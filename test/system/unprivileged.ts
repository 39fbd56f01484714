/** Programs as another user, with a few capabilities or none, as systemd and containers start them. */

export interface Rights {
  /** `CAP_` names; as with systemd's AmbientCapabilities, and no others can be had. */
  readonly ambient?: readonly string[]
  /** What a program's own capabilities may bring at most. */
  readonly bounding?: readonly string[]
  /** Containers let programs bring capabilities; the units do not (NoNewPrivileges). */
  readonly isContainer?: boolean
}

/** The command that runs `vector` so. */
export function withoutRoot(user: number, vector: readonly string[], rights: Rights): string[] {
  const { ambient = [], bounding = ambient, isContainer = false } = rights
  const words = [`--reuid=${user}`, `--regid=${user}`, '--clear-groups']
  if (!isContainer) words.push('--no-new-privs')
  words.push(`--inh-caps=${setOf(ambient)}`, `--ambient-caps=${setOf(ambient)}`, `--bounding-set=${setOf(bounding)}`)
  return ['setpriv', ...words, '--', ...vector]
}

function setOf(names: readonly string[]): string {
  return ['-all', ...names.map((name) => `+${name.replace(/^CAP_/, '').toLowerCase()}`)].join(',')
}

/** For `describe.skipIf(...)`: only root can be another user; with CI=true it throws instead. */
export function skipWithoutRoot(what: string): boolean {
  if (process.getuid?.() === 0) return false
  const message = `${what} needs root, to run as another user`
  if (process.env.CI === 'true') throw new Error(message)
  process.stderr.write(`skipped: ${message}\n`)
  return true
}
