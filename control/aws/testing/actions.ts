/** One action of each kind, with everything that it can have; and keys for them. */
import { awsOptionsSchema } from '../../../protocol/control/cloud.ts'
import type { CloudAction, CloudActionType, Subject } from '../../domain/cloud/provider.ts'

export const OPTIONS = awsOptionsSchema.parse({})
export const SECRETS: ReadonlyMap<string, string> = new Map([
  ['one', 'a.secret_of_the_first_tunnel'],
  ['two', 'a.secret_of_the_second_tunnel'],
])

const id = (kind: string) => `${kind}-0123456789abcdef0`
const tags = {
  'isthmus:network': 'net_00000000000000000001',
  'isthmus:cloud': 'cld_00000000000000000001',
  'isthmus:site': 'site_0000000000000000001',
  Name: 'isthmus hq & <more>',
}

export const ACTIONS: { readonly [Type in CloudActionType]: Extract<CloudAction, { type: Type }> } = {
  'create-customer-gateway': { type: 'create-customer-gateway', address: '198.51.100.7', as: 65_000, tags },
  'create-vpn-gateway': { type: 'create-vpn-gateway', as: 4_200_000_000, tags },
  'attach-vpn-gateway': { type: 'attach-vpn-gateway', vpnGateway: id('vgw'), vpc: id('vpc') },
  'create-vpn-connection': {
    type: 'create-vpn-connection',
    customerGateway: id('cgw'),
    vpnGateway: id('vgw'),
    staticRoutesOnly: false,
    tunnels: [
      { insideCidr: '169.254.171.0/30', options: OPTIONS, secret: 'one' },
      { insideCidr: '169.254.171.4/30', options: OPTIONS, secret: 'two' },
    ],
    tags,
  },
  'create-vpn-route': { type: 'create-vpn-route', vpnConnection: id('vpn'), prefix: '10.8.1.0/24' },
  'delete-vpn-route': { type: 'delete-vpn-route', vpnConnection: id('vpn'), prefix: '10.8.1.0/24' },
  'enable-propagation': { type: 'enable-propagation', routeTable: id('rtb'), vpnGateway: id('vgw') },
  'disable-propagation': { type: 'disable-propagation', routeTable: id('rtb'), vpnGateway: id('vgw') },
  'create-route': { type: 'create-route', routeTable: id('rtb'), prefix: '10.8.1.0/24', target: id('tgw') },
  'delete-route': { type: 'delete-route', routeTable: id('rtb'), prefix: '10.8.1.0/24' },
  'modify-tunnel': {
    type: 'modify-tunnel',
    vpnConnection: id('vpn'),
    outside: '203.0.113.9',
    options: OPTIONS,
    secret: 'two',
  },
  tag: { type: 'tag', resource: id('vpn'), tags },
  'delete-vpn-connection': { type: 'delete-vpn-connection', vpnConnection: id('vpn') },
  'detach-vpn-gateway': { type: 'detach-vpn-gateway', vpnGateway: id('vgw'), vpc: id('vpc') },
  'delete-vpn-gateway': { type: 'delete-vpn-gateway', vpnGateway: id('vgw') },
  'delete-customer-gateway': { type: 'delete-customer-gateway', customerGateway: id('cgw') },
}

const subject = { network: tags['isthmus:network'], region: 'eu-central-1', known: [] }

/** A VPC and a transit gateway: together they are all reads. */
export const SUBJECTS: readonly Subject[] = [
  { ...subject, cloud: tags['isthmus:cloud'], target: { kind: 'vpc', vpc: id('vpc'), as: 64_512 } },
  {
    ...subject,
    cloud: 'cld_00000000000000000002',
    target: { kind: 'transit-gateway', transitGateway: id('tgw'), vpcs: [id('vpc')] },
  },
]
