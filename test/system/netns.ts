/** Namespaces for tests, and what a test does where there are none. */
import { namespacesMissing } from '../../connector/io/namespaces.ts'

export {
  createWorld,
  type ExecResult,
  namespacesMissing,
  type Spawned,
  type World,
} from '../../connector/io/namespaces.ts'

/**
 * For `describe.skipIf(...)`: true when namespaces are not to be had, after saying so. With CI=true it throws
 * instead, because in CI nothing may skip.
 */
export function skipWithoutNamespaces(what: string): boolean {
  const reason = namespacesMissing()
  if (reason === undefined) return false
  const message = `${what} needs network namespaces, which cannot be made here: ${reason}`
  if (process.env.CI === 'true') throw new Error(message)
  process.stderr.write(`skipped: ${message}\n`)
  return true
}
