/** The stand-in, called by the SDK: time stands still until a test moves it, and no packet is carried. */

import * as sdk from '@aws-sdk/client-ec2'
import { EC2Client } from '@aws-sdk/client-ec2'
import type { CarriedConnection, CarriedStatus, Carrier } from './carrier.ts'
import { ManualClock } from './ec2-clock.ts'
import { CREDENTIALS, type Ec2, type Ec2Options, startEc2 } from './server.ts'
import type { Credentials } from './sigv4.ts'

export const REGION = 'eu-central-1'
const START = Date.UTC(2026, 11, 1)
/** Longer than anything of the stand-in's takes. */
export const LONG_MS = 1_000

/** Notes what it is told. */
export class FakeCarrier implements Carrier {
  readonly log: string[] = []
  readonly connections = new Map<string, CarriedConnection>()
  up = true
  accepted: readonly string[] = []
  #next = 2

  allocate(id: string): readonly [string, string] {
    this.log.push(`allocate ${id}`)
    return [`203.0.113.${this.#next++}`, `203.0.113.${this.#next++}`]
  }
  async start(connection: CarriedConnection): Promise<void> {
    this.log.push(`start ${connection.id}`)
    this.connections.set(connection.id, connection)
  }
  async takeDown(id: string, tunnel: 0 | 1): Promise<void> {
    this.log.push(`down ${id}/${tunnel}`)
  }
  async bringUp(connection: CarriedConnection, tunnel: 0 | 1): Promise<void> {
    this.log.push(`up ${connection.id}/${tunnel}`)
    this.connections.set(connection.id, connection)
  }
  async routes(connection: CarriedConnection): Promise<void> {
    this.log.push(`routes ${connection.id}`)
    this.connections.set(connection.id, connection)
  }
  async status(): Promise<readonly [CarriedStatus, CarriedStatus]> {
    const { accepted, up } = this
    const one = {
      up,
      since: START,
      acceptedRoutes: accepted.length,
      accepted,
      message: `${accepted.length} BGP ROUTES`,
    }
    return [one, { ...one, up: false, message: 'IPSEC IS DOWN' }]
  }
  async stop(id: string): Promise<void> {
    this.log.push(`stop ${id}`)
    this.connections.delete(id)
  }
}

export interface Lab {
  readonly ec2: Ec2
  readonly client: EC2Client
  readonly clock: ManualClock
  readonly carrier: FakeCarrier
  /** So much time passes, and what has to happen then has happened. */
  pass(ms?: number): Promise<void>
  close(): Promise<void>
}

export async function createLab(options: Ec2Options = {}): Promise<Lab> {
  const [clock, carrier] = [new ManualClock(START), new FakeCarrier()]
  const ec2 = await startEc2({ clock, carrier, ...options })
  const client = clientOf(ec2)
  return {
    ec2,
    client,
    clock,
    carrier,
    pass: async (ms = LONG_MS) => {
      // What goes on behind an answer may not have come to where it sleeps.
      await new Promise((resolve) => setImmediate(resolve))
      clock.advance(ms)
      if (clock.sleeping === 0) await ec2.settled()
    },
    close: async () => {
      client.destroy()
      await ec2.close()
    },
  }
}

/** Tries once: errors come as they are. */
export function clientOf({ url }: Ec2, credentials: Credentials = CREDENTIALS, region = REGION): EC2Client {
  const { id: accessKeyId, secret: secretAccessKey, token: sessionToken } = credentials
  const keys = { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
  return new EC2Client({ region, endpoint: url, credentials: keys, maxAttempts: 1 })
}

/** A call whose input need not be right. */
export function send(client: EC2Client, action: string, input: object = {}): Promise<object> {
  const commands = sdk as unknown as Record<string, new (input: object) => never>
  return client.send(new commands[`${action}Command`]!(input))
}

/** The name of the error that it ends with. */
export function errorOf(client: EC2Client, action: string, input: object = {}): Promise<string> {
  return send(client, action, input).then(
    () => 'none',
    (error: Error) => error.name,
  )
}

export interface Built {
  readonly cgw: string
  readonly vgw: string
  readonly vpn: string
}

/** A customer gateway, a gateway attached to the VPC, and a VPN connection, all available. */
export async function buildConnection({ client, pass }: Lab, options: sdk.VpnConnectionOptionsSpecification = {}) {
  const cgw = await createCustomer(client)
  const vgw = await createGateway(client)
  await pass()
  const { Vpcs } = await client.send(new sdk.DescribeVpcsCommand({}))
  await client.send(new sdk.AttachVpnGatewayCommand({ VpnGatewayId: vgw, VpcId: Vpcs![0]!.VpcId! }))
  await pass()
  const vpn = await createConnection(client, { CustomerGatewayId: cgw, VpnGatewayId: vgw, Options: options })
  await pass()
  return { cgw, vgw, vpn } satisfies Built
}

export async function createCustomer(client: EC2Client, address = '198.51.100.7', as = 65_001): Promise<string> {
  const input = { Type: 'ipsec.1', IpAddress: address, BgpAsn: as } as const
  return (await client.send(new sdk.CreateCustomerGatewayCommand(input))).CustomerGateway!.CustomerGatewayId!
}

export async function createGateway(client: EC2Client): Promise<string> {
  return (await client.send(new sdk.CreateVpnGatewayCommand({ Type: 'ipsec.1' }))).VpnGateway!.VpnGatewayId!
}

export async function createConnection(
  client: EC2Client,
  input: Partial<sdk.CreateVpnConnectionRequest>,
): Promise<string> {
  const whole = { CustomerGatewayId: undefined, Type: 'ipsec.1', ...input }
  return (await client.send(new sdk.CreateVpnConnectionCommand(whole))).VpnConnection!.VpnConnectionId!
}

export async function connectionOf(client: EC2Client, id: string): Promise<sdk.VpnConnection> {
  const { VpnConnections } = await client.send(new sdk.DescribeVpnConnectionsCommand({ VpnConnectionIds: [id] }))
  return VpnConnections![0]!
}
