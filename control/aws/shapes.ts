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
import { AWS_ENCRYPTION, AWS_GROUPS, AWS_INTEGRITY, type AwsOptions } from '../../protocol/control/cloud.ts'
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
      vpc === undefined
        ? []
        : [{ vpc, state: (state ?? 'detached') as SeenVpnGateway['attachments'][number]['state'] }],
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
    const document = written.find(({ outside }) => outside === option.OutsideIpAddress) ?? written[index]
    const outside = option.OutsideIpAddress ?? document?.outside
    const told = VgwTelemetry?.find(({ OutsideIpAddress }) => OutsideIpAddress === outside)
    const psk = option.PreSharedKey ?? document?.psk
    return {
      ...given('outside', outside),
      ...given('insideCidr', option.TunnelInsideCidr ?? document?.insideCidr),
      ...(told?.Status === 'UP' || told?.Status === 'DOWN' ? { status: told.Status } : {}),
      ...given('statusSince', told?.LastStatusChange?.getTime()),
      ...given('statusMessage', told?.StatusMessage?.slice(0, 256)),
      ...given('acceptedRoutes', told?.AcceptedRouteCount),
      ...given('keyFingerprint', psk === undefined ? undefined : pskFingerprint(psk)),
      options: optionsOf(option),
      ikeVersions: (option.IkeVersions ?? []).flatMap(({ Value }) => Value ?? []),
    }
  })
}

function optionsOf(option: TunnelOption): Partial<AwsOptions> {
  const encryption = values(option.Phase1EncryptionAlgorithms).filter((each) => AWS_ENCRYPTION.includes(each as never))
  const integrity = values(option.Phase1IntegrityAlgorithms).filter((each) => AWS_INTEGRITY.includes(each as never))
  const groups = values(option.Phase1DHGroupNumbers).filter((each) => AWS_GROUPS.includes(each as never))
  // One that we do not know differs from what is wanted all the same.
  const all = <T>(known: readonly T[], list: { length: number } | undefined) =>
    list === undefined || list.length === 0 ? undefined : known
  return {
    ...given('encryption', all(encryption, option.Phase1EncryptionAlgorithms) as AwsOptions['encryption'] | undefined),
    ...given('integrity', all(integrity, option.Phase1IntegrityAlgorithms) as AwsOptions['integrity'] | undefined),
    ...given('groups', all(groups, option.Phase1DHGroupNumbers) as AwsOptions['groups'] | undefined),
    ...given('ikeLifetimeS', option.Phase1LifetimeSeconds),
    ...given('childLifetimeS', option.Phase2LifetimeSeconds),
    ...given('rekeyMarginS', option.RekeyMarginTimeSeconds),
    ...given('rekeyFuzzPercent', option.RekeyFuzzPercentage),
    ...given('replayWindow', option.ReplayWindowSize),
    ...given('dpdS', option.DpdTimeoutSeconds),
    ...given('dpdAction', option.DpdTimeoutAction as AwsOptions['dpdAction'] | undefined),
    ...given('startup', option.StartupAction as AwsOptions['startup'] | undefined),
  }
}

function values(list: readonly { readonly Value?: string | number | undefined }[] | undefined): unknown[] {
  return (list ?? []).flatMap(({ Value }) => (Value === undefined ? [] : [Value]))
}

function stateOf(state: string | undefined): 'pending' | 'available' | 'deleting' | 'deleted' {
  return state === 'pending' || state === 'deleting' || state === 'deleted' ? state : 'available'
}

function given<K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: T }
}
