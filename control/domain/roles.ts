/**
 * Who may do what: the one table from which the middleware, the docs and the security test are made. What is not
 * here is not served.
 */
import type { Role } from '../../protocol/control/resources.ts'
import { ROLES } from '../../protocol/control/resources.ts'

/**
 * `admin` holds the token of the installation: it makes networks, and is owner of each of them. `connector` proves
 * its identity key and reaches only what is its own. `function` is a program that gets grants, and nothing else.
 */
export type Principal = 'admin' | Role | 'connector' | 'function'
export const PRINCIPALS: readonly Principal[] = ['admin', ...ROLES, 'connector', 'function']

export interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** OpenAPI path template. */
  readonly path: string
  readonly summary: string
  /** 'anybody' needs no credentials: it is public, or the body brings its own. */
  readonly may: readonly Principal[] | 'anybody'
}

const ADMIN = ['admin'] as const
const OWNER = ['admin', 'owner'] as const
const WRITE = ['admin', 'owner', 'operator'] as const
const ROTATE = ['admin', 'owner', 'operator', 'rotation'] as const
const READ = ['admin', 'owner', 'operator', 'viewer'] as const
const WATCH = ['admin', 'owner', 'operator', 'viewer', 'rotation'] as const
const CONNECTOR = ['connector'] as const
const FUNCTION = ['function'] as const

const net = '/v1/networks/{network}'

function operation(method: Operation['method'], path: string, may: Operation['may'], summary: string): Operation {
  return { method, path, may, summary }
}

export const OPERATIONS = {
  'networks.create': operation('POST', '/v1/networks', ADMIN, 'Make a network'),
  'networks.list': operation('GET', '/v1/networks', ADMIN, 'List the networks of the installation'),
  'networks.get': operation('GET', net, WATCH, 'Read a network'),
  'networks.remove': operation('DELETE', net, OWNER, 'Remove a network that is empty'),

  'intent.get': operation('GET', `${net}/intent`, READ, 'Read the desired state, now or at a version'),
  'intent.replace': operation('PUT', `${net}/intent`, WRITE, 'Replace the desired state'),
  'intent.plan': operation('POST', `${net}/plan`, READ, 'Say what a desired state would come to'),
  'preferences.get': operation('GET', `${net}/preferences`, READ, 'Read the preferences'),
  'preferences.replace': operation('PUT', `${net}/preferences`, WRITE, 'Replace the preferences'),

  'sites.list': operation('GET', `${net}/sites`, READ, 'List sites'),
  'sites.create': operation('POST', `${net}/sites`, WRITE, 'Add a site'),
  'sites.get': operation('GET', `${net}/sites/{site}`, READ, 'Read a site'),
  'sites.replace': operation('PUT', `${net}/sites/{site}`, WRITE, 'Change a site'),
  'sites.remove': operation('DELETE', `${net}/sites/{site}`, WRITE, 'Remove a site'),

  'tunnels.list': operation('GET', `${net}/tunnels`, WATCH, 'List tunnels'),
  'tunnels.create': operation('POST', `${net}/tunnels`, WRITE, 'Add a tunnel'),
  'tunnels.get': operation('GET', `${net}/tunnels/{tunnel}`, WATCH, 'Read a tunnel'),
  'tunnels.status': operation('GET', `${net}/tunnels/{tunnel}/status`, WATCH, 'Read what the two ends say of a tunnel'),
  'tunnels.replace': operation('PUT', `${net}/tunnels/{tunnel}`, WRITE, 'Change a tunnel'),
  'tunnels.remove': operation('DELETE', `${net}/tunnels/{tunnel}`, WRITE, 'Remove a tunnel'),

  'connectors.list': operation('GET', `${net}/connectors`, READ, 'List connectors'),
  'connectors.get': operation('GET', `${net}/connectors/{connector}`, READ, 'Read a connector'),
  'connectors.revoke': operation('POST', `${net}/connectors/{connector}/revoke`, WRITE, 'Revoke a connector'),

  'joinTokens.list': operation('GET', `${net}/join-tokens`, READ, 'List join tokens'),
  'joinTokens.create': operation('POST', `${net}/join-tokens`, WRITE, 'Make a join token for a site'),
  'joinTokens.get': operation('GET', `${net}/join-tokens/{join}`, READ, 'Read what a join token is for'),
  'joinTokens.revoke': operation('DELETE', `${net}/join-tokens/{join}`, WRITE, 'Revoke a join token'),

  'tokens.list': operation('GET', `${net}/tokens`, OWNER, 'List API tokens'),
  'tokens.create': operation('POST', `${net}/tokens`, OWNER, 'Make an API token'),
  'tokens.get': operation('GET', `${net}/tokens/{token}`, OWNER, 'Read what an API token is for'),
  'tokens.revoke': operation('DELETE', `${net}/tokens/{token}`, OWNER, 'Revoke an API token'),

  'functions.list': operation('GET', `${net}/functions`, READ, 'List functions'),
  'functions.create': operation('POST', `${net}/functions`, WRITE, 'Make a function and its token'),
  'functions.get': operation('GET', `${net}/functions/{function}`, READ, 'Read what a function may reach'),
  'functions.replace': operation('PUT', `${net}/functions/{function}`, WRITE, 'Change what a function may reach'),
  'functions.revoke': operation('DELETE', `${net}/functions/{function}`, WRITE, 'Revoke a function'),
  'functions.renew': operation('POST', `${net}/functions/{function}/token`, WRITE, 'Give a function another token'),
  'grants.create': operation('POST', `${net}/grants`, FUNCTION, 'Get a grant for the services of a site'),

  'policies.list': operation('GET', `${net}/policies`, WATCH, 'List rotation policies'),
  'policies.create': operation('POST', `${net}/policies`, WRITE, 'Make a rotation policy'),
  'policies.get': operation('GET', `${net}/policies/{policy}`, WATCH, 'Read a rotation policy'),
  'policies.replace': operation('PUT', `${net}/policies/{policy}`, WRITE, 'Change a rotation policy'),
  'policies.remove': operation('DELETE', `${net}/policies/{policy}`, WRITE, 'Remove a rotation policy'),

  'runs.list': operation('GET', `${net}/runs`, WATCH, 'List runs'),
  'runs.create': operation(
    'POST',
    `${net}/runs`,
    ROTATE,
    'Rotate the keys of some or all tunnels, or say what would be',
  ),
  'runs.get': operation('GET', `${net}/runs/{run}`, WATCH, 'Read a run'),
  'runs.abort': operation('POST', `${net}/runs/{run}/abort`, ROTATE, 'Stop a run and abort its rotations'),
  'rotations.list': operation('GET', `${net}/rotations`, WATCH, 'List rotations'),
  'rotations.get': operation('GET', `${net}/rotations/{rotation}`, WATCH, 'Read a rotation and its evidence'),
  'rotations.abort': operation('POST', `${net}/rotations/{rotation}/abort`, ROTATE, 'Abort a rotation'),

  'rollouts.list': operation('GET', `${net}/rollouts`, READ, 'List rollouts of the desired state'),
  'rollouts.create': operation('POST', `${net}/rollouts`, WRITE, 'Replace the desired state site by site'),
  'rollouts.get': operation('GET', `${net}/rollouts/{rollout}`, READ, 'Read a rollout and how its sites are'),
  'rollouts.abort': operation('POST', `${net}/rollouts/{rollout}/abort`, WRITE, 'Abort a rollout'),
  'rollouts.rollback': operation('POST', `${net}/rollouts/{rollout}/rollback`, WRITE, 'Go back to before a rollout'),

  'clouds.list': operation('GET', `${net}/clouds`, WATCH, 'List connections to cloud providers'),
  'clouds.create': operation('POST', `${net}/clouds`, WRITE, 'Describe a connection to a cloud provider'),
  'clouds.get': operation('GET', `${net}/clouds/{cloud}`, WATCH, 'Read a connection and how its tunnels are'),
  'clouds.replace': operation('PUT', `${net}/clouds/{cloud}`, WRITE, 'Change what is wanted of a connection'),
  'clouds.remove': operation('DELETE', `${net}/clouds/{cloud}`, WRITE, 'Remove a connection that was not built'),
  'clouds.plan': operation('POST', `${net}/cloud-plan`, WRITE, 'Say what a connection would come to at the provider'),
  'clouds.drift': operation('GET', `${net}/clouds/{cloud}/drift`, READ, 'Look what differs at the provider'),
  'cloudRuns.list': operation('GET', `${net}/clouds/{cloud}/runs`, WATCH, 'List runs of a connection'),
  'cloudRuns.create': operation(
    'POST',
    `${net}/clouds/{cloud}/runs`,
    ROTATE,
    'Build, repair, rotate or remove a connection',
  ),
  'cloudRuns.get': operation('GET', `${net}/cloud-runs/{cloudRun}`, WATCH, 'Read a run and its journal'),
  'cloudRuns.abort': operation('POST', `${net}/cloud-runs/{cloudRun}/abort`, ROTATE, 'End a run'),

  'audit.list': operation('GET', `${net}/audit`, READ, 'Read or export the audit log'),

  'audit.verify': operation('GET', `${net}/audit/verify`, READ, 'Verify the chain of the audit log'),

  'connector.join': operation('POST', '/v1/join', 'anybody', 'Join with a token, which the body brings'),
  'connector.document': operation(
    'GET',
    `${net}/connectors/{connector}/document`,
    CONNECTOR,
    'Read what this connector is to do',
  ),
  'connector.report': operation(
    'POST',
    `${net}/connectors/{connector}/report`,
    CONNECTOR,
    'Say how this connector is doing',
  ),
  'connector.link': operation('GET', `${net}/link`, CONNECTOR, 'Open the link (WebSocket)'),
  'relay.serve': operation('GET', `${net}/relay`, CONNECTOR, 'Wait at the relay for a function (WebSocket)'),
  'relay.call': operation(
    'GET',
    `${net}/connectors/{connector}/stream`,
    'anybody',
    'Reach a connector through the relay (WebSocket), with a session token as subprotocol',
  ),

  'meta.openapi': operation('GET', '/v1/openapi.json', 'anybody', 'This API as OpenAPI 3.1'),
  'meta.docs': operation('GET', '/docs', 'anybody', 'This API to read'),
  'meta.health': operation('GET', '/healthz', 'anybody', 'Whether the control plane serves'),
} as const satisfies Record<string, Operation>

export type OperationId = keyof typeof OPERATIONS
export const OPERATION_IDS = Object.keys(OPERATIONS) as OperationId[]

/** Whether `caller` may do it; 'anybody' has no credentials. */
export function allowed(id: OperationId, caller: Principal | 'anybody'): boolean {
  const { may }: Operation = OPERATIONS[id]
  return may === 'anybody' || (caller !== 'anybody' && may.includes(caller))
}

/** Whether the operation belongs to one network, which the credentials must be of. */
export function isNetworkBound(id: OperationId): boolean {
  return OPERATIONS[id].path.includes('{network}')
}

/** The table for people, as Markdown. */
export function rolesTable(): string {
  const head = ['operation', 'request', ...PRINCIPALS]
  const rows = OPERATION_IDS.map((id) => {
    const { method, path, may }: Operation = OPERATIONS[id]
    const marks = PRINCIPALS.map((principal) => (may === 'anybody' ? 'public' : may.includes(principal) ? 'yes' : ''))
    return [`\`${id}\``, `${method} \`${path}\``, ...marks]
  })
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
