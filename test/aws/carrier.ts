/** The boundary between the EC2 stand-in, which answers the API, and the network behind it, which carries packets. */

/** One of the two tunnels of a VPN connection, as the API holds it. */
export interface CarriedTunnel {
  /** The provider's outer address. */
  readonly outside: string
  /** A /30; the provider has its first host, the customer the second. */
  readonly insideCidr: string
  readonly psk: string
  /** In AWS's words: `AES256-GCM-16`, `SHA2-384`, 20. */
  readonly phase1: {
    readonly encryption: readonly string[]
    readonly integrity: readonly string[]
    readonly groups: readonly number[]
    readonly lifetimeS: number
  }
  readonly phase2: {
    readonly encryption: readonly string[]
    readonly integrity: readonly string[]
    readonly groups: readonly number[]
    readonly lifetimeS: number
  }
  readonly dpd: { readonly action: 'clear' | 'none' | 'restart'; readonly timeoutS: number }
  /** start: the provider initiates. */
  readonly startup: 'add' | 'start'
}

export interface CarriedConnection {
  readonly id: string
  readonly customer: { readonly address: string; readonly as: number }
  readonly amazonAs: number
  /** Without BGP: the site's prefixes, as they were written down. */
  readonly staticRoutes?: readonly string[]
  /** What the provider announces: the blocks of the VPC. */
  readonly announces: readonly string[]
  readonly tunnels: readonly [CarriedTunnel, CarriedTunnel]
}

export interface CarriedStatus {
  readonly up: boolean
  /** Milliseconds since 1970. */
  readonly since: number
  readonly acceptedRoutes: number
  /** Prefixes that came by BGP; absent where that is not known. */
  readonly accepted?: readonly string[]
  readonly message: string
}

export interface Carrier {
  /** Two outer addresses of the provider's for a new connection; throws where there are no more. */
  allocate(id: string): readonly [string, string]
  /** Starts both endpoints; resolves when their daemons answer. */
  start(connection: CarriedConnection): Promise<void>
  /** Takes one tunnel down, as AWS does while it changes options; `bringUp` puts it there again with what holds then. */
  takeDown(id: string, tunnel: 0 | 1): Promise<void>
  bringUp(connection: CarriedConnection, tunnel: 0 | 1): Promise<void>
  /** Static routes have changed. */
  routes(connection: CarriedConnection): Promise<void>
  status(id: string): Promise<readonly [CarriedStatus, CarriedStatus]>
  stop(id: string): Promise<void>
  /** The endpoint dies without a word, and after a while another has its address. Absent: it is taken down and up. */
  replace?(id: string, tunnel: 0 | 1, how: { readonly silentMs: number }): Promise<void>
}
