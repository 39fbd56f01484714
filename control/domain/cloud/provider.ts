/**
 * The boundary to cloud providers: what is there, as plain data, and what can be done about it. `control/aws` carries it
 * out with the EC2 API; everything that decides is pure and knows only these types.
 */
import type { AwsOptions, CloudTarget } from '../../../protocol/control/cloud.ts'

/** Tags that mark what is ours; nothing without them is ever removed. */
export const TAG_NETWORK = 'isthmus:network'
export const TAG_CLOUD = 'isthmus:cloud'
export const TAG_SITE = 'isthmus:site'

export type Tags = Readonly<Record<string, string>>

/** What to look for, of one connection. */
export interface Subject {
  /** `cld_...`. */
  readonly cloud: string
  readonly network: string
  readonly region: string
  readonly target: CloudTarget
  /** Of resources that were made or used, by kind: found also where somebody took their tags away. */
  readonly known: readonly string[]
}

export interface SeenCustomerGateway {
  readonly id: string
  readonly state: 'pending' | 'available' | 'deleting' | 'deleted'
  readonly address: string
  readonly as: number
  readonly tags: Tags
}

export interface SeenVpnGateway {
  readonly id: string
  readonly state: 'pending' | 'available' | 'deleting' | 'deleted'
  readonly as: number
  readonly attachments: readonly {
    readonly vpc: string
    readonly state: 'attaching' | 'attached' | 'detaching' | 'detached'
  }[]
  readonly tags: Tags
}

export interface SeenTransitGateway {
  readonly id: string
  readonly state: 'pending' | 'available' | 'modifying' | 'deleting' | 'deleted'
  readonly as: number
  /** VPCs that are attached. */
  readonly vpcs: readonly string[]
}

export interface SeenTunnel {
  readonly outside?: string
  readonly insideCidr?: string
  readonly status?: 'UP' | 'DOWN'
  readonly statusSince?: number
  readonly statusMessage?: string
  readonly acceptedRoutes?: number
  /** As the API answers; a list in AWS's order. `startup` and the like as AWS spells them in lower case. */
  readonly options: Partial<AwsOptions>
  readonly ikeVersions: readonly string[]
  /**
   * SHA-256, first 16 hex digits of `isthmus fingerprint` and the key's text, as everywhere: the key itself is dropped
   * by the adapter as soon as it is read. Absent where the answer does not show it.
   */
  readonly keyFingerprint?: string
}

export interface SeenVpnConnection {
  readonly id: string
  readonly state: 'pending' | 'available' | 'modifying' | 'deleting' | 'deleted'
  readonly customerGateway: string
  readonly vpnGateway?: string
  readonly transitGateway?: string
  readonly staticRoutesOnly: boolean
  readonly routes: readonly {
    readonly prefix: string
    readonly state: 'pending' | 'available' | 'deleting' | 'deleted'
  }[]
  readonly tunnels: readonly SeenTunnel[]
  readonly tags: Tags
}

export interface SeenRouteTable {
  readonly id: string
  readonly vpc: string
  readonly main: boolean
  /** Gateways whose routes it learns. */
  readonly propagating: readonly string[]
  readonly routes: readonly {
    readonly prefix: string
    /** `local`, `vgw-...`, `tgw-...`, or whatever else it leads to. */
    readonly target: string
    readonly state: 'active' | 'blackhole'
    readonly origin: 'table' | 'created' | 'propagated'
  }[]
}

/** All that is there of one connection, and around it. Deleted things may still be listed, as deleted. */
export interface Seen {
  readonly vpcs: readonly {
    readonly id: string
    readonly state: 'pending' | 'available'
    readonly blocks: readonly string[]
  }[]
  /** Tagged as ours, known, or of the same address and AS as ours would be. */
  readonly customerGateways: readonly SeenCustomerGateway[]
  /** Tagged as ours, known, named in the target, or attached to its VPC. */
  readonly vpnGateways: readonly SeenVpnGateway[]
  readonly transitGateway?: SeenTransitGateway
  readonly vpnConnections: readonly SeenVpnConnection[]
  readonly routeTables: readonly SeenRouteTable[]
  /** /30s inside tunnels of all VPN connections in the region that we may see, but those of this connection. */
  readonly takenInside: readonly string[]
}

/** One call that changes something. A key stands as the name of a secret; `perform` is given the texts beside. */
export type CloudAction =
  | { readonly type: 'create-customer-gateway'; readonly address: string; readonly as: number; readonly tags: Tags }
  | { readonly type: 'create-vpn-gateway'; readonly as: number; readonly tags: Tags }
  | { readonly type: 'attach-vpn-gateway'; readonly vpnGateway: string; readonly vpc: string }
  | {
      readonly type: 'create-vpn-connection'
      readonly customerGateway: string
      readonly vpnGateway?: string
      readonly transitGateway?: string
      readonly staticRoutesOnly: boolean
      readonly tunnels: readonly {
        readonly insideCidr: string
        readonly options: AwsOptions
        readonly secret: string
      }[]
      readonly tags: Tags
    }
  | { readonly type: 'create-vpn-route'; readonly vpnConnection: string; readonly prefix: string }
  | { readonly type: 'delete-vpn-route'; readonly vpnConnection: string; readonly prefix: string }
  | { readonly type: 'enable-propagation'; readonly routeTable: string; readonly vpnGateway: string }
  | { readonly type: 'disable-propagation'; readonly routeTable: string; readonly vpnGateway: string }
  | { readonly type: 'create-route'; readonly routeTable: string; readonly prefix: string; readonly target: string }
  | { readonly type: 'delete-route'; readonly routeTable: string; readonly prefix: string }
  | {
      readonly type: 'modify-tunnel'
      readonly vpnConnection: string
      readonly outside: string
      /** Only what is to change. */
      readonly options: Partial<AwsOptions>
      readonly secret?: string
    }
  | { readonly type: 'tag'; readonly resource: string; readonly tags: Tags }
  | { readonly type: 'delete-vpn-connection'; readonly vpnConnection: string }
  | { readonly type: 'detach-vpn-gateway'; readonly vpnGateway: string; readonly vpc: string }
  | { readonly type: 'delete-vpn-gateway'; readonly vpnGateway: string }
  | { readonly type: 'delete-customer-gateway'; readonly customerGateway: string }

export type CloudActionType = CloudAction['type']

/** The identifier of what was made, where something was. */
export interface ActionResult {
  readonly id?: string
}

/**
 * Why a call failed. `gone`: what it concerns is not there. `exists`: it is there already. `later`: throttled, or not
 * visible yet; the call was surely not carried out, and may be repeated. `unknown`: it may have been carried out; look
 * before it is repeated. The others need a person: `credentials`, `forbidden` (`iamAction` is missing), `quota`,
 * `invalid`, `in-use`, `unsupported`.
 */
export type CloudFailureKind =
  | 'gone'
  | 'exists'
  | 'later'
  | 'unknown'
  | 'credentials'
  | 'forbidden'
  | 'quota'
  | 'invalid'
  | 'in-use'
  | 'unsupported'

export class CloudFailure extends Error {
  override readonly name = 'CloudFailure'
  readonly kind: CloudFailureKind
  /** The provider's code, for example `VpnConnectionLimitExceeded`. */
  readonly code: string
  /** One sentence without secrets. */
  readonly remedy: string
  readonly iamAction: string | undefined

  constructor(kind: CloudFailureKind, code: string, cause: string, remedy: string, iamAction?: string) {
    super(cause)
    this.kind = kind
    this.code = code
    this.remedy = remedy
    this.iamAction = iamAction
  }
}

export interface CloudProvider {
  /** Each subject's own view, in their order. Calls are batched by region and paced below the provider's limits. */
  look(subjects: readonly Subject[]): Promise<readonly Seen[]>
  /** Throws CloudFailure. `secrets` has the text of every key that the action names. Repeats nothing that is unsafe. */
  perform(region: string, action: CloudAction, secrets: ReadonlyMap<string, string>): Promise<ActionResult>
}
