/** What all parts of the Workers entry are set up with. */
import release from '../../package.json' with { type: 'json' }
import { CloudFailure, type CloudProvider } from '../domain/cloud/provider.ts'
import { optional } from '../service/support.ts'
import { awsAccess, readAwsNetworks } from './aws.ts'
import type { AssemblyOptions } from './common.ts'
import { hashOfAdminToken } from './common.ts'
import { jsonLog } from './json-log.ts'
import type { WorkerEnv } from './workers-types.ts'

export const LOG = jsonLog((line) => console.log(line), Date.now)

type Settings = Pick<AssemblyOptions, 'keyring' | 'adminHash' | 'log' | 'version' | 'clouds'>

export function settingsOf(env: WorkerEnv): Settings {
  return {
    keyring: env.KEYRING ?? '',
    adminHash: hashOfAdminToken(env.ADMIN_TOKEN ?? ''),
    log: LOG,
    version: release.version,
    ...awsAccess(readAwsNetworks(env.AWS_NETWORKS), () => awsOf(env)),
  }
}

/** Loaded when it is needed: the SDK would slow each start of the Worker. */
async function awsOf(env: WorkerEnv): Promise<CloudProvider> {
  const { createAwsProvider } = await import('../aws/provider.ts')
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const cause = 'The Worker has no AWS credentials.'
    const remedy = 'Set the secrets AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: wrangler secret put.'
    throw new CloudFailure('credentials', 'NoCredentials', cause, remedy)
  }
  const { AWS_SESSION_TOKEN: sessionToken, AWS_ENDPOINT_URL_EC2: endpoint } = env
  return createAwsProvider({
    credentials: { accessKeyId, secretAccessKey, ...optional('sessionToken', sessionToken) },
    ...optional('endpoint', endpoint),
  })
}
