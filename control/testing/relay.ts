/** What functions and connectors have when they come to a relay. For tests only. */
import { toBase64url } from '../../protocol/control/base64url.ts'
import type { Grant } from '../../protocol/control/grant.ts'
import { type Caller, emptyReport, makeIdentity } from './caller.ts'
import type { TestConnector } from './connector.ts'
import { makeFunction, makeNetwork, makePair, must, type TestNetwork } from './network.ts'

export interface RelayWorld {
  readonly network: TestNetwork
  readonly left: TestConnector
  readonly right: TestConnector
  readonly function: { readonly id: string; readonly token: string }
}

/** Two connectors, and a function that may reach `erp` at `hq`, where the left one is. */
export async function makeRelayWorld(caller: Caller, name = 'acme'): Promise<RelayWorld> {
  const network = await makeNetwork(caller, name)
  const { left, right } = await makePair(caller, network)
  while ((await left.follow()) || (await right.follow()));
  const made = await makeFunction(network, 'orders', [{ site: 'hq', services: ['erp'] }])
  return { network, left, right, function: made }
}

/** What a connector says first that serves functions. */
export async function servingHello(caller: Caller, connector: TestConnector): Promise<object> {
  const report = { ...emptyReport(caller, connector.document.version), functions: await connector.serving() }
  return { type: 'hello', protocol: 1, report }
}

export async function grantOf(world: RelayWorld, site = 'hq'): Promise<Grant> {
  const body = { site, publicKey: makeIdentity(3).publicKey }
  return must(await world.network.ask('POST', '/grants', { token: world.function.token, body }), 200).body
}

export function protocolsOf(token: string, first?: Uint8Array): string[] {
  const flight = first === undefined ? [] : [`f.${toBase64url(first)}`]
  return ['isthmus.stream.1', ...flight, `t.${token}`]
}

export interface Closed {
  readonly code: number
  readonly reason: string
}
