/** All services over one store. No HTTP, no platform. */
import { Audit } from './audit.ts'
import type { Auth } from './auth.ts'
import { CloudKeys } from './cloud-keys.ts'
import { CloudPolicies } from './cloud-policies.ts'
import { CloudReports } from './cloud-reports.ts'
import { CloudRunner } from './cloud-runner.ts'
import { CloudRuns } from './cloud-runs.ts'
import { CloudStepping } from './cloud-stepping.ts'
import { CloudWatch } from './cloud-watch.ts'
import { Clouds } from './clouds.ts'
import { Committer } from './commit.ts'
import { type ConnectorParts, Connectors } from './connectors.ts'
import { Documents } from './documents.ts'
import { EvidenceSigner } from './evidence-signer.ts'
import { Functions } from './functions.ts'
import { GrantCounts } from './grant-counts.ts'
import { Grants } from './grants.ts'
import { IntentService } from './intent-service.ts'
import { Intents } from './intents.ts'
import { JoinTokens } from './join-tokens.ts'
import { Joining } from './joining.ts'
import { FunctionKeys } from './network-keys.ts'
import { Networks } from './networks.ts'
import { Policies } from './policies.ts'
import { Reports } from './reports.ts'
import { Rolling } from './rolling.ts'
import { Rollouts } from './rollouts.ts'
import { Rotating } from './rotating.ts'
import { Rotations } from './rotations.ts'
import { Runs } from './runs.ts'
import { Scheduler } from './scheduler.ts'
import { Sightings } from './sightings.ts'
import { Verifier } from './signatures.ts'
import { Tokens } from './tokens.ts'
import type { CloudAccess, Context } from './types.ts'

export interface Services {
  readonly context: Context
  readonly networks: Networks
  readonly intent: IntentService
  readonly connectors: Connectors
  readonly joining: Joining
  readonly documents: Documents
  readonly reports: Reports
  readonly tokens: Tokens
  readonly joinTokens: JoinTokens
  readonly functions: Functions
  readonly grants: Grants
  readonly policies: Policies
  readonly runs: Runs
  readonly rotations: Rotations
  readonly rollouts: Rollouts
  readonly clouds: Clouds
  readonly cloudRuns: CloudRuns
  readonly cloudRunner: CloudRunner
  readonly audit: Audit
  readonly scheduler: Scheduler
}

export interface ServiceOptions extends Context {
  /** Shared with `createAuth`, so that a key is imported once. */
  readonly verifier?: Verifier
  /** When a token was last used, as far as this process knows: `Auth.lastUsed`. */
  readonly lastUsed?: Auth['lastUsed']
}

export function createServices(options: ServiceOptions): Services {
  const { lastUsed = () => undefined, verifier = new Verifier(), ...context } = options
  const committer = new Committer(context)
  const intents = new Intents(context)
  const keys = new CloudKeys(context)
  const documents = new Documents(context, intents, keys)
  const signer = new EvidenceSigner(context)
  const rotating = new Rotating(context, documents, signer)
  const runs = new Runs({ context, committer, intents, documents, rotating })
  const rolling = new Rolling({ context, intents, documents, rotating, runs })
  const functionKeys = new FunctionKeys(context)
  const counts = new GrantCounts(context)
  const sightings = new Sightings()
  const parts: ConnectorParts = {
    context,
    committer,
    intents,
    documents,
    rotating,
    runs,
    rolling,
    sightings,
    functionKeys,
    cloudReports: new CloudReports(context, documents),
  }
  const rollouts = new Rollouts(parts)
  const clouds = cloudServices({ context, committer, intents, documents, keys }, signer)
  return {
    context,
    networks: new Networks(context, committer, functionKeys),
    intent: new IntentService(parts),
    connectors: new Connectors(parts),
    joining: new Joining(parts, verifier),
    documents,
    reports: new Reports(parts, verifier),
    tokens: new Tokens(context, committer, lastUsed),
    joinTokens: new JoinTokens(context, committer),
    functions: new Functions(context, committer, counts),
    grants: new Grants({ context, committer, documents, functionKeys, counts }, verifier),
    policies: new Policies(context, committer),
    runs,
    rotations: new Rotations(parts),
    rollouts,
    ...clouds,
    audit: new Audit(context),
    scheduler: new Scheduler(parts, runs, rollouts),
  }
}

function cloudServices(
  parts: Pick<ConnectorParts, 'context' | 'committer' | 'intents' | 'documents'> & { readonly keys: CloudKeys },
  signer: EvidenceSigner,
): Pick<Services, 'clouds' | 'cloudRuns' | 'cloudRunner'> {
  const { context, committer } = parts
  const watch = new CloudWatch(parts)
  const whole = { ...parts, watch }
  const cloudRuns = new CloudRuns(whole)
  const policies = new CloudPolicies({ context, committer, runs: cloudRuns })
  const before = async (network: string, access: CloudAccess) => {
    await policies.tick(network)
    await watch.tick(network, access)
  }
  const stepping = new CloudStepping({ ...parts, signer })
  return { clouds: new Clouds(whole), cloudRuns, cloudRunner: new CloudRunner({ ...whole, stepping, before }) }
}
