/**
 * Reads `isthmus.yaml`: all faults at once, each with file, line, column, cause and remedy, or the plan that it means.
 * The keys are described in `config/schema.ts`, from which docs/config.md and `config/isthmus.schema.json` are made.
 */
import { readFileSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, resolve } from 'node:path'
import type { Address } from '../protocol/net.ts'
import { checkAcrossKeys } from './config/checks.ts'
import type { ConfigFault, Finding } from './config/faults.ts'
import { findingsOf } from './config/issues.ts'
import { keysAt } from './config/keys.ts'
import type { Inside } from './config/leaf.ts'
import { planOf } from './config/plan-of.ts'
import { valueAt } from './config/raw.ts'
import { placed, readText } from './config/read.ts'
import { type Config, configSchema } from './config/schema.ts'
import { decodeSecret, isShort, readSecretFile, type SecretSource } from './config/secret.ts'
import { readSource } from './config/source.ts'
import type { ConnectorPlan } from './plan.ts'

export type { ConfigFault } from './config/faults.ts'
export { formatFault } from './config/faults.ts'

export interface LoadedConfig {
  readonly plan: ConnectorPlan
  readonly log: Config['log']
  /** Address to ping behind a peer, by the peer's name. */
  readonly probes: ReadonlyMap<string, Address>
  /** Our addresses inside the tunnel to each peer that has some, with the networks that both ends are in. */
  readonly insides: ReadonlyMap<string, readonly Inside[]>
  readonly warnings: readonly ConfigFault[]
}

/** Never throws. `files` is what tests replace; `path` appears in the faults as given. */
export function loadConfig(
  path: string,
  files: SecretSource = systemFiles,
): LoadedConfig | { readonly faults: readonly ConfigFault[] } {
  const text = readText(path, files, HINT)
  if (typeof text !== 'string') return { faults: [text] }
  const source = readSource(path, text)
  if (source.faults.length > 0) return { faults: source.faults }
  const directory = dirname(resolve(path))
  const parsed = configSchema.safeParse(source.value ?? {})
  const across = checkAcrossKeys(source.value)
  const secrets = readSecrets(source.value, ['peers'], 'secret', directory, files)
  const passwords = readSecrets(source.value, ['bgp', 'neighbours'], 'password', directory, files)
  for (const [name, key] of passwords.keys) {
    if (key.length > MAX_MD5_KEY) passwords.faults.push(tooLong(name))
  }
  const found = [
    ...(parsed.success ? [] : findingsOf(parsed.error.issues, source.value, keysAt)),
    ...across.faults,
    ...secrets.faults,
    ...passwords.faults,
  ]
  if (!parsed.success || found.length > 0) return { faults: placed(source, found) }
  const config = parsed.data
  const cores = availableParallelism()
  return {
    plan: planOf(config, secrets.keys, (name) => resolve(directory, name), cores, passwords.keys),
    log: config.log,
    probes: new Map(
      Object.entries(config.peers).flatMap(([name, { probe }]) =>
        probe.target ? [[name, probe.target] as const] : [],
      ),
    ),
    insides: new Map(Object.entries(config.peers).map(([name, { inside = [] }]) => [name, inside])),
    warnings: placed(source, [
      ...across.warnings,
      ...secrets.warnings,
      ...passwords.warnings,
      ...keyLogWarning(config),
      ...workersWarning(config, cores),
    ]),
  }
}

/** The control socket that a configuration names, also when the rest is faulty or its secrets may not be read. */
export function controlSocketOf(path: string, files: SecretSource = systemFiles): string {
  const text = readText(path, files, HINT)
  const value = typeof text === 'string' ? valueAt(readSource(path, text).value, ['control_socket']) : undefined
  return typeof value === 'string' ? resolve(dirname(resolve(path)), value) : DEFAULT_CONTROL_SOCKET
}

const HINT = 'name the configuration with --config; docs/config.md shows a short one'

export const DEFAULT_CONTROL_SOCKET = '/run/isthmus/control.sock'

export const systemFiles: SecretSource = {
  readFile: (path) => readFileSync(path),
  fileMode: (path) => (process.platform === 'win32' ? undefined : statSync(path, { throwIfNoEntry: false })?.mode),
  env: process.env,
}

interface Secrets {
  readonly keys: Map<string, Uint8Array>
  readonly faults: Finding[]
  readonly warnings: Finding[]
}

/** What Linux takes of a key for TCP MD5 signatures. */
const MAX_MD5_KEY = 80

function tooLong(neighbour: string): Finding {
  const message = `the key is longer than ${MAX_MD5_KEY} bytes, which TCP MD5 signatures do not take`
  return { path: ['bgp', 'neighbours', neighbour, 'password'], message, remedy: 'agree on a shorter one' }
}

/** Of each section below `at`, what `key` of it names. */
function readSecrets(
  root: unknown,
  at: readonly string[],
  key: 'secret' | 'password',
  directory: string,
  files: SecretSource,
): Secrets {
  const secrets: Secrets = { keys: new Map(), faults: [], warnings: [] }
  const peers = valueAt(root, at)
  if (typeof peers !== 'object' || peers === null) return secrets
  for (const name of Object.keys(peers)) {
    const file = valueAt(peers, [name, key, 'file'])
    const variable = valueAt(peers, [name, key, 'env'])
    const path = [...at, name, key, typeof file === 'string' ? 'file' : 'env']
    if (typeof file === 'string' && variable === undefined) {
      const fullName = resolve(directory, file)
      const bytes = readSecretFile(files, fullName)
      takeSecret(secrets, name, path, bytes instanceof Uint8Array ? decodeSecret(bytes) : bytes)
      if (bytes instanceof Uint8Array) warnIfOpen(secrets, path, fullName, files)
    } else if (typeof variable === 'string' && file === undefined && /^[A-Za-z_]\w{0,127}$/.test(variable)) {
      const value = files.env[variable]
      const missing = {
        message: `the environment has no variable ${variable}`,
        remedy: 'set it for the connector’s process',
      }
      takeSecret(secrets, name, path, value === undefined ? missing : decodeSecret(new TextEncoder().encode(value)))
    }
  }
  return secrets
}

function takeSecret(secrets: Secrets, name: string, path: string[], key: ReturnType<typeof decodeSecret>): void {
  if (!(key instanceof Uint8Array)) {
    secrets.faults.push({ path, ...key })
    return
  }
  secrets.keys.set(name, key)
  // A password of BGP signs, and encrypts nothing that could be recorded.
  if (isShort(key) && path.includes('secret')) {
    const message = `the secret has only ${key.length} bytes: short ones can be guessed from one recorded handshake`
    secrets.warnings.push({
      path,
      message,
      remedy: 'agree on a longer one with the peer; isthmus keygen makes 32 random bytes',
    })
  }
}

function warnIfOpen(secrets: Secrets, path: string[], file: string, files: SecretSource): void {
  const mode = files.fileMode(file)
  if (mode === undefined || (mode & 0o077) === 0) return
  const octal = (mode & 0o777).toString(8).padStart(4, '0')
  const message = `others than its owner may open ${file} (mode ${octal})`
  secrets.warnings.push({ path, message, remedy: `chmod 600 ${file}` })
}

function keyLogWarning(config: Config): Finding[] {
  if (config.key_log === undefined) return []
  const message = 'session keys are written to a file: whoever reads it can decrypt the traffic'
  return [{ path: ['key_log'], message, remedy: 'remove the key when the search for the fault is over' }]
}

function workersWarning({ workers }: Config, cores: number): Finding[] {
  if (workers === 'auto' || workers <= cores) return []
  const message = `there are more packet workers than the ${cores === 1 ? 'one core' : `${cores} cores`} that we may run on`
  return [{ path: ['workers'], message, remedy: 'leave the key out: auto takes half of the cores' }]
}
