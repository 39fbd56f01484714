/** Networks for tests, made by the API as an operator would. */

import { type Grant, grantSchema, type SessionClaims, sessionClaimsSchema } from '../../protocol/control/grant.ts'
import { Verifier } from '../service/signatures.ts'
import type { Answer, Caller, RequestOptions } from './caller.ts'
import { converge, TestConnector } from './connector.ts'

export interface TestNetwork {
  readonly id: string
  readonly path: string
  /** By role. */
  readonly tokens: Readonly<Record<'owner' | 'operator' | 'viewer' | 'rotation', string>>
  ask(method: string, path: string, options?: RequestOptions): Promise<Answer>
}

export function must(answer: Answer, status: number): Answer {
  if (answer.status === status) return answer
  throw new Error(`expected ${status}, got ${answer.status} ${JSON.stringify(answer.body)}`)
}

export async function makeNetwork(world: Caller, name = 'acme'): Promise<TestNetwork> {
  const { id } = must(await world.request('POST', '/v1/networks', { token: world.admin, body: { name } }), 201).body
  const path = `/v1/networks/${id}`
  const tokens: Record<string, string> = {}
  for (const role of ['owner', 'operator', 'viewer', 'rotation']) {
    const answer = await world.request('POST', `${path}/tokens`, { token: world.admin, body: { name: role, role } })
    tokens[role] = must(answer, 201).body.token
  }
  return {
    id,
    path,
    tokens: tokens as TestNetwork['tokens'],
    ask: (method, below, options) => world.request(method, path + below, { token: tokens.owner, ...options }),
  }
}

export async function makeSite(network: TestNetwork, name: string, prefix: string, more: object = {}): Promise<string> {
  return must(await network.ask('POST', '/sites', { body: { name, prefixes: [prefix], ...more } }), 201).body.id
}

export async function joinToken(network: TestNetwork, site: string): Promise<string> {
  return must(await network.ask('POST', '/join-tokens', { body: { site } }), 201).body.token
}

/** A function and its token. */
export async function makeFunction(
  network: TestNetwork,
  name: string,
  allow: readonly { readonly site: string; readonly services: readonly string[] }[],
  more: object = {},
): Promise<{ readonly id: string; readonly token: string }> {
  return must(await network.ask('POST', '/functions', { body: { name, allow, ...more } }), 201).body
}

/** A grant, and what its session token says to a connector that only has its document. */
export async function grantOf(
  world: Caller,
  { id, path }: TestNetwork,
  token: string,
  connector: TestConnector,
): Promise<{ readonly grant: Grant; readonly claims: SessionClaims | undefined }> {
  const { name: site } = connector.document.site
  const body = { site, publicKey: connector.joined.publicKey }
  const grant = grantSchema.parse(must(await world.request('POST', `${path}/grants`, { token, body }), 200).body)
  const [key] = connector.document.functions!.tokenKeys
  const claims = await new Verifier().open(grant.token, key!, sessionClaimsSchema)
  return { grant, claims: claims?.network === id ? claims : undefined }
}

/** Two sites, `hq` with a public address and `branch`, with a tunnel between them and their connectors joined. */
export async function makePair(
  world: Caller,
  network: TestNetwork,
): Promise<{ left: TestConnector; right: TestConnector; tunnel: string }> {
  const hq = await makeSite(network, 'hq', '10.1.0.0/16', { endpoint: { address: '192.0.2.1' } })
  const branch = await makeSite(network, 'branch', '10.2.0.0/16')
  const left = await TestConnector.join(world, await joinToken(network, hq), 11)
  const right = await TestConnector.join(world, await joinToken(network, branch), 22)
  const tunnels = must(await network.ask('GET', '/tunnels'), 200).body.items
  return { left, right, tunnel: tunnels.find(({ name }: { name: string }) => name === 'hq-branch').id }
}

/** A site for each name, the first with a tunnel to every other one, and their connectors joined, with all keys there. */
export async function makeStar<Name extends string>(
  world: Caller,
  network: TestNetwork,
  names: readonly [hub: Name, ...others: Name[]],
): Promise<Record<Name, TestConnector>> {
  must(await network.ask('PUT', '/preferences', { body: { topology: 'none' }, headers: { 'if-match': '*' } }), 200)
  const sites: string[] = []
  for (const [at, name] of names.entries()) {
    sites.push(await makeSite(network, name, `10.${at}.0.0/16`, { endpoint: { address: `192.0.2.${at + 1}` } }))
  }
  for (const [at, name] of names.entries()) {
    if (at === 0) continue
    const body = { name: `${names[0]}-${name}`, sites: [sites[0], sites[at]] }
    must(await network.ask('POST', '/tunnels', { body }), 201)
  }
  const all = {} as Record<Name, TestConnector>
  for (const [at, name] of names.entries()) {
    all[name] = await TestConnector.join(world, await joinToken(network, sites[at]!), 100 * (at + 1))
  }
  await converge(...Object.values<TestConnector>(all))
  return all
}
