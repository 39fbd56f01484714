/**
 * The secrets of the Lambda entry. `SECRET_ID` names a secret of AWS Secrets Manager whose JSON has all three; it is
 * read through the Parameters and Secrets extension, which listens within the function. Without it they are variables.
 */
import { StoreFailure } from '../store/failure.ts'

export interface LambdaSecrets {
  readonly databaseUrl: string
  /** Text of the key-encryption keys; see `readKeyring`. */
  readonly keyring: string
  /** Without one nobody can make networks. */
  readonly adminToken: string
}

type Environment = Readonly<Record<string, string | undefined>>

const PORT = '2773'

/** Throws StoreFailure `access` when they cannot be had; never quotes them. */
export async function lambdaSecrets(env: Environment, ask: typeof fetch = fetch): Promise<LambdaSecrets> {
  const given = env.SECRET_ID === undefined ? fromVariables(env) : await fromExtension(env, env.SECRET_ID, ask)
  const text = (name: keyof LambdaSecrets) => (typeof given[name] === 'string' ? given[name] : '')
  const secrets = { databaseUrl: text('databaseUrl'), keyring: text('keyring'), adminToken: text('adminToken') }
  if (secrets.databaseUrl === '') throw missing('the address of the database is not among the secrets')
  return secrets
}

function fromVariables({ DATABASE_URL, KEYRING, ADMIN_TOKEN }: Environment): Partial<Record<string, unknown>> {
  return { databaseUrl: DATABASE_URL, keyring: KEYRING, adminToken: ADMIN_TOKEN }
}

async function fromExtension(
  env: Environment,
  id: string,
  ask: typeof fetch,
): Promise<Partial<Record<string, unknown>>> {
  const port = env.PARAMETERS_SECRETS_EXTENSION_HTTP_PORT ?? PORT
  const url = `http://localhost:${port}/secretsmanager/get?secretId=${encodeURIComponent(id)}`
  const headers = { 'X-Aws-Parameters-Secrets-Token': env.AWS_SESSION_TOKEN ?? '' }
  const answer = await ask(url, { headers, signal: AbortSignal.timeout(5000) }).catch((error) => {
    throw missing(`the secrets extension does not answer (${error.cause?.code ?? error.name})`)
  })
  if (!answer.ok) throw missing(`Secrets Manager answered with HTTP status ${answer.status}`)
  try {
    const { SecretString } = (await answer.json()) as { SecretString: string }
    return { ...JSON.parse(SecretString) }
  } catch {
    throw missing('the secret is no JSON object')
  }
}

function missing(reason: string): StoreFailure {
  const remedy = 'See docs/deploy.md for what the secret must hold, and which permission and layer the function needs.'
  return new StoreFailure('access', `The secrets cannot be read: ${reason}.`, remedy)
}
