/** What all parts of the Workers entry are set up with. */
import release from '../../package.json' with { type: 'json' }
import type { AssemblyOptions } from './common.ts'
import { hashOfAdminToken } from './common.ts'
import { jsonLog } from './json-log.ts'
import type { WorkerEnv } from './workers-types.ts'

export const LOG = jsonLog((line) => console.log(line), Date.now)

export function settingsOf(env: WorkerEnv): Pick<AssemblyOptions, 'keyring' | 'adminHash' | 'log' | 'version'> {
  return {
    keyring: env.KEYRING ?? '',
    adminHash: hashOfAdminToken(env.ADMIN_TOKEN ?? ''),
    log: LOG,
    version: release.version,
  }
}
