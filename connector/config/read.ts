/** Reading a configuration file, and putting its faults into the order of the text. */
import type { ConfigFault, Finding } from './faults.ts'
import type { SecretSource } from './secret.ts'
import type { ConfigSource } from './source.ts'

/** The text of a file, or why there is none. `hint`: what to do where it is missing. */
export function readText(path: string, files: SecretSource, hint: string): string | ConfigFault {
  const fault = (message: string, remedy: string): ConfigFault => {
    return { file: path, line: 1, column: 1, path: '', message, remedy, kind: 'file' }
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(files.readFile(path))
  } catch (error) {
    const code = (error as { code?: unknown }).code
    if (code === 'ENOENT') return fault('there is no such file', hint)
    if (code === 'EACCES') return fault('it may not be read', 'run as a user who may read it')
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return fault('it is not UTF-8 text', 'save it as UTF-8')
    return fault(`it could not be read (${String(code ?? 'unknown')})`, 'name a plain file')
  }
}

/** One place per finding, in the order of the text; the same place and words once. */
export function placed(source: ConfigSource, findings: readonly Finding[]): ConfigFault[] {
  const seen = new Set<string>()
  return findings
    .map((finding) => source.place(finding))
    .sort((left, right) => left.line - right.line || left.column - right.column)
    .filter((fault) => {
      const key = `${fault.path}\0${fault.message}`
      return seen.has(key) ? false : seen.add(key)
    })
}
