/** What the tests of the configuration share: files in memory, and the loader with its faults as text. */
import { formatFault, loadConfig } from '../config.ts'
import type { SecretSource } from './secret.ts'

export const SIMPLE = `site: hq
address: 192.0.2.1            # our outer address
networks: [10.1.0.0/16]
peers:
  branch:
    address: 198.51.100.7
    networks: [10.2.0.0/16]
    secret: { file: /etc/isthmus/branch.key }
`
export const SECRET = 'correct horse battery staple'

export function files(contents: Record<string, string>, code = 'ENOENT'): SecretSource {
  const all: Record<string, string> = {
    '/etc/isthmus/branch.key': `${SECRET}\n`,
    '/site/k': `${SECRET}\n`,
    ...contents,
  }
  return {
    readFile: (path) => {
      const content = all[path]
      if (content === undefined) throw Object.assign(new Error(code), { code })
      return new TextEncoder().encode(content)
    },
    fileMode: () => 0o100600,
    env: { BRANCH: SECRET },
  }
}

/** Relative paths start at /site, as the name in the faults is short. */
export function load(text: string, contents: Record<string, string> = {}) {
  const before = process.cwd
  process.cwd = () => '/site'
  try {
    return loadConfig('isthmus.yaml', files({ 'isthmus.yaml': text, ...contents }))
  } finally {
    process.cwd = before
  }
}

export function loaded(text: string, contents: Record<string, string> = {}) {
  const result = load(text, contents)
  if ('faults' in result) throw new Error(result.faults.map(formatFault).join('\n'))
  return result
}

export function faultsOf(result: ReturnType<typeof loadConfig>) {
  return 'faults' in result ? result.faults : []
}

export function faultTexts(text: string): string[] {
  return faultsOf(load(text)).map(formatFault)
}
