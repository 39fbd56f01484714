/** The IAM policy against the calls that the adapter makes: everything that it can send is allowed, and nothing else. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createAwsProvider } from './provider.ts'
import { ACTIONS, SECRETS, SUBJECTS } from './testing/actions.ts'
import { emptyAnswer, KEYS, type Sent, wire } from './testing/wire.ts'

interface Statement {
  readonly Sid: string
  readonly Effect: string
  readonly Action: string | readonly string[]
  readonly Resource: string | readonly string[]
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string>>>>
}

const { Statement: statements } = JSON.parse(
  readFileSync(new URL('../../infra/aws/control-policy.json', import.meta.url), 'utf8'),
) as { Statement: readonly Statement[] }
const listed = (value: string | readonly string[]) => (typeof value === 'string' ? [value] : value)

async function everythingSent(): Promise<Sent[]> {
  const { sent, requestHandler } = wire(emptyAnswer)
  const provider = createAwsProvider({ credentials: KEYS, requestHandler })
  await provider.look(SUBJECTS)
  for (const action of Object.values(ACTIONS)) await provider.perform('eu-central-1', action, SECRETS)
  return sent
}

/** What the call needs: for each resource that it names or makes, the action, and whether tags come along. */
function needs({ action, params }: Sent): { action: string; resource: string; tags: boolean }[] {
  if (action.startsWith('Describe')) return [{ action, resource: '*', tags: false }]
  const named = [...params.entries()].flatMap(([name, value]) => {
    const kind = /^(cgw|vgw|tgw|vpn|vpc|rtb)-[0-9a-f]{17}$/.exec(value)?.[1]
    // IAM is not asked about where a route leads to.
    return kind === undefined || (action === 'CreateRoute' && name !== 'RouteTableId') ? [] : [KINDS[kind]!]
  })
  const made = params.get('TagSpecification.1.ResourceType')
  const tags = made !== undefined || action === 'CreateTags'
  const each = named.map((resource) => ({ action, resource, tags: action === 'CreateTags' }))
  if (made === undefined) return each
  return [...each, { action, resource: made, tags }, { action: 'CreateTags', resource: made, tags }]
}

const KINDS: Readonly<Record<string, string>> = {
  cgw: 'customer-gateway',
  vgw: 'vpn-gateway',
  tgw: 'transit-gateway',
  vpn: 'vpn-connection',
  vpc: 'vpc',
  rtb: 'route-table',
}

function isAllowed(need: { action: string; resource: string; tags: boolean }, ours: boolean): boolean {
  return statements.some(({ Action, Resource, Condition }) => {
    if (!listed(Action).includes(`ec2:${need.action}`)) return false
    const fits = listed(Resource).some((arn) => arn === '*' || arn === `arn:aws:ec2:*:*:${need.resource}/*`)
    const asked = Object.keys(Condition?.Null ?? {})
    return fits && asked.every((key) => (key === 'aws:RequestTag/isthmus:network' ? need.tags : ours))
  })
}

test('every call is allowed, on resources with our tag and, where they are the account’s own, without', async () => {
  const all = (await everythingSent()).flatMap(needs)
  expect(all.length).toBeGreaterThan(30)
  expect(all.filter((need) => !isAllowed(need, true))).toEqual([])
  const withoutTag = all.filter((need) => isAllowed(need, false)).map(({ action }) => action)
  const forbidden = all.filter((need) => !isAllowed(need, false)).map(({ action }) => action)
  expect(new Set(forbidden)).toEqual(
    new Set([
      'AttachVpnGateway',
      'DetachVpnGateway',
      'DeleteVpnGateway',
      'DeleteCustomerGateway',
      'DeleteVpnConnection',
      'ModifyVpnTunnelOptions',
      'CreateVpnConnectionRoute',
      'DeleteVpnConnectionRoute',
    ]),
  )
  expect(withoutTag).toContain('CreateRoute')
})

test('nothing is made or tagged without the tag of a network', async () => {
  const all = (await everythingSent()).flatMap(needs)
  const tagging = all.filter(({ tags }) => tags)
  expect(tagging.length).toBe(7)
  expect(
    tagging.filter((need) => isAllowed({ ...need, tags: false }, true) && need.resource === 'vpn-connection'),
  ).toEqual([])
  expect(isAllowed({ action: 'CreateVpnGateway', resource: 'vpn-gateway', tags: false }, true)).toBe(false)
  expect(isAllowed({ action: 'CreateTags', resource: 'vpc', tags: true }, true)).toBe(false)
})

test('nothing else is allowed: no other action, no wildcard, no other service', async () => {
  const sent = new Set((await everythingSent()).flatMap(needs).map(({ action }) => `ec2:${action}`))
  expect(new Set(statements.flatMap(({ Action }) => listed(Action)))).toEqual(sent)
  expect(statements.map(({ Effect }) => Effect)).toEqual(statements.map(() => 'Allow'))
  const everywhere = statements.filter(({ Resource }) => listed(Resource).includes('*'))
  expect(everywhere.map(({ Sid }) => Sid)).toEqual(['Look'])
})

test('the policy fits what AWS takes: 6,144 characters without white space', () => {
  expect(JSON.stringify(statements).length).toBeLessThan(6_000)
})
