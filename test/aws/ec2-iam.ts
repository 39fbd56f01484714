/**
 * IAM policies of whoever calls: allowed is what a statement allows and none denies, for each resource that the call
 * concerns ("Actions, resources, and condition keys for Amazon EC2" in the Service Authorization Reference).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ec2Error } from './ec2-error.ts'
import { type Account, allResources } from './ec2-state.ts'
import { isRead } from './ec2-throttle.ts'
import type { Fields } from './sdk-model.ts'

export interface Statement {
  readonly Effect: 'Allow' | 'Deny'
  readonly Action: string | readonly string[]
  readonly Resource: string | readonly string[]
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>
}
export interface Policy {
  readonly Statement: readonly Statement[]
}

/** All that the control plane may do. */
export const CONTROL_POLICY = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../infra/aws/control-policy.json'), 'utf8'),
) as Policy

/** One question to the policy. */
interface Check {
  readonly action: string
  readonly resource: string
  readonly context: ReadonlyMap<string, readonly string[]>
}

/** Parameters that name resources which a call is allowed for, by action. */
const RESOURCES: Readonly<Record<string, readonly string[]>> = {
  AttachVpnGateway: ['VpcId', 'VpnGatewayId'],
  CreateRoute: ['RouteTableId'],
  CreateTags: ['Resources'],
  CreateVpnConnection: ['CustomerGatewayId', 'TransitGatewayId', 'VpnGatewayId'],
  CreateVpnConnectionRoute: ['VpnConnectionId'],
  DeleteCustomerGateway: ['CustomerGatewayId'],
  DeleteRoute: ['RouteTableId'],
  DeleteTags: ['Resources'],
  DeleteVpnConnection: ['VpnConnectionId'],
  DeleteVpnConnectionRoute: ['VpnConnectionId'],
  DeleteVpnGateway: ['VpnGatewayId'],
  DetachVpnGateway: ['VpcId', 'VpnGatewayId'],
  DisableVgwRoutePropagation: ['GatewayId', 'RouteTableId'],
  EnableVgwRoutePropagation: ['GatewayId', 'RouteTableId'],
  ModifyVpnConnection: ['CustomerGatewayId', 'TransitGatewayId', 'VpnConnectionId', 'VpnGatewayId'],
  ModifyVpnConnectionOptions: ['VpnConnectionId'],
  ModifyVpnTunnelOptions: ['VpnConnectionId'],
  ReplaceRoute: ['RouteTableId'],
  ReplaceVpnTunnel: ['VpnConnectionId'],
}
/** What a call makes. */
const MADE: Readonly<Record<string, string>> = {
  CreateCustomerGateway: 'customer-gateway',
  CreateVpnConnection: 'vpn-connection',
  CreateVpnGateway: 'vpn-gateway',
}
const KINDS: Readonly<Record<string, string>> = {
  cgw: 'customer-gateway',
  rtb: 'route-table',
  tgw: 'transit-gateway',
  vgw: 'vpn-gateway',
  vpn: 'vpn-connection',
}

/** Throws Ec2Error UnauthorizedOperation. */
export function authorize(account: Account, policy: Policy, action: string, input: Fields): void {
  for (const check of checksOf(account, action, input)) {
    const matching = policy.Statement.filter((statement) => applies(statement, check))
    const isAllowed = matching.length > 0 && matching.every(({ Effect }) => Effect === 'Allow')
    if (!isAllowed) throw unauthorized(account, check.action, check.resource)
  }
}

export function unauthorized(account: Account, action: string, resource = '*'): Ec2Error {
  const user = `arn:aws:iam::${account.number}:user/isthmus`
  const encoded = Buffer.from(JSON.stringify({ allowed: false, action, resource })).toString('base64url')
  const why = `User: ${user} is not authorized to perform: ec2:${action} on resource: ${resource}`
  const message = `You are not authorized to perform this operation. ${why}. Encoded authorization failure message: ${encoded}`
  return new Ec2Error('UnauthorizedOperation', message, 403)
}

function checksOf(account: Account, action: string, input: Fields): Check[] {
  const request = new Map<string, readonly string[]>([['aws:requestedregion', [account.region]]])
  if (isRead(action)) return [{ action, resource: '*', context: request }]
  const tags = requestTags(input)
  for (const { Key, Value } of tags) request.set(`aws:requesttag/${String(Key)}`.toLowerCase(), [String(Value)])
  if (tags.length > 0)
    request.set(
      'aws:tagkeys',
      tags.map(({ Key }) => String(Key)),
    )
  const checks = (RESOURCES[action] ?? [])
    .flatMap((name) => [namedBy(input, name) ?? []].flat())
    .map((id): Check => ({ action, resource: arnOf(account, id), context: withTags(account, id, request) }))
  const kind = MADE[action]
  if (kind === undefined) return checks
  const resource = arn(account, kind, '*')
  checks.push({ action, resource, context: request })
  const making = new Map([...request, ['ec2:createaction', [action]] as const])
  if (tags.length > 0) checks.push({ action: 'CreateTags', resource, context: making })
  return checks
}

function requestTags(input: Fields): readonly Fields[] {
  // Not all actions have both.
  const given = new Map(Object.entries(input))
  const specifications = (given.get('TagSpecifications') ?? []) as readonly Fields[]
  const own = (given.get('Tags') ?? []) as readonly Fields[]
  return [...own, ...specifications.flatMap(({ Tags = [] }) => Tags as readonly Fields[])]
}

function namedBy(input: Fields, name: string): string | readonly string[] | undefined {
  return input[name] as string | readonly string[] | undefined
}

function arnOf(account: Account, id: string): string {
  const start = id.split('-')[0]!
  return arn(account, KINDS[start] ?? start, id)
}

function arn({ region, number }: Account, kind: string, id: string): string {
  return `arn:aws:ec2:${region}:${number}:${kind}/${id}`
}

function withTags(account: Account, id: string, request: Check['context']): Check['context'] {
  const tags = allResources(account).find((each) => each.id === id)?.tags ?? []
  return new Map([
    ...request,
    ...tags.map(({ Key, Value }) => [`aws:resourcetag/${Key}`.toLowerCase(), [Value]] as const),
  ])
}

function applies({ Action, Resource, Condition = {} }: Statement, { action, resource, context }: Check): boolean {
  return (
    [Action].flat().some((pattern) => isLike(`ec2:${action}`.toLowerCase(), pattern.toLowerCase())) &&
    [Resource].flat().some((pattern) => isLike(resource, pattern)) &&
    Object.entries(Condition).every(([operator, keys]) =>
      Object.entries(keys).every(([key, values]) => holds(operator, context.get(key.toLowerCase()), [values].flat())),
    )
  )
}

const COMPARISONS: Readonly<Record<string, (value: string, wanted: string) => boolean>> = {
  StringEquals: (value, wanted) => value === wanted,
  StringLike: isLike,
  ArnLike: isLike,
}

/** `has`: the values of the key, undefined where the request has no such key. */
function holds(operator: string, has: readonly string[] | undefined, wanted: readonly string[]): boolean {
  if (operator === 'Null') return (has === undefined) === (wanted[0] === 'true')
  const [, set, name, optional] = /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/.exec(operator)!
  const compare = COMPARISONS[name!]
  if (compare === undefined) throw new Error(`the stand-in knows no condition ${operator}`)
  if (has === undefined) return optional !== undefined || set === 'ForAllValues'
  const fits = (value: string) => wanted.some((each) => compare(value, each))
  return set === 'ForAllValues' ? has.every(fits) : has.some(fits)
}

function isLike(value: string, pattern: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`, 's').test(value)
}
