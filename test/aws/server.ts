/**
 * A stand-in for EC2: the Query protocol over HTTP as the SDK and the `aws` CLI speak it, with the states, delays, errors
 * and limits of site-to-site VPN, and a network behind it that carries packets (`carrier.ts`).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Carrier } from './carrier.ts'
import {
  changeTunnel,
  createVpnConnection,
  deleteVpnConnection,
  describeVpnConnections,
  modifyTunnel,
  vpnRoute,
} from './ec2-connections.ts'
import { Ec2Error } from './ec2-error.ts'
import * as gateways from './ec2-gateways.ts'
import { type Account, connectionState, type Delays } from './ec2-state.ts'
import { changeTags } from './ec2-tags.ts'
import * as vpcs from './ec2-vpcs.ts'
import { escaped, type Fields, operationOf, parseInput, renderOutput } from './sdk-model.ts'
import { type Credentials, verifySignature } from './sigv4.ts'

export const CREDENTIALS: Credentials = {
  id: 'AKIAISTHMUSTEST00001',
  secret: 'a-secret-of-the-stand-in-and-nobody-else',
}
export const VPC = { id: 'vpc-0123456789abcdef0', blocks: ['172.31.0.0/16'] }
export const TRANSIT_GATEWAY = { id: 'tgw-0123456789abcdef0', as: 64_600 }

export interface Ec2Options {
  readonly carrier?: Carrier
  readonly region?: string
  /** Milliseconds that AWS takes. Default: next to nothing. */
  readonly delays?: Partial<Delays>
  /** So long after it was made something may not be shown. */
  readonly consistencyMs?: number
  /** Calls a second, and at once; default: without limit. */
  readonly rate?: { readonly perSecond: number; readonly burst: number }
  readonly quotas?: Partial<Account['quotas']>
  readonly credentials?: readonly Credentials[]
  readonly vpcs?: readonly { readonly id: string; readonly blocks: readonly string[] }[]
}

export interface Ec2Call {
  readonly action: string
  /** As the SDK names it; keys of tunnels are left out. */
  readonly input: string
  readonly error?: string
}

/** `drop`: the answer is never sent. */
export type Hook = (action: string, input: Fields) => 'drop' | undefined | Promise<'drop' | undefined>

const DELAYS: Delays = { gateway: 50, attach: 50, connection: 100, modify: 100, delete: 100 }
const MOST_BODY = 1 << 20

export class Ec2 {
  readonly account: Account
  readonly calls: Ec2Call[] = []
  /** Called before an action takes effect, and after. */
  before: Hook | undefined
  after: Hook | undefined
  readonly #options: Ec2Options
  readonly #server: Server
  readonly #failures = new Map<string, { code: string; status: number; times: number }>()
  readonly #forbidden = new Set<string>()
  #tokens: number
  #filledAt = Date.now()
  #requests = 0
  url = ''

  constructor(options: Ec2Options) {
    this.#options = options
    this.#tokens = options.rate?.burst ?? 0
    this.account = accountOf(options)
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    this.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  }

  /** The next `times` calls of the action fail so. */
  fail(action: string, code: string, times = 1, status = 400): void {
    this.#failures.set(action, { code, status, times })
  }

  forbid(action: string, on = true): void {
    if (on) this.#forbidden.add(action)
    else this.#forbidden.delete(action)
  }

  /** Of the actions that change something. */
  get changes(): string[] {
    return this.calls
      .filter(({ action, error }) => !action.startsWith('Describe') && error === undefined)
      .map(({ action }) => action)
  }

  /** Somebody changes an option of a tunnel by hand. */
  changeOption(connection: string, tunnel: 0 | 1, options: Fields): void {
    const each = this.#connection(connection)
    changeTunnel(this.account, each, tunnel, {
      ...each.tunnels[tunnel],
      options: { ...each.tunnels[tunnel].options, ...options },
    })
  }

  changeKey(connection: string, tunnel: 0 | 1, psk: string): void {
    const each = this.#connection(connection)
    changeTunnel(this.account, each, tunnel, { ...each.tunnels[tunnel], psk })
  }

  /** Resolves when the network behind has nothing to do. */
  async settled(): Promise<void> {
    while (this.account.work.size > 0) await Promise.all(this.account.work)
  }

  /** What is not deleted. */
  living(): string[] {
    const { customerGateways, vpnGateways, vpnConnections } = this.account
    const all = [...customerGateways, ...vpnGateways].filter(({ deletedAt }) => deletedAt === undefined)
    const connections = vpnConnections.filter((each) => connectionState(this.account, each) !== 'deleted')
    return [...all, ...connections].map(({ id }) => id)
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    await this.settled()
  }

  #connection(id: string) {
    const found = this.account.vpnConnections.find((each) => each.id === id)
    if (found === undefined) throw new Error(`there is no ${id}`)
    return found
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = `00000000-0000-4000-8000-${String(++this.#requests).padStart(12, '0')}`
    try {
      const body = await bodyOf(request)
      const answer = await this.#answer(request, body, requestId)
      if (answer === undefined) response.destroy()
      else response.writeHead(200, { 'content-type': 'text/xml;charset=UTF-8' }).end(answer)
    } catch (error) {
      const known = error instanceof Ec2Error ? error : new Ec2Error('InternalError', String(error), 500)
      const errors = `<Errors><Error><Code>${known.code}</Code><Message>${escaped(known.message)}</Message></Error></Errors>`
      const text = `<?xml version="1.0" encoding="UTF-8"?>\n<Response>${errors}<RequestID>${requestId}</RequestID></Response>`
      response.writeHead(known.status, { 'content-type': 'text/xml;charset=UTF-8' }).end(text)
    }
  }

  async #answer(request: IncomingMessage, body: string, requestId: string): Promise<string | undefined> {
    const params = new Map(new URLSearchParams(body))
    const action = params.get('Action') ?? ''
    params.delete('Action')
    params.delete('Version')
    const operation = operationOf(action)
    const handler = HANDLERS[action]
    try {
      const region = verifySignature(request, body, this.#options.credentials ?? [CREDENTIALS], Date.now())
      if (region !== this.account.region) throw new Ec2Error('InvalidRegion', `This is ${this.account.region}`)
      if (operation === undefined || handler === undefined)
        throw new Ec2Error('InvalidAction', `The action ${action} is not valid for this web service.`)
      this.#admit(action)
      const { input, unknown, malformed } = parseInput(operation, params)
      if (unknown.length > 0) throw new Ec2Error('UnknownParameter', `The parameter ${unknown[0]} is not recognized`)
      if (malformed.length > 0)
        throw new Ec2Error('InvalidParameterValue', `Value for parameter ${malformed[0]} is invalid.`)
      if (input.DryRun === true)
        throw new Ec2Error('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412)
      if ((await this.before?.(action, input)) === 'drop') return undefined
      const output = await handler(this.account, input)
      this.calls.push({ action, input: JSON.stringify(input, withoutKeys) })
      if ((await this.after?.(action, input)) === 'drop') return undefined
      return renderOutput(action, output, requestId)
    } catch (error) {
      this.calls.push({ action, input: '', error: error instanceof Ec2Error ? error.code : String(error) })
      throw error
    }
  }

  #admit(action: string): void {
    const { rate } = this.#options
    if (rate !== undefined) {
      const now = Date.now()
      this.#tokens = Math.min(rate.burst, this.#tokens + ((now - this.#filledAt) / 1000) * rate.perSecond)
      this.#filledAt = now
      if (this.#tokens < 1) throw new Ec2Error('RequestLimitExceeded', 'Request limit exceeded.', 503)
      this.#tokens--
    }
    if (this.#forbidden.has(action)) {
      throw new Ec2Error(
        'UnauthorizedOperation',
        'You are not authorized to perform this operation. Encoded authorization failure message: c3RhbmQtaW4',
        403,
      )
    }
    const failure = this.#failures.get(action)
    if (failure === undefined || failure.times === 0) return
    failure.times--
    throw new Ec2Error(failure.code, `as the test wants it`, failure.status)
  }
}

export async function startEc2(options: Ec2Options = {}): Promise<Ec2> {
  const ec2 = new Ec2(options)
  await ec2.start()
  return ec2
}

type Handler = (account: Account, input: Fields) => Fields | Promise<Fields>
const HANDLERS: Readonly<Record<string, Handler>> = {
  DescribeVpcs: vpcs.describeVpcs,
  DescribeRouteTables: vpcs.describeRouteTables,
  CreateRoute: vpcs.createRoute,
  DeleteRoute: vpcs.deleteRoute,
  EnableVgwRoutePropagation: (account, input) => vpcs.propagation(account, input, true),
  DisableVgwRoutePropagation: (account, input) => vpcs.propagation(account, input, false),
  CreateCustomerGateway: gateways.createCustomerGateway,
  DescribeCustomerGateways: gateways.describeCustomerGateways,
  DeleteCustomerGateway: gateways.deleteCustomerGateway,
  CreateVpnGateway: gateways.createVpnGateway,
  DescribeVpnGateways: gateways.describeVpnGateways,
  AttachVpnGateway: gateways.attachVpnGateway,
  DetachVpnGateway: gateways.detachVpnGateway,
  DeleteVpnGateway: gateways.deleteVpnGateway,
  DescribeTransitGateways: gateways.describeTransitGateways,
  DescribeTransitGatewayAttachments: gateways.describeTransitGatewayAttachments,
  CreateVpnConnection: createVpnConnection,
  DescribeVpnConnections: describeVpnConnections,
  ModifyVpnTunnelOptions: modifyTunnel,
  DeleteVpnConnection: deleteVpnConnection,
  CreateVpnConnectionRoute: (account, input) => vpnRoute(account, input, true),
  DeleteVpnConnectionRoute: (account, input) => vpnRoute(account, input, false),
  CreateTags: (account, input) => changeTags(account, input, true),
  DeleteTags: (account, input) => changeTags(account, input, false),
}

function accountOf({
  carrier,
  region = 'eu-central-1',
  delays,
  consistencyMs = 0,
  quotas,
  vpcs: given = [VPC],
}: Ec2Options): Account {
  const made = { tags: [], visibleAt: 0 }
  const tables = given.flatMap(({ id, blocks }, index) =>
    [true, false].map((main) => ({
      ...made,
      tags: [],
      id: `rtb-${String(index * 2 + (main ? 1 : 2)).padStart(17, '0')}`,
      vpc: id,
      main,
      propagating: new Set<string>(),
      routes: blocks.map((prefix) => ({ prefix, target: 'local', origin: 'CreateRouteTable' as const })),
    })),
  )
  return {
    region,
    now: Date.now,
    delays: { ...DELAYS, ...delays },
    consistencyMs,
    quotas: { customerGateways: 50, vpnGateways: 5, vpnConnections: 50, ...quotas },
    carrier,
    vpcs: given.map(({ id, blocks }) => ({ ...made, tags: [], id, blocks })),
    tables,
    customerGateways: [],
    vpnGateways: [],
    transitGateways: [{ ...made, tags: [], ...TRANSIT_GATEWAY, vpcs: given.map(({ id }) => id) }],
    vpnConnections: [],
    work: new Set(),
    nextId: 1,
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const part of request.setEncoding('utf8')) {
    body += String(part)
    if (body.length > MOST_BODY) throw new Ec2Error('RequestTooLarge', 'The request is too large', 413)
  }
  return body
}

function withoutKeys(name: string, value: unknown): unknown {
  return name === 'PreSharedKey' ? undefined : value
}
