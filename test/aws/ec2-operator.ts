/** What somebody at AWS, or with another key to the account, does behind everybody's back. */
import { carriedOf } from './ec2-carried.ts'
import { changeTunnel } from './ec2-changes.ts'
import { changeStaticRoute, removeConnection } from './ec2-connections.ts'
import { type Account, allResources, connectionState, type Quotas, type VpnConnection } from './ec2-state.ts'
import type { Fields } from './sdk-model.ts'

export class Operator {
  readonly account: Account

  constructor(account: Account) {
    this.account = account
  }

  /** Somebody changes an option of a tunnel by hand; names as in ModifyVpnTunnelOptions. */
  changeOption(id: string, tunnel: 0 | 1, options: Fields): void {
    const connection = this.#connection(id)
    const before = connection.tunnels[tunnel]
    const given = new Set([...before.given, ...Object.keys(options)])
    changeTunnel(this.account, connection, tunnel, { ...before, options: { ...before.options, ...options }, given })
  }

  changeKey(id: string, tunnel: 0 | 1, psk: string): void {
    const connection = this.#connection(id)
    changeTunnel(this.account, connection, tunnel, { ...connection.tunnels[tunnel], psk })
  }

  /** The endpoint of a tunnel dies, and another one has its address. Resolves when it is there. */
  async replaceEndpoint(id: string, tunnel: 0 | 1, { silentMs = 1_000 } = {}): Promise<void> {
    const { carrier, clock } = this.account
    const connection = this.#connection(id)
    const now = clock.now()
    if (carrier?.replace !== undefined) await carrier.replace(id, tunnel, { silentMs })
    else {
      await carrier?.takeDown(id, tunnel)
      await clock.sleep(silentMs)
      await carrier?.bringUp(carriedOf(this.account, connection), tunnel)
    }
    connection.tunnels[tunnel].maintainedAt = now
  }

  /** Of a route table, or a static route of a VPN connection. */
  removeRoute(id: string, prefix: string): void {
    const table = this.account.tables.find((each) => each.id === id)
    if (table === undefined) {
      changeStaticRoute(this.account, this.#connection(id), prefix, false)
      return
    }
    const at = table.routes.findIndex((route) => route.prefix === prefix)
    if (at < 0) throw new Error(`${id} has no route to ${prefix}`)
    table.routes.splice(at, 1)
  }

  setPropagation(table: string, gateway: string, on: boolean): void {
    const { propagating } = this.account.tables.find(({ id }) => id === table)!
    if (on) propagating.add(gateway)
    else propagating.delete(gateway)
  }

  /** With all that depends on it, at once: no dependency holds it. */
  deleteResource(id: string): void {
    const { account } = this
    const resource = allResources(account).find((each) => each.id === id && each.deletedAt === undefined)
    if (resource === undefined) throw new Error(`there is no ${id}`)
    resource.deletedAt = account.clock.now() - account.consistencyMs
    const connection = account.vpnConnections.find((each) => each === resource)
    if (connection !== undefined) removeConnection(account, connection, 0)
    const gateway = account.vpnGateways.find((each) => each === resource)
    if (gateway?.attachment !== undefined) gateway.attachment.detachedAt = account.clock.now()
    for (const { propagating } of account.tables) propagating.delete(id)
  }

  setTags(id: string, tags: Readonly<Record<string, string>>): void {
    const resource = allResources(this.account).find((each) => each.id === id)!
    resource.tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
  }

  setQuota(name: keyof Quotas, most: number): void {
    this.account.quotas = { ...this.account.quotas, [name]: most }
  }

  /** What is not deleted, of what can be made. */
  living(): string[] {
    const { customerGateways, vpnGateways, vpnConnections } = this.account
    const all = [...customerGateways, ...vpnGateways].filter(({ deletedAt }) => deletedAt === undefined)
    const connections = vpnConnections.filter((each) => connectionState(this.account, each) !== 'deleted')
    return [...all, ...connections].map(({ id }) => id)
  }

  /** Resolves when the network behind has nothing to do. */
  async settled(): Promise<void> {
    while (this.account.work.size > 0) await Promise.all(this.account.work)
  }

  #connection(id: string): VpnConnection {
    const found = this.account.vpnConnections.find((each) => each.id === id)
    if (found === undefined) throw new Error(`there is no ${id}`)
    return found
  }
}
