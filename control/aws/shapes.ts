/** From the API's answers to what the domain sees. Everything may be missing in an answer; what makes no sense is left out. */
import type {
  CustomerGateway,
  RouteTable,
  Tag,
  TransitGateway,
  TunnelOption,
  Vpc,
  VpnConnection,
  VpnGateway,
} from '@aws-sdk/client-ec2'
import type { AwsOptions } from '../../protocol/control/cloud.ts'
import type {
  Seen,
  SeenCustomerGateway,
  SeenRouteTable,
  SeenTransitGateway,
  SeenTunnel,
  SeenVpnConnection,
  SeenVpnGateway,
  Tags,
} from '../domain/cloud/provider.ts'
import { pskFingerprint } from '../domain/cloud/rules.ts'
import { readConfiguration } from './customer-gateway-configuration.ts'

const MOST_MESSAGE = 256

export function tagsOf(tags: readonly Tag[] | undefined): Tags {
  return Object.fromEntries((tags ?? []).flatMap(({ Key, Value }) => (Key === undefined ? [] : [[Key, Value ?? '']])))
}

export function vpcOf({ VpcId, State, CidrBlockAssociationSet, CidrBlock }: Vpc): Seen['vpcs'][number] | undefined {
  if (VpcId === undefined) return undefined
  const associated = (CidrBlockAssociationSet ?? []).flatMap(({ CidrBlock: block, CidrBlockState }) =>
    block !== undefined && CidrBlockState?.State !== 'disassociated' ? [block] : [],
  )
  const blocks = associated.length > 0 ? associated : CidrBlock === undefined ? [] : [CidrBlock]
  return { id: VpcId, state: State === 'pending' ? 'pending' : 'available', blocks }
}

export function customerGatewayOf(answer: CustomerGateway): SeenCustomerGateway | undefined {
  const { CustomerGatewayId: id, IpAddress: address, BgpAsn, BgpAsnExtended, State, Tags: tags } = answer
  if (id === undefined || address === undefined) return undefined
  return { id, state: stateOf(State), address, as: Number(BgpAsnExtended ?? BgpAsn ?? 0), tags: tagsOf(tags) }
}

export function vpnGatewayOf({ VpnGatewayId, State, AmazonSideAsn, VpcAttachments, Tags: tags }: VpnGateway) {
  if (VpnGatewayId === undefined) return undefined
  return {
    id: VpnGatewayId,
    state: stateOf(State),
    as: Number(AmazonSideAsn ?? 0),
    attachments: (VpcAttachments ?? []).flatMap(({ VpcId: vpc, State: state }) =>
      vpc === undefined ? [] : [{ vpc, state: attachmentState(state) }],
    ),
    tags: tagsOf(tags),
  } satisfies SeenVpnGateway
}

export function transitGatewayOf(
  { TransitGatewayId, State, Options }: TransitGateway,
  vpcs: readonly string[],
): SeenTransitGateway | undefined {
  if (TransitGatewayId === undefined) return undefined
  const state = State === 'modifying' ? 'modifying' : stateOf(State)
  return { id: TransitGatewayId, state, as: Number(Options?.AmazonSideAsn ?? 0), vpcs }
}

export function routeTableOf(answer: RouteTable): SeenRouteTable | undefined {
  const { RouteTableId: id, VpcId: vpc, Associations, PropagatingVgws, Routes } = answer
  if (id === undefined || vpc === undefined) return undefined
  return {
    id,
    vpc,
    main: Associations?.some(({ Main }) => Main === true) ?? false,
    propagating: (PropagatingVgws ?? []).flatMap(({ GatewayId }) => GatewayId ?? []),
    routes: (Routes ?? []).flatMap((route) => {
      const { DestinationCidrBlock: prefix, Origin, State } = route
      if (prefix === undefined) return []
      const target =
        route.GatewayId ?? route.TransitGatewayId ?? route.NatGatewayId ?? route.NetworkInterfaceId ?? 'other'
      const origin = Origin === 'CreateRouteTable' ? 'table' : Origin === 'CreateRoute' ? 'created' : 'propagated'
      return [{ prefix, target, origin, state: State === 'blackhole' ? 'blackhole' : 'active' } as const]
    }),
  }
}

export function vpnConnectionOf(answer: VpnConnection): SeenVpnConnection | undefined {
  const { VpnConnectionId: id, CustomerGatewayId, State, Options, Routes, Tags: tags } = answer
  if (id === undefined) return undefined
  return {
    id,
    // The SDK's model does not name it.
    state: (State as string | undefined) === 'modifying' ? 'modifying' : stateOf(State),
    customerGateway: CustomerGatewayId ?? '',
    ...(answer.VpnGatewayId === undefined ? {} : { vpnGateway: answer.VpnGatewayId }),
    ...(answer.TransitGatewayId === undefined ? {} : { transitGateway: answer.TransitGatewayId }),
    staticRoutesOnly: Options?.StaticRoutesOnly === true,
    routes: (Routes ?? []).flatMap(({ DestinationCidrBlock: prefix, State: state }) =>
      prefix === undefined ? [] : [{ prefix, state: stateOf(state) }],
    ),
    tunnels: tunnelsOf(answer),
    tags: tagsOf(tags),
  }
}

/** What the list of options leaves out, the configuration document may have. */
function tunnelsOf({ Options, VgwTelemetry, CustomerGatewayConfiguration }: VpnConnection): SeenTunnel[] {
  const written = CustomerGatewayConfiguration === undefined ? [] : readConfiguration(CustomerGatewayConfiguration)
  const listed = Options?.TunnelOptions ?? []
  const count = Math.max(listed.length, written.length)
  return Array.from({ length: Math.min(count, 2) }, (_, index): SeenTunnel => {
    const option = listed[index] ?? {}
    const address = option.OutsideIpAddress
    const document = address === undefined ? written[index] : written.find(({ outside }) => outside === address)
    const outside = address ?? document?.outside
    const told = VgwTelemetry?.find(({ OutsideIpAddress }) => OutsideIpAddress === outside)
    const psk = option.PreSharedKey ?? document?.psk
    return {
      ...given('outside', outside),
      ...given('insideCidr', option.TunnelInsideCidr ?? document?.insideCidr),
      ...(told?.Status === 'UP' || told?.Status === 'DOWN' ? { status: told.Status } : {}),
      ...given('statusSince', told?.LastStatusChange?.getTime()),
      ...given('statusMessage', told?.StatusMessage?.slice(0, MOST_MESSAGE)),
      ...given('acceptedRoutes', told?.AcceptedRouteCount),
      ...given('keyFingerprint', psk === undefined ? undefined : pskFingerprint(psk)),
      options: optionsOf(option),
      ikeVersions: values(option.IkeVersions).map(String),
    }
  })
}

/** Also what we do not know, as AWS spells it: it differs from everything that can be wanted. */
function optionsOf(option: TunnelOption): Partial<AwsOptions> {
  return {
    ...given('encryption', ofBoth(option.Phase1EncryptionAlgorithms, option.Phase2EncryptionAlgorithms)),
    ...given('integrity', ofBoth(option.Phase1IntegrityAlgorithms, option.Phase2IntegrityAlgorithms)),
    ...given('groups', ofBoth(option.Phase1DHGroupNumbers, option.Phase2DHGroupNumbers)),
    ...given('ikeLifetimeS', option.Phase1LifetimeSeconds),
    ...given('childLifetimeS', option.Phase2LifetimeSeconds),
    ...given('rekeyMarginS', option.RekeyMarginTimeSeconds),
    ...given('rekeyFuzzPercent', option.RekeyFuzzPercentage),
    ...given('replayWindow', option.ReplayWindowSize),
    ...given('dpdS', option.DpdTimeoutSeconds),
    ...given('dpdAction', option.DpdTimeoutAction),
    ...given('startup', option.StartupAction),
  } as Partial<AwsOptions>
}

type Listed = readonly { readonly Value?: string | number | undefined }[] | undefined

/** We want the same of both phases. Where they differ, both lists: those equal nothing that can be wanted. */
function ofBoth(first: Listed, second: Listed): (string | number)[] | undefined {
  const [one, two] = [values(first), values(second)]
  if (one.length === 0 || two.length === 0) return one.length + two.length === 0 ? undefined : [...one, ...two]
  const [ones, twos] = [new Set(one), new Set(two)]
  return ones.symmetricDifference(twos).size === 0 ? one : [...one, ...two]
}

function values(list: Listed): (string | number)[] {
  return (list ?? []).flatMap(({ Value }) => (Value === undefined ? [] : [Value]))
}

/** In a state that we do not know it is not to be worked with yet. */
function stateOf(state: string | undefined): 'pending' | 'available' | 'deleting' | 'deleted' {
  return state === 'available' || state === 'deleting' || state === 'deleted' ? state : 'pending'
}

function attachmentState(state: string | undefined): SeenVpnGateway['attachments'][number]['state'] {
  return state === 'attached' || state === 'detaching' || state === 'detached' ? state : 'attaching'
}

function given<K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: T }
}
