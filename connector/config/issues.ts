/** What zod found, in sentences with a remedy and never with a secret. */
import type { z } from 'zod'
import { type ConfigPath, type Finding, nearest } from './faults.ts'
import { valueAt } from './raw.ts'

type Issue = z.core.$ZodIssue

/** `keysOf` gives the keys that a section may have, for the did-you-mean. */
export function findingsOf(
  issues: readonly Issue[],
  root: unknown,
  keysOf: (path: ConfigPath) => readonly string[],
): Finding[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key, keysOf(path)))
    return [finding(issue, path, valueAt(root, path))]
  })
}

function unknownKey(path: ConfigPath, key: string, known: readonly string[]): Finding {
  const meant = nearest(key, known)
  const remedy = meant === undefined ? `use one of ${known.join(', ')}` : `did you mean ${meant}?`
  return { path: [...path, key], message: 'there is no such key', remedy, atKey: true }
}

function finding(issue: Issue, path: ConfigPath, value: unknown): Finding {
  if (issue.code === 'invalid_key') {
    const { noun, remedy } = halves(issue.issues[0]?.message ?? issue.message)
    return { path, message: `${shown(String(path.at(-1)))} is not ${noun}`, remedy, atKey: true }
  }
  const { noun, remedy } = halves(issue.message)
  const isSecret = path.some(isSecretKey)
  const isWholeSentence = issue.code === 'custom' && issue.params?.wanted !== true
  if (isWholeSentence || noun.includes(' is ') || noun.startsWith('the ')) {
    return isSecret && isWholeSentence
      ? { path, message: 'this does not fit', remedy }
      : { path, message: noun, remedy }
  }
  if (isSecretKey(path.at(-1)) && value !== undefined) return secretInPlace(path)
  if (value === undefined) return { path, message: `it is missing: ${noun}`, remedy }
  if (value === null) return { path, message: `it is empty, but should be ${noun}`, remedy }
  const what = isSecret ? 'this' : shown(value)
  return { path, message: `${what} is not ${noun}`, remedy }
}

/** Keys under which secrets are named, so that nothing of what stands there is repeated. */
function isSecretKey(key: ConfigPath[number] | undefined): boolean {
  return key === 'secret' || key === 'password'
}

function secretInPlace(path: ConfigPath): Finding {
  const message = 'a secret does not stand in this file'
  const key = String(path.at(-1))
  const remedy = `put it into a file of mode 0600 and write ${key}: { file: <path> }; isthmus keygen <path> makes a new one`
  return { path, message, remedy }
}

function halves(message: string): { noun: string; remedy: string } {
  const at = message.indexOf('; ')
  return at < 0
    ? { noun: message, remedy: 'see docs/config.md' }
    : { noun: message.slice(0, at), remedy: message.slice(at + 2) }
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  const text = String(value)
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text)
}
