/**
 * Who may reach what. Two sides must agree: the session token lists the services that the control plane grants, and
 * `services.yaml` names the functions that each service takes. What neither names is refused.
 */
import { type Address, type Prefix, parseAddress, prefixContains } from '../../../protocol/net.ts'
import { type StreamProblem, streamProblem } from '../../../protocol/stream-problem.ts'
import type { SessionIdentity } from '../../../protocol/stream-session-types.ts'
import type { NetworkService, ServicePlan, TargetService } from './plan.ts'
import { isSpecial } from './special-address.ts'

/** What a function asks for. */
export interface Asked {
  readonly kind: 'tcp' | 'http'
  readonly host: string
  readonly port: number
}

/** What of this machine must not be reached through it: its own addresses at these ports. */
export interface OwnPorts {
  readonly addresses: ReadonlySet<Address>
  readonly ports: ReadonlySet<number>
}

export type Decision =
  | { readonly type: 'target'; readonly service: TargetService }
  /** The host is an address, or a name whose addresses `admitAddresses` is to be asked of. */
  | { readonly type: 'network'; readonly candidates: readonly NetworkService[] }
  /** `service`: whose refusal it is, where there is such a service. */
  | { readonly type: 'refused'; readonly problem: StreamProblem; readonly service?: string }

type Refused = Extract<Decision, { type: 'refused' }>

const DEFAULT_PORTS: ReadonlySet<number> = new Set([80, 443])

export class ServicePolicy {
  /** By its name, for the remedies. */
  readonly site: string
  readonly #byHost = new Map<string, TargetService>()
  readonly #networks: readonly NetworkService[]

  constructor(site: string, services: readonly ServicePlan[]) {
    this.site = site
    for (const service of services) {
      if (service.kind === 'network') continue
      for (const host of hostsOf(service)) this.#byHost.set(host, service)
    }
    this.#networks = services.filter((service) => service.kind === 'network')
  }

  decide(identity: SessionIdentity, asked: Asked): Decision {
    const host = plainHost(asked.host)
    const target = this.#byHost.get(host)
    if (target !== undefined) {
      const problem = this.#mayUse(identity, target) ?? targetFault(target, asked)
      return problem === undefined
        ? { type: 'target', service: target }
        : { type: 'refused', problem, service: target.name }
    }
    return this.#decideNetwork(identity, asked, host)
  }

  /** Only those whom both sides allow: a name is looked up for nobody else. */
  #decideNetwork(identity: SessionIdentity, asked: Asked, host: string): Decision {
    const literal = parseAddress(host)
    const fitting = this.#networks.filter(
      ({ networks, ports }) =>
        ports.some(({ start, end }) => asked.port >= start && asked.port <= end) &&
        (literal === undefined || networks.some((network) => prefixContains(network, literal))),
    )
    const candidates = fitting.filter((service) => this.#mayUse(identity, service) === undefined)
    if (candidates.length > 0) return { type: 'network', candidates }
    // Only of services that the token lists is more said than that there is nothing.
    const listed = fitting.find(({ name }) => identity.services.includes(name))
    if (listed === undefined) return this.#unknown(identity, asked)
    return { type: 'refused', problem: this.#mayUse(identity, listed)!, service: listed.name }
  }

  #mayUse(identity: SessionIdentity, service: ServicePlan): StreamProblem | undefined {
    const { name } = service
    if (!identity.services.includes(name)) {
      return streamProblem(
        'service-not-allowed',
        `The token of function ${identity.name} does not list the service ${name}.`,
        `isthmus function allow ${identity.name} ${this.site}/${name}`,
      )
    }
    if (!service.allow.includes(identity.name)) {
      return streamProblem(
        'service-not-allowed',
        `The connector at ${this.site} does not allow function ${identity.name} to use ${name}.`,
        `Add ${identity.name} to services.${name}.allow in services.yaml of that connector.`,
      )
    }
    return undefined
  }

  #unknown(identity: SessionIdentity, asked: Asked): Refused {
    const may = identity.services.length === 0 ? 'none' : identity.services.join(', ')
    const problem = streamProblem(
      'unknown-service',
      `No service at ${this.site} that function ${identity.name} may use has the name ${asked.host} and port ${asked.port}.`,
      `Its token lists: ${may}. Ask for one of these, or declare the host in services.yaml of the connector.`,
    )
    return { type: 'refused', problem }
  }
}

export interface Admitted {
  readonly service: NetworkService
  /** Those to be dialled, in their order; never empty. */
  readonly addresses: readonly Address[]
}

/**
 * The first service of a `network` decision that takes addresses of the host, with those that it takes. Whoever dials
 * must dial these and look up nothing again: the answer to the same question may be another one the next time.
 */
export function admitAddresses(
  candidates: readonly NetworkService[],
  asked: Asked,
  addresses: readonly Address[],
  own: OwnPorts,
): Admitted | { readonly problem: StreamProblem } {
  for (const service of candidates) {
    const admitted = addresses.filter(
      (address) =>
        service.networks.some((network) => prefixContains(network, address)) &&
        isDialable(address, asked.port, service.networks, own),
    )
    if (admitted.length > 0) return { service, addresses: admitted }
  }
  return { problem: forbidden(asked) }
}

/** The addresses of a service's own target that may be dialled. An address that stands in the file may, whatever it is. */
export function admitTarget(
  service: TargetService,
  asked: Asked,
  addresses: readonly Address[],
  own: OwnPorts,
): readonly Address[] | { readonly problem: StreamProblem } {
  const literal = parseAddress(service.host)
  if (literal !== undefined) return [literal]
  const admitted = addresses.filter((address) => isDialable(address, service.port, [], own))
  return admitted.length > 0 ? admitted : { problem: forbidden(asked) }
}

/** Special addresses, and our own ports, are reached only where the file lists the one address by itself. */
function isDialable(address: Address, port: number, listed: readonly Prefix[], own: OwnPorts): boolean {
  const isOurs = own.ports.has(port) && own.addresses.has(address)
  if (!isOurs && !isSpecial(address)) return true
  return listed.includes(`${address}/${address.includes(':') ? 128 : 32}` as Prefix)
}

/** Says nothing of the address: the function may not know it. */
function forbidden({ host }: Asked): StreamProblem {
  return streamProblem(
    'address-forbidden',
    `${host} does not lead to an address that services.yaml of the connector lets functions reach.`,
    'Look up the name on the connector, and compare with networks and ports of the service.',
  )
}

/** Lower case, without the brackets of a URL and without the dot of the root. */
export function plainHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
}

/** Every name by which a service is asked for. */
export function hostsOf({ name, hosts }: TargetService): string[] {
  return [name, `${name}.internal`, ...hosts]
}

function targetFault(service: TargetService, { kind, host, port }: Asked): StreamProblem | undefined {
  if ((kind === 'http') !== (service.kind !== 'tcp')) {
    // Past our HTTP there would be neither its headers nor its host names.
    const [is, use] = service.kind === 'tcp' ? ['TCP', 'connect()'] : ['HTTP', 'fetch()']
    return streamProblem(
      'bad-request',
      `The service ${service.name} is one for ${is}.`,
      `Use ${use}, or declare another service in services.yaml of the connector.`,
    )
  }
  const isDefault = kind === 'http' && DEFAULT_PORTS.has(port)
  if (port === service.port || isDefault) return undefined
  const inWords = kind === 'http' ? `port ${service.port}, or no port at all` : `port ${service.port}`
  return streamProblem(
    'unknown-service',
    `The service ${service.name} is not at port ${port} of ${host}.`,
    `Ask for ${inWords}.`,
  )
}
