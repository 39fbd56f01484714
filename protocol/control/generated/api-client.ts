/**
 * What a client of the API sends and gets, by the id of the operation. Made from the OpenAPI document by
 * `node control/entry/api-client.ts`; do not edit.
 */

export type CloudTarget =
  | {
      kind: 'vpc'
      vpc: string
      vpnGateway?: string
      as?: number
    }
  | {
      kind: 'transit-gateway'
      transitGateway: string
      vpcs?: string[]
    }
/**
 * Whether each event follows the one before it, as it was written.
 */
export type Verification =
  | {
      intact: true
      events: number
      head: string
    }
  | {
      intact: false
      brokenAt: number
      why: string
    }

export interface Operations {
  /**
   * Make a network
   */
  'networks.create': {
    body: NetworkDraft
    answer: Network
  }
  /**
   * List the networks of the installation
   */
  'networks.list': {
    query?: {
      limit?: number
      cursor?: string
    }
    answer: NetworkPage
  }
  /**
   * Read a network
   */
  'networks.get': {
    params: {
      network: string
    }
    answer: Network
  }
  /**
   * Remove a network that is empty
   */
  'networks.remove': {
    params: {
      network: string
    }
  }
  /**
   * Read the desired state, now or at a version
   */
  'intent.get': {
    params: {
      network: string
    }
    query?: {
      version?: number | null
    }
    answer: Intent
  }
  /**
   * Replace the desired state
   */
  'intent.replace': {
    params: {
      network: string
    }
    query?: {
      force?: 'true' | 'false'
    }
    body: IntentDraft
    answer: Intent
  }
  /**
   * Say what a desired state would come to
   */
  'intent.plan': {
    params: {
      network: string
    }
    body: IntentDraft
    answer: PlanResult
  }
  /**
   * Read the preferences
   */
  'preferences.get': {
    params: {
      network: string
    }
    answer: Preferences
  }
  /**
   * Replace the preferences
   */
  'preferences.replace': {
    params: {
      network: string
    }
    body: Preferences
    answer: Preferences
  }
  /**
   * Add a site
   */
  'sites.create': {
    params: {
      network: string
    }
    body: SiteDraft
    answer: Site
  }
  /**
   * List sites
   */
  'sites.list': {
    params: {
      network: string
    }
    query?: {
      limit?: number
      cursor?: string
    }
    answer: SitePage
  }
  /**
   * Read a site
   */
  'sites.get': {
    params: {
      network: string
      site: string
    }
    answer: Site
  }
  /**
   * Change a site
   */
  'sites.replace': {
    params: {
      network: string
      site: string
    }
    body: SiteDraft
    answer: Site
  }
  /**
   * Remove a site
   */
  'sites.remove': {
    params: {
      network: string
      site: string
    }
  }
  /**
   * Add a tunnel
   */
  'tunnels.create': {
    params: {
      network: string
    }
    body: TunnelDraft
    answer: Tunnel
  }
  /**
   * List tunnels
   */
  'tunnels.list': {
    params: {
      network: string
    }
    query?: {
      limit?: number
      cursor?: string
      site?: string
    }
    answer: TunnelPage
  }
  /**
   * Read a tunnel
   */
  'tunnels.get': {
    params: {
      network: string
      tunnel: string
    }
    answer: Tunnel
  }
  /**
   * Change a tunnel
   */
  'tunnels.replace': {
    params: {
      network: string
      tunnel: string
    }
    body: TunnelDraft
    answer: Tunnel
  }
  /**
   * Remove a tunnel
   */
  'tunnels.remove': {
    params: {
      network: string
      tunnel: string
    }
  }
  /**
   * Read what the two ends say of a tunnel
   */
  'tunnels.status': {
    params: {
      network: string
      tunnel: string
    }
    answer: TunnelStatus
  }
  /**
   * List connectors
   */
  'connectors.list': {
    params: {
      network: string
    }
    query?: {
      limit?: number
      cursor?: string
      site?: string
    }
    answer: ConnectorPage
  }
  /**
   * Read a connector
   */
  'connectors.get': {
    params: {
      network: string
      connector: string
    }
    answer: Connector
  }
  /**
   * Revoke a connector
   */
  'connectors.revoke': {
    params: {
      network: string
      connector: string
    }
    answer: Connector
  }
  /**
   * Make a join token for a site
   */
  'joinTokens.create': {
    params: {
      network: string
    }
    body: JoinTokenDraft
    answer: NewJoinToken
  }
  /**
   * List join tokens
   */
  'joinTokens.list': {
    params: {
      network: string
    }
    query?: {
      limit?: number
      cursor?: string
      site?: string
    }
    answer: JoinTokenPage
  }
  /**
   * Read what a join token is for
   */
  'joinTokens.get': {
    params: {
      network: string
      join: string
    }
    answer: JoinToken
  }
  /**
   * Revoke a join token
   */
  'joinTokens.revoke': {
    params: {
      network: string
      join: string
    }
  }
  /**
   * Make an API token
   */
  'tokens.create': {
    params: {
      network: string
    }
    body: ApiTokenDraft
    answer: NewApiToken
  }
  /**
   * List API tokens
   */
  'tokens.list': {
    params: {
      network: string
    }
    query?: {
      limit?: number
      cursor?: string
    }
    answer: ApiTokenPage
  }
  /**
   * Read what an API token is for
   */
  'tokens.get': {
    params: {
      network: string
      token: string
    }
    answer: ApiToken
  }
  /**
   * Revoke an API token
   */
  'tokens.revoke': {
    params: {
      network: string
      token: string
    }
  }
  /**
   * Make a function and its token
   */
  'functions.create': {
    params: {
      network: string
    }
    body: FunctionDraft
    answer: NewFunction
  }
  /**
   * List functions
   */
  'functions.list': {
    params: {
      network: string
    }
    query?: {
      limit?: number
      cursor?: string
    }
    answer: FunctionPage
  }
  /**
   * Read what a function may reach
   */
  'functions.get': {
    params: {
      network: string
      function: string
    }
    answer: Function
  }
  /**
   * Change what a function may reach
   */
  'functions.replace': {
    params: {
      network: string
      function: string
    }
    body: FunctionChange
    answer: Function
  }
  /**
   * Revoke a function
   */
  'functions.revoke': {
    params: {
      network: string
      function: string
    }
  }
  /**
   * Give a function another token
   */
  'functions.renew': {
    params: {
      network: string
      function: string
    }
    answer: NewFunction
  }
  /**
   * Make a rotation policy
   */
  'policies.create': {
    params: {
      network: string
    }
    body: PolicyDraft
    answer: Policy
  }
  /**
   * List rotation policies
   */
  'policies.list': {
    params: {
      network: string
    }
    query?: {
      limit?: number
      cursor?: string
    }
    answer: PolicyPage
  }
  /**
   * Read a rotation policy
   */
  'policies.get': {
    params: {
      network: string
      policy: string
    }
    answer: Policy
  }
  /**
   * Change a rotation policy
   */
  'policies.replace': {
    params: {
      network: string
      policy: string
    }
    body: PolicyDraft
    answer: Policy
  }
  /**
   * Remove a rotation policy
   */
  'policies.remove': {
    params: {
      network: string
      policy: string
    }
  }
  /**
   * Rotate the keys of some or all tunnels, or say what would be
   */
  'runs.create': {
    params: {
      network: string
    }
    body: RunDraft
    answer: RunAnswer
  }
  /**
   * List runs
   */
  'runs.list': {
    params: {
      network: string
    }
    query?: {
      limit?: number
      cursor?: string
      state?: 'running' | 'done' | 'stopped' | 'aborted'
    }
    answer: RunPage
  }
  /**
   * Read a run
   */
  'runs.get': {
    params: {
      network: string
      run: string
    }
    answer: Run
  }
  /**
   * Stop a run and abort its rotations
   */
  'runs.abort': {
    params: {
      network: string
      run: string
    }
    answer: Run
  }
  /**
   * List rotations
   */
  'rotations.list': {
    params: {
      network: string
    }
    query?: {
      limit?: number
      cursor?: string
      tunnel?: string
      run?: string
      state?: 'queued' | 'active' | 'done' | 'aborted'
    }
    answer: RotationPage
  }
  /**
   * Read a rotation and its evidence
   */
  'rotations.get': {
    params: {
      network: string
      rotation: string
    }
    answer: Rotation
  }
  /**
   * Abort a rotation
   */
  'rotations.abort': {
    params: {
      network: string
      rotation: string
    }
    answer: Rotation
  }
  /**
   * Replace the desired state site by site
   */
  'rollouts.create': {
    params: {
      network: string
    }
    body: RolloutDraft
    answer: Rollout
  }
  /**
   * List rollouts of the desired state
   */
  'rollouts.list': {
    params: {
      network: string
    }
    query?: {
      limit?: number
      cursor?: string
      state?: 'active' | 'ended'
    }
    answer: RolloutPage
  }
  /**
   * Read a rollout and how its sites are
   */
  'rollouts.get': {
    params: {
      network: string
      rollout: string
    }
    answer: RolloutDetail
  }
  /**
   * Abort a rollout
   */
  'rollouts.abort': {
    params: {
      network: string
      rollout: string
    }
    answer: Rollout
  }
  /**
   * Go back to before a rollout
   */
  'rollouts.rollback': {
    params: {
      network: string
      rollout: string
    }
    answer: Rollout
  }
  /**
   * Describe a connection to a cloud provider
   */
  'clouds.create': {
    params: {
      network: string
    }
    body: CloudDraft
    answer: Cloud
  }
  /**
   * List connections to cloud providers
   */
  'clouds.list': {
    params: {
      network: string
    }
    query?: {
      limit?: number
      cursor?: string
      site?: string
    }
    answer: CloudPage
  }
  /**
   * Read a connection and how its tunnels are
   */
  'clouds.get': {
    params: {
      network: string
      cloud: string
    }
    answer: Cloud
  }
  /**
   * Change what is wanted of a connection
   */
  'clouds.replace': {
    params: {
      network: string
      cloud: string
    }
    body: CloudDraft
    answer: Cloud
  }
  /**
   * Remove a connection that was not built
   */
  'clouds.remove': {
    params: {
      network: string
      cloud: string
    }
  }
  /**
   * Say what a connection would come to at the provider
   */
  'clouds.plan': {
    params: {
      network: string
    }
    body: CloudPlanRequest
    answer: CloudPlan
  }
  /**
   * Look what differs at the provider
   */
  'clouds.drift': {
    params: {
      network: string
      cloud: string
    }
    answer: CloudLook
  }
  /**
   * Build, repair, rotate or remove a connection
   */
  'cloudRuns.create': {
    params: {
      network: string
      cloud: string
    }
    body: CloudRunDraft
    answer: CloudRun
  }
  /**
   * List runs of a connection
   */
  'cloudRuns.list': {
    params: {
      network: string
      cloud: string
    }
    query?: {
      limit?: number
      cursor?: string
    }
    answer: CloudRunPage
  }
  /**
   * Read a run and its journal
   */
  'cloudRuns.get': {
    params: {
      network: string
      cloudRun: string
    }
    answer: CloudRun
  }
  /**
   * End a run
   */
  'cloudRuns.abort': {
    params: {
      network: string
      cloudRun: string
    }
    answer: CloudRun
  }
  /**
   * Read or export the audit log
   */
  'audit.list': {
    params: {
      network: string
    }
    query?: {
      limit?: number
      cursor?: string
      format?: 'json' | 'ndjson'
    }
    answer: AuditPage
  }
  /**
   * Verify the chain of the audit log
   */
  'audit.verify': {
    params: {
      network: string
    }
    answer: Verification
  }
}
export interface NetworkDraft {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
}
export interface Network {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  /**
   * Identifier of a network.
   */
  id: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * A public key of 32 bytes, base64url without padding.
   */
  evidenceKey: string
  intentVersion: number
}
export interface NetworkPage {
  items: Network[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
/**
 * The desired state of a network. Each version is immutable.
 */
export interface Intent {
  /**
   * Grows by one with every change.
   */
  version: number
  preferences: Preferences
  sites: Site[]
  tunnels: Tunnel[]
  routing?: Routing
}
export interface Preferences {
  /**
   * mesh: a new site gets a tunnel to every other one. none: tunnels are made one by one.
   */
  topology?: 'mesh' | 'none'
}
export interface Site {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  /**
   * Networks at this site.
   */
  prefixes: string[]
  /**
   * Set it when the connector cannot find its public address itself.
   */
  endpoint?: {
    /**
     * An IPv4 or IPv6 address.
     */
    address: string
    /**
     * UDP port for IKE.
     */
    port: number
    /**
     * UDP port for IKE and ESP behind NAT.
     */
    natPort: number
  }
  /**
   * Identifier of a site.
   */
  id: string
}
export interface Tunnel {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  /**
   * The two ends. The first initiates where both can be reached.
   *
   * @minItems 2
   * @maxItems 2
   */
  sites: [string, string]
  /**
   * MTU of the path between the ends, in bytes.
   */
  pathMtu?: number
  /**
   * Identifier of a tunnel.
   */
  id: string
}
/**
 * Dynamic routing of the network, with an entry for every site and tunnel.
 */
export interface Routing {
  /**
   * Prefixes taken from one neighbour, of each family. Beyond it the session ends for 5 minutes.
   */
  maxPrefixes: number
  bfd: 'off' | RoutingBfd
  sites: {
    /**
     * Identifier of a site.
     */
    site: string
    /**
     * Prefixes of the site beside those that it is made with; they may be larger.
     */
    owns?: string[]
    /**
     * All that it owns, to all, when absent. Each within what the site owns.
     */
    advertises?: Advertisement[]
    /**
     * Passes on packets and routes between its neighbours.
     */
    hub?: boolean
    /**
     * Hubs in the order in which its traffic prefers them; those not named come last.
     */
    through?: string[]
    /**
     * Of all tunnels of this site, primary when absent.
     */
    preference?: 'primary' | 'backup'
    /**
     * Prefixes taken from one neighbour, of each family. Beyond it the session ends for 5 minutes.
     */
    maxPrefixes?: number
    /**
     * Given by the control plane; stays as long as the resource is there.
     */
    number: number
  }[]
  tunnels: {
    /**
     * Identifier of a tunnel.
     */
    tunnel: string
    /**
     * As its sites say when absent.
     */
    preference?: 'primary' | 'backup'
    bfd?: 'off' | RoutingBfd
    /**
     * Prefixes taken from one neighbour, of each family. Beyond it the session ends for 5 minutes.
     */
    maxPrefixes?: number
    /**
     * Given by the control plane; stays as long as the resource is there.
     */
    number: number
  }[]
}
/**
 * Timers of BFD (RFC 5880).
 */
export interface RoutingBfd {
  /**
   * Between two packets, in milliseconds.
   */
  intervalMs?: number
  /**
   * So many missing in a row end the session.
   */
  multiplier?: number
}
/**
 * Prefixes that a site tells of.
 */
export interface Advertisement {
  prefixes: string[]
  /**
   * Sites that may know of them; hubs on the way there know too.
   */
  to?: 'all' | string[]
}
/**
 * The desired state to replace the present one. An Intent that was read fits.
 */
export interface IntentDraft {
  /**
   * The version that this was made from; refused when there is a newer one.
   */
  version?: number
  preferences?: Preferences
  sites: {
    /**
     * A name, unique among its kind in the network.
     */
    name: string
    /**
     * Networks at this site.
     */
    prefixes: string[]
    /**
     * Set it when the connector cannot find its public address itself.
     */
    endpoint?: {
      /**
       * An IPv4 or IPv6 address.
       */
      address: string
      /**
       * UDP port for IKE.
       */
      port?: number
      /**
       * UDP port for IKE and ESP behind NAT.
       */
      natPort?: number
    }
    /**
     * Identifier of a site.
     */
    id?: string
  }[]
  tunnels?: {
    /**
     * A name, unique among its kind in the network.
     */
    name: string
    /**
     * The two ends, by name or identifier.
     *
     * @minItems 2
     * @maxItems 2
     */
    sites: [string | string, string | string]
    /**
     * MTU of the path between the ends, in bytes.
     */
    pathMtu?: number
    /**
     * Identifier of a tunnel.
     */
    id?: string
  }[]
  routing?: RoutingDraft
}
/**
 * Dynamic routing of the network. Without it tunnels lead to the prefixes of their sites, and no more.
 */
export interface RoutingDraft {
  /**
   * Prefixes taken from one neighbour, of each family. Beyond it the session ends for 5 minutes.
   */
  maxPrefixes?: number
  bfd?: 'off' | RoutingBfd
  sites?: {
    site: string
    /**
     * Prefixes of the site beside those that it is made with; they may be larger.
     */
    owns?: string[]
    /**
     * All that it owns, to all, when absent. Each within what the site owns.
     */
    advertises?: Advertisement[]
    /**
     * Passes on packets and routes between its neighbours.
     */
    hub?: boolean
    /**
     * Hubs in the order in which its traffic prefers them; those not named come last.
     */
    through?: string[]
    /**
     * Of all tunnels of this site, primary when absent.
     */
    preference?: 'primary' | 'backup'
    /**
     * Prefixes taken from one neighbour, of each family. Beyond it the session ends for 5 minutes.
     */
    maxPrefixes?: number
    /**
     * Given by the control plane; stays as long as the resource is there.
     */
    number?: number
  }[]
  tunnels?: {
    tunnel: string
    /**
     * As its sites say when absent.
     */
    preference?: 'primary' | 'backup'
    bfd?: 'off' | RoutingBfd
    /**
     * Prefixes taken from one neighbour, of each family. Beyond it the session ends for 5 minutes.
     */
    maxPrefixes?: number
    /**
     * Given by the control plane; stays as long as the resource is there.
     */
    number?: number
  }[]
}
/**
 * What a draft of the intent would come to.
 */
export interface PlanResult {
  /**
   * The version of the intent that it was compared with.
   */
  base: number
  /**
   * Whether the intent would change at all.
   */
  changes: boolean
  /**
   * It is refused without force: a finding is an error.
   */
  blocked: boolean
  /**
   * Those whose routes change.
   */
  sites: PlanSite[]
  findings: PlanFinding[]
  /**
   * Findings beyond those listed.
   */
  more: number
  totals: {
    sites: number
    prefixes: number
    routes: number
  }
}
export interface PlanSite {
  /**
   * A name, unique among its kind in the network.
   */
  site: string
  /**
   * Of the site, or of its routes.
   */
  change: 'new' | 'gone' | 'changed' | 'same'
  before: number
  after: number
  added: number
  removed: number
  moved: number
  /**
   * The first of those that change.
   */
  routes: PlanRoute[]
}
export interface PlanRoute {
  /**
   * An IPv4 or IPv6 network prefix; host bits must be zero.
   */
  prefix: string
  change: 'added' | 'removed' | 'moved'
  before?: string[][]
  after?: string[][]
}
export interface PlanFinding {
  code: 'cut-off' | 'unreachable' | 'leak' | 'overlap' | 'limit' | 'asymmetry' | 'loop' | 'unstable'
  /**
   * An error is not carried out without force.
   */
  severity: 'error' | 'warning'
  /**
   * Where it is seen.
   */
  site: string
  /**
   * The site that it is about.
   */
  other?: string
  /**
   * One of the prefixes.
   */
  prefix?: string
  /**
   * How many prefixes, or sites for an asymmetry.
   */
  count: number
  /**
   * A sentence.
   */
  detail: string
}
export interface SiteDraft {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  /**
   * Networks at this site.
   */
  prefixes: string[]
  /**
   * Set it when the connector cannot find its public address itself.
   */
  endpoint?: {
    /**
     * An IPv4 or IPv6 address.
     */
    address: string
    /**
     * UDP port for IKE.
     */
    port?: number
    /**
     * UDP port for IKE and ESP behind NAT.
     */
    natPort?: number
  }
}
export interface SitePage {
  items: Site[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
export interface TunnelDraft {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  /**
   * The two ends. The first initiates where both can be reached.
   *
   * @minItems 2
   * @maxItems 2
   */
  sites: [string, string]
  /**
   * MTU of the path between the ends, in bytes.
   */
  pathMtu?: number
}
export interface TunnelPage {
  items: Tunnel[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
export interface TunnelStatus {
  /**
   * Identifier of a tunnel.
   */
  tunnel: string
  /**
   * Of the key in use; 0 while there is none.
   */
  epoch: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  epochSince?: number
  /**
   * The one that is under way.
   */
  rotation?: string
  /**
   * Whom or what that rotation waits for.
   */
  waitingFor?: string
  ends: {
    /**
     * Identifier of a connector.
     */
    connector: string
    /**
     * Of its last report that was stored.
     */
    at: number
    report: {
      /**
       * Identifier of a tunnel.
       */
      tunnel: string
      state: 'up' | 'degraded' | 'connecting' | 'waiting' | 'idle' | 'closing' | 'refused'
      epochs: {
        epoch: number
        /**
         * A compact JSON Web Signature, EdDSA.
         */
        key?: string
        accepted: boolean
        using: boolean
        confirmed: boolean
        fingerprint?: string
      }[]
      traffic: {
        outPackets: number
        inPackets: number
        outBytes: number
        inBytes: number
        dropped: number
        missing?: number
      }
      problem?: {
        code: string
        cause: string
        remedy: string
      }
    }
  }[]
}
export interface ConnectorPage {
  items: Connector[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
export interface Connector {
  /**
   * Identifier of a connector.
   */
  id: string
  /**
   * Identifier of a site.
   */
  site: string
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  /**
   * A public key of 32 bytes, base64url without padding.
   */
  identityKey: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  joinedAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  revokedAt?: number
  /**
   * An IPv4 or IPv6 address.
   */
  seenAddress?: string
  addresses: string[]
  endpoint?: Endpoint
  software: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  lastSeenAt?: number
  linked: boolean
  documentVersion: number
  functions?: OfferedServices
}
/**
 * Where a connector can be reached from outside.
 */
export interface Endpoint {
  /**
   * An IPv4 or IPv6 address.
   */
  address: string
  /**
   * UDP port for IKE.
   */
  port: number
  /**
   * UDP port for IKE and ESP behind NAT.
   */
  natPort: number
}
/**
 * What a connector offers to functions.
 */
export interface OfferedServices {
  /**
   * WebSocket address.
   */
  direct?: string
  services: {
    /**
     * A service, as the connector at its site declares it.
     */
    name: string
    kind: 'http' | 'https' | 'tcp' | 'network'
  }[]
}
export interface JoinTokenDraft {
  /**
   * Identifier of a site.
   */
  site: string
  expiresInMinutes?: number
}
export interface NewJoinToken {
  /**
   * Identifier of a join.
   */
  id: string
  /**
   * Identifier of a site.
   */
  site: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  expiresAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  usedAt?: number
  /**
   * Identifier of a connector.
   */
  usedBy?: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  revokedAt?: number
  /**
   * The token itself. It is shown this once, and only its hash is kept.
   */
  token: string
}
export interface JoinTokenPage {
  items: JoinToken[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
export interface JoinToken {
  /**
   * Identifier of a join.
   */
  id: string
  /**
   * Identifier of a site.
   */
  site: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  expiresAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  usedAt?: number
  /**
   * Identifier of a connector.
   */
  usedBy?: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  revokedAt?: number
}
export interface ApiTokenDraft {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  /**
   * owner: everything, tokens too. operator: everything but tokens and deletion of the network. viewer: reads. rotation: starts and watches rotations.
   */
  role: 'owner' | 'operator' | 'viewer' | 'rotation'
  expiresInDays?: number
}
export interface NewApiToken {
  /**
   * Identifier of a token.
   */
  id: string
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  /**
   * owner: everything, tokens too. operator: everything but tokens and deletion of the network. viewer: reads. rotation: starts and watches rotations.
   */
  role: 'owner' | 'operator' | 'viewer' | 'rotation'
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  expiresAt?: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  lastUsedAt?: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  revokedAt?: number
  /**
   * The token itself. It is shown this once, and only its hash is kept.
   */
  token: string
}
export interface ApiTokenPage {
  items: ApiToken[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
export interface ApiToken {
  /**
   * Identifier of a token.
   */
  id: string
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  /**
   * owner: everything, tokens too. operator: everything but tokens and deletion of the network. viewer: reads. rotation: starts and watches rotations.
   */
  role: 'owner' | 'operator' | 'viewer' | 'rotation'
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  expiresAt?: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  lastUsedAt?: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  revokedAt?: number
}
export interface FunctionDraft {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  /**
   * What it may reach. The connector at the site must allow it too.
   */
  allow: {
    site: string
    services: string[]
  }[]
  /**
   * Its token is good for ever when absent.
   */
  expiresInDays?: number
}
export interface NewFunction {
  /**
   * Identifier of a function.
   */
  id: string
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  allow: {
    /**
     * Identifier of a site.
     */
    site: string
    services: string[]
  }[]
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  expiresAt?: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  lastGrantAt?: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  revokedAt?: number
  /**
   * Its token. It is shown this once, and only its hash is kept.
   */
  token: string
}
export interface FunctionPage {
  items: Function[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
/**
 * A program that may reach services behind connectors.
 */
export interface Function {
  /**
   * Identifier of a function.
   */
  id: string
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  allow: {
    /**
     * Identifier of a site.
     */
    site: string
    services: string[]
  }[]
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  expiresAt?: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  lastGrantAt?: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  revokedAt?: number
}
export interface FunctionChange {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  /**
   * What it may reach. The connector at the site must allow it too.
   */
  allow: {
    site: string
    services: string[]
  }[]
}
export interface PolicyDraft {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  tunnels?: string[]
  /**
   * Rotate keys that are older.
   */
  maxAgeHours?: number
  /**
   * Rotate at these times, UTC.
   */
  cron?: string
  canary?: boolean
  maxConcurrent?: number
  stopOnFailure?: boolean
  /**
   * Rotations begin only within one of them; none: at any time.
   */
  windows?: {
    cron: string
    minutes: number
  }[]
  enabled?: boolean
}
export interface Policy {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  tunnels: string[]
  /**
   * Rotate keys that are older.
   */
  maxAgeHours?: number
  /**
   * Rotate at these times, UTC.
   */
  cron?: string
  canary: boolean
  maxConcurrent: number
  stopOnFailure: boolean
  /**
   * Rotations begin only within one of them; none: at any time.
   */
  windows: {
    cron: string
    minutes: number
  }[]
  enabled: boolean
  /**
   * Identifier of a policy.
   */
  id: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  lastRunAt?: number
}
export interface PolicyPage {
  items: Policy[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
export interface RunDraft {
  /**
   * Every tunnel of the network when absent.
   */
  tunnels?: string[]
  /**
   * Only say what would be rotated.
   */
  dryRun?: boolean
  /**
   * The first rotation goes alone, and must end well before the others begin.
   */
  canary?: boolean
  maxConcurrent?: number
  stopOnFailure?: boolean
}
export interface RunAnswer {
  /**
   * Absent for a dry run.
   */
  run?: {
    /**
     * Identifier of a run.
     */
    id: string
    /**
     * Identifier of a policy.
     */
    policy?: string
    state: 'running' | 'done' | 'stopped' | 'aborted'
    startedBy: string
    /**
     * Milliseconds since 1970-01-01, UTC.
     */
    createdAt: number
    /**
     * Milliseconds since 1970-01-01, UTC.
     */
    finishedAt?: number
    canary: boolean
    maxConcurrent: number
    stopOnFailure: boolean
    counts: {
      queued: number
      active: number
      done: number
      aborted: number
    }
    reason?: string
  }
  /**
   * Of a dry run: in the order in which they would begin.
   */
  planned?: {
    /**
     * Identifier of a tunnel.
     */
    tunnel: string
    name: string
    why: string
    /**
     * Epoch of the present key.
     */
    from: number
  }[]
  /**
   * Tunnels that were meant and cannot be rotated now.
   */
  skipped: {
    /**
     * Identifier of a tunnel.
     */
    tunnel: string
    name: string
    why: string
  }[]
}
export interface RunPage {
  items: Run[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
export interface Run {
  /**
   * Identifier of a run.
   */
  id: string
  /**
   * Identifier of a policy.
   */
  policy?: string
  state: 'running' | 'done' | 'stopped' | 'aborted'
  startedBy: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  finishedAt?: number
  canary: boolean
  maxConcurrent: number
  stopOnFailure: boolean
  counts: {
    queued: number
    active: number
    done: number
    aborted: number
  }
  reason?: string
}
export interface RotationPage {
  items: Rotation[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
export interface Rotation {
  /**
   * Identifier of a rotation.
   */
  id: string
  /**
   * Identifier of a tunnel.
   */
  tunnel: string
  /**
   * Identifier of a run.
   */
  run?: string
  trigger: 'establish' | 'manual' | 'policy'
  state: 'queued' | 'preparing' | 'switching' | 'confirming' | 'retiring' | 'done' | 'aborting' | 'aborted'
  from?: number
  to: number
  oldFingerprint?: string
  newFingerprint?: string
  startedBy: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  begunAt?: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  stateSince: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  deadline?: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  finishedAt?: number
  reason?: string
  /**
   * A compact JSON Web Signature, EdDSA.
   */
  evidence?: string
}
export interface RolloutDraft {
  /**
   * What there is to be. This, or `version`.
   */
  intent?: {
    /**
     * The version that this was made from; refused when there is a newer one.
     */
    version?: number
    preferences?: Preferences
    sites: {
      /**
       * A name, unique among its kind in the network.
       */
      name: string
      /**
       * Networks at this site.
       */
      prefixes: string[]
      /**
       * Set it when the connector cannot find its public address itself.
       */
      endpoint?: {
        /**
         * An IPv4 or IPv6 address.
         */
        address: string
        /**
         * UDP port for IKE.
         */
        port?: number
        /**
         * UDP port for IKE and ESP behind NAT.
         */
        natPort?: number
      }
      /**
       * Identifier of a site.
       */
      id?: string
    }[]
    tunnels?: {
      /**
       * A name, unique among its kind in the network.
       */
      name: string
      /**
       * The two ends, by name or identifier.
       *
       * @minItems 2
       * @maxItems 2
       */
      sites: [string | string, string | string]
      /**
       * MTU of the path between the ends, in bytes.
       */
      pathMtu?: number
      /**
       * Identifier of a tunnel.
       */
      id?: string
    }[]
    routing?: RoutingDraft
  }
  /**
   * An old version of the intent, to go back to.
   */
  version?: number
  /**
   * The site that goes first; else the one with the fewest tunnels that is concerned.
   */
  canary?: string
  /**
   * The most of all sites in one batch; batches double until then.
   */
  batchPercent?: number
  watch?: RolloutWatch
  /**
   * Also where the plan says that a site would be cut off.
   */
  force?: boolean
}
export interface RolloutWatch {
  /**
   * How long the canary is watched.
   */
  canarySeconds?: number
  /**
   * How long each batch is watched.
   */
  batchSeconds?: number
  /**
   * More packets lost than this, in either direction of a tunnel, and it goes back.
   */
  lossPercent?: number
}
/**
 * A new version of the intent on its way to the sites.
 */
export interface Rollout {
  /**
   * Identifier of a rollout.
   */
  id: string
  state: 'planned' | 'canary' | 'batch' | 'watching' | 'rolling-back' | 'done' | 'rolled-back' | 'aborted' | 'failed'
  startedBy: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  stateSince: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  deadline?: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  finishedAt?: number
  base: number
  target: number
  restored?: number
  /**
   * Absent where no connector has anything to do.
   */
  canary?: string
  batchPercent: number
  watch: RolloutWatch
  force: boolean
  step: number
  counts: {
    sites: number
    in: number
    away: number
  }
  reason?: string
  fault?: {
    /**
     * A name, unique among its kind in the network.
     */
    site: string
    tunnel?: string
    measure: 'version' | 'passing' | 'bgp' | 'flaps' | 'loss' | 'refused' | 'silent'
    value: string
    limit: string
  }
}
export interface RolloutPage {
  items: Rollout[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
export interface RolloutDetail {
  /**
   * Identifier of a rollout.
   */
  id: string
  state: 'planned' | 'canary' | 'batch' | 'watching' | 'rolling-back' | 'done' | 'rolled-back' | 'aborted' | 'failed'
  startedBy: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  stateSince: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  deadline?: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  finishedAt?: number
  base: number
  target: number
  restored?: number
  /**
   * Absent where no connector has anything to do.
   */
  canary?: string
  batchPercent: number
  watch: RolloutWatch
  force: boolean
  step: number
  counts: {
    sites: number
    in: number
    away: number
  }
  reason?: string
  fault?: {
    /**
     * A name, unique among its kind in the network.
     */
    site: string
    tunnel?: string
    measure: 'version' | 'passing' | 'bgp' | 'flaps' | 'loss' | 'refused' | 'silent'
    value: string
    limit: string
  }
  /**
   * In their order; the canary is first.
   */
  sites: RolloutSite[]
}
export interface RolloutSite {
  /**
   * Identifier of a site.
   */
  site: string
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  in: boolean
  away: boolean
  waitingFor?: string
}
/**
 * A VPN connection to AWS, as it is wanted.
 */
export interface CloudDraft {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  provider?: 'aws'
  /**
   * The site whose connector has the tunnels, by name or identifier.
   */
  site: string
  /**
   * The provider’s region.
   */
  region: string
  target: CloudTarget
  gateway?: {
    /**
     * An IPv4 or IPv6 address.
     */
    address?: string
    as?: number
  }
  routing?: 'bgp' | 'static'
  /**
   * What AWS is told that lies behind the site. Absent: the prefixes of the site.
   */
  local?: string[]
  /**
   * What lies behind AWS. Absent: the blocks of the VPC; a transit gateway needs it said.
   */
  remote?: string[]
  /**
   * Route tables that learn the way to the site.
   */
  routeTables?: ('all' | 'main' | 'none') | string[]
  options?: AwsOptions
  /**
   * The /30 of each tunnel, of 169.254.0.0/16. Absent: free ones are chosen.
   */
  insideCidrs?: string[]
  /**
   * Rotation policy by which its keys are rotated, by name or identifier.
   */
  policy?: string
}
export interface AwsOptions {
  encryption?: ('AES256-GCM-16' | 'AES128-GCM-16' | 'AES256' | 'AES128')[]
  integrity?: ('SHA2-512' | 'SHA2-384' | 'SHA2-256')[]
  groups?: 20[]
  ikeLifetimeS?: number
  childLifetimeS?: number
  rekeyMarginS?: number
  rekeyFuzzPercent?: number
  replayWindow?: number
  dpdS?: number
  dpdAction?: 'restart' | 'clear' | 'none'
  startup?: 'start' | 'add'
}
/**
 * A VPN connection to AWS.
 */
export interface Cloud {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  provider: 'aws'
  /**
   * The provider’s region.
   */
  region: string
  target: CloudTarget
  gateway: {
    /**
     * An IPv4 or IPv6 address.
     */
    address?: string
    as?: number
  }
  routing: 'bgp' | 'static'
  /**
   * What AWS is told that lies behind the site. Absent: the prefixes of the site.
   */
  local?: string[]
  /**
   * What lies behind AWS. Absent: the blocks of the VPC; a transit gateway needs it said.
   */
  remote?: string[]
  /**
   * Route tables that learn the way to the site.
   */
  routeTables: ('all' | 'main' | 'none') | string[]
  options?: AwsOptions
  /**
   * The /30 of each tunnel, of 169.254.0.0/16. Absent: free ones are chosen.
   */
  insideCidrs?: string[]
  /**
   * Rotation policy by which its keys are rotated, by name or identifier.
   */
  policy?: string
  /**
   * Identifier of a cloud.
   */
  id: string
  /**
   * Identifier of a site.
   */
  site: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  state: 'new' | 'applying' | 'up' | 'degraded' | 'down' | 'rotating' | 'destroying'
  resources: {
    kind:
      | 'customer-gateway'
      | 'vpn-gateway'
      | 'vpn-attachment'
      | 'vpn-connection'
      | 'vpn-route'
      | 'route-propagation'
      | 'route'
    id: string
    made: boolean
  }[]
  tunnels: {
    /**
     * Identifier of a external.
     */
    external: string
    /**
     * A name, unique among its kind in the network.
     */
    name: string
    /**
     * An IPv4 or IPv6 network prefix; host bits must be zero.
     */
    insideCidr: string
    /**
     * An IPv4 or IPv6 address.
     */
    outside?: string
    key?: {
      id: string
      fingerprint: string
      /**
       * Milliseconds since 1970-01-01, UTC.
       */
      since: number
    }
    provider?: {
      status: 'UP' | 'DOWN'
      /**
       * Milliseconds since 1970-01-01, UTC.
       */
      since?: number
      message?: string
    }
    connector?: {
      state: string
      passing: boolean
      bgp?: boolean
    }
  }[]
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  lookedAt?: number
  drift: CloudDrift[]
  /**
   * Identifier of a cloudRun.
   */
  run?: string
}
export interface CloudDrift {
  code:
    | 'missing'
    | 'option-changed'
    | 'route-missing'
    | 'propagation-missing'
    | 'tag-missing'
    | 'endpoint-moved'
    | 'address-differs'
    | 'unknown-resource'
    | 'vpc-changed'
  resource: string
  detail: string
  remedy: string
  fixable: boolean
}
export interface CloudPage {
  items: Cloud[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
export interface CloudPlanRequest {
  draft: CloudDraft
  prices?: CloudPrices
}
/**
 * Prices and amounts that a cost estimate is made from, in dollars.
 */
export interface CloudPrices {
  connectionHour?: number
  transitAttachmentHour?: number
  transitGigabyte?: number
  outGigabyte?: number
  gigabytesOut?: number
  gigabytesIn?: number
  hours?: number
}
/**
 * What would be done at AWS.
 */
export interface CloudPlan {
  /**
   * A name, unique among its kind in the network.
   */
  name: string
  steps: {
    action: string
    resource: string
    detail: string
  }[]
  drift: CloudDrift[]
  findings: {
    severity: 'error' | 'warning'
    code: string
    detail: string
    remedy: string
  }[]
  cost: {
    currency: 'USD'
    perMonth: number
    lines: {
      what: string
      amount: number
    }[]
  }
}
/**
 * What AWS has that differs from what is wanted, as of now.
 */
export interface CloudLook {
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  lookedAt: number
  drift: CloudDrift[]
}
export interface CloudRunDraft {
  kind: 'apply' | 'fix' | 'rotate' | 'destroy'
  acceptLoss?: boolean
}
/**
 * A piece of work at a cloud provider, journaled step by step.
 */
export interface CloudRun {
  /**
   * Identifier of a cloudRun.
   */
  id: string
  /**
   * Identifier of a cloud.
   */
  cloud: string
  kind: 'apply' | 'fix' | 'rotate' | 'destroy'
  state: 'running' | 'aborting' | 'done' | 'failed' | 'aborted'
  startedBy: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  createdAt: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  finishedAt?: number
  steps: {
    action: string
    resource: string
    detail: string
    state: 'begun' | 'done' | 'failed'
    /**
     * Milliseconds since 1970-01-01, UTC.
     */
    begunAt: number
    /**
     * Milliseconds since 1970-01-01, UTC.
     */
    endedAt?: number
    attempts: number
  }[]
  waitingFor?: string
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  deadline?: number
  progress: number
  error?: {
    code: string
    cause: string
    remedy: string
  }
  /**
   * A compact JSON Web Signature, EdDSA.
   */
  evidence?: string
}
export interface CloudRunPage {
  items: CloudRun[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
export interface AuditPage {
  items: AuditEvent[]
  /**
   * Cursor of the next page; absent on the last one.
   */
  next?: string
}
export interface AuditEvent {
  seq: number
  /**
   * Milliseconds since 1970-01-01, UTC.
   */
  at: number
  actor: string
  action: string
  target: string
  before?: unknown
  after?: unknown
  requestId?: string
  previous: string
  hash: string
}

/** Where each operation is. `match`: If-Match must come with it. */
export const ROUTES = {
  'networks.create': { method: 'POST', path: '/v1/networks', match: false },
  'networks.list': { method: 'GET', path: '/v1/networks', match: false },
  'networks.get': { method: 'GET', path: '/v1/networks/{network}', match: false },
  'networks.remove': { method: 'DELETE', path: '/v1/networks/{network}', match: true },
  'intent.get': { method: 'GET', path: '/v1/networks/{network}/intent', match: false },
  'intent.replace': { method: 'PUT', path: '/v1/networks/{network}/intent', match: true },
  'intent.plan': { method: 'POST', path: '/v1/networks/{network}/plan', match: false },
  'preferences.get': { method: 'GET', path: '/v1/networks/{network}/preferences', match: false },
  'preferences.replace': { method: 'PUT', path: '/v1/networks/{network}/preferences', match: true },
  'sites.create': { method: 'POST', path: '/v1/networks/{network}/sites', match: false },
  'sites.list': { method: 'GET', path: '/v1/networks/{network}/sites', match: false },
  'sites.get': { method: 'GET', path: '/v1/networks/{network}/sites/{site}', match: false },
  'sites.replace': { method: 'PUT', path: '/v1/networks/{network}/sites/{site}', match: true },
  'sites.remove': { method: 'DELETE', path: '/v1/networks/{network}/sites/{site}', match: true },
  'tunnels.create': { method: 'POST', path: '/v1/networks/{network}/tunnels', match: false },
  'tunnels.list': { method: 'GET', path: '/v1/networks/{network}/tunnels', match: false },
  'tunnels.get': { method: 'GET', path: '/v1/networks/{network}/tunnels/{tunnel}', match: false },
  'tunnels.replace': { method: 'PUT', path: '/v1/networks/{network}/tunnels/{tunnel}', match: true },
  'tunnels.remove': { method: 'DELETE', path: '/v1/networks/{network}/tunnels/{tunnel}', match: true },
  'tunnels.status': { method: 'GET', path: '/v1/networks/{network}/tunnels/{tunnel}/status', match: false },
  'connectors.list': { method: 'GET', path: '/v1/networks/{network}/connectors', match: false },
  'connectors.get': { method: 'GET', path: '/v1/networks/{network}/connectors/{connector}', match: false },
  'connectors.revoke': { method: 'POST', path: '/v1/networks/{network}/connectors/{connector}/revoke', match: false },
  'joinTokens.create': { method: 'POST', path: '/v1/networks/{network}/join-tokens', match: false },
  'joinTokens.list': { method: 'GET', path: '/v1/networks/{network}/join-tokens', match: false },
  'joinTokens.get': { method: 'GET', path: '/v1/networks/{network}/join-tokens/{join}', match: false },
  'joinTokens.revoke': { method: 'DELETE', path: '/v1/networks/{network}/join-tokens/{join}', match: true },
  'tokens.create': { method: 'POST', path: '/v1/networks/{network}/tokens', match: false },
  'tokens.list': { method: 'GET', path: '/v1/networks/{network}/tokens', match: false },
  'tokens.get': { method: 'GET', path: '/v1/networks/{network}/tokens/{token}', match: false },
  'tokens.revoke': { method: 'DELETE', path: '/v1/networks/{network}/tokens/{token}', match: true },
  'functions.create': { method: 'POST', path: '/v1/networks/{network}/functions', match: false },
  'functions.list': { method: 'GET', path: '/v1/networks/{network}/functions', match: false },
  'functions.get': { method: 'GET', path: '/v1/networks/{network}/functions/{function}', match: false },
  'functions.replace': { method: 'PUT', path: '/v1/networks/{network}/functions/{function}', match: true },
  'functions.revoke': { method: 'DELETE', path: '/v1/networks/{network}/functions/{function}', match: true },
  'functions.renew': { method: 'POST', path: '/v1/networks/{network}/functions/{function}/token', match: false },
  'policies.create': { method: 'POST', path: '/v1/networks/{network}/policies', match: false },
  'policies.list': { method: 'GET', path: '/v1/networks/{network}/policies', match: false },
  'policies.get': { method: 'GET', path: '/v1/networks/{network}/policies/{policy}', match: false },
  'policies.replace': { method: 'PUT', path: '/v1/networks/{network}/policies/{policy}', match: true },
  'policies.remove': { method: 'DELETE', path: '/v1/networks/{network}/policies/{policy}', match: true },
  'runs.create': { method: 'POST', path: '/v1/networks/{network}/runs', match: false },
  'runs.list': { method: 'GET', path: '/v1/networks/{network}/runs', match: false },
  'runs.get': { method: 'GET', path: '/v1/networks/{network}/runs/{run}', match: false },
  'runs.abort': { method: 'POST', path: '/v1/networks/{network}/runs/{run}/abort', match: false },
  'rotations.list': { method: 'GET', path: '/v1/networks/{network}/rotations', match: false },
  'rotations.get': { method: 'GET', path: '/v1/networks/{network}/rotations/{rotation}', match: false },
  'rotations.abort': { method: 'POST', path: '/v1/networks/{network}/rotations/{rotation}/abort', match: false },
  'rollouts.create': { method: 'POST', path: '/v1/networks/{network}/rollouts', match: false },
  'rollouts.list': { method: 'GET', path: '/v1/networks/{network}/rollouts', match: false },
  'rollouts.get': { method: 'GET', path: '/v1/networks/{network}/rollouts/{rollout}', match: false },
  'rollouts.abort': { method: 'POST', path: '/v1/networks/{network}/rollouts/{rollout}/abort', match: false },
  'rollouts.rollback': { method: 'POST', path: '/v1/networks/{network}/rollouts/{rollout}/rollback', match: false },
  'clouds.create': { method: 'POST', path: '/v1/networks/{network}/clouds', match: false },
  'clouds.list': { method: 'GET', path: '/v1/networks/{network}/clouds', match: false },
  'clouds.get': { method: 'GET', path: '/v1/networks/{network}/clouds/{cloud}', match: false },
  'clouds.replace': { method: 'PUT', path: '/v1/networks/{network}/clouds/{cloud}', match: true },
  'clouds.remove': { method: 'DELETE', path: '/v1/networks/{network}/clouds/{cloud}', match: true },
  'clouds.plan': { method: 'POST', path: '/v1/networks/{network}/cloud-plan', match: false },
  'clouds.drift': { method: 'GET', path: '/v1/networks/{network}/clouds/{cloud}/drift', match: false },
  'cloudRuns.create': { method: 'POST', path: '/v1/networks/{network}/clouds/{cloud}/runs', match: false },
  'cloudRuns.list': { method: 'GET', path: '/v1/networks/{network}/clouds/{cloud}/runs', match: false },
  'cloudRuns.get': { method: 'GET', path: '/v1/networks/{network}/cloud-runs/{cloudRun}', match: false },
  'cloudRuns.abort': { method: 'POST', path: '/v1/networks/{network}/cloud-runs/{cloudRun}/abort', match: false },
  'audit.list': { method: 'GET', path: '/v1/networks/{network}/audit', match: false },
  'audit.verify': { method: 'GET', path: '/v1/networks/{network}/audit/verify', match: false },
} as const
