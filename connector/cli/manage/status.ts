/** Whether all is well with a network: what is there, what is wrong, and what to do about it. */
import type {
  Connector,
  Network,
  Policy,
  Rotation,
  Site,
  Tunnel,
  TunnelStatus,
} from '../../../protocol/control/generated/api-client.ts'
import { EXIT } from '../../handle.ts'
import type { CliIo, CommandInput } from '../command.ts'
import { nowOf, openNetwork, type Place } from './access.ts'
import { carrierOf, heardOf, presenceOf } from './connector.ts'
import { printJson } from './options.ts'
import { type Heard, healthOf, MOST_LOOKED_AT, statusesOf } from './tunnel-states.ts'
import { byName, since } from './view.ts'

export interface NetworkState {
  readonly network: Network
  readonly now: number
  readonly sites: readonly Site[]
  /** Those that are not revoked. */
  readonly connectors: readonly Connector[]
  readonly tunnels: readonly Tunnel[]
  /** By tunnel; of the first ones only where there are many. */
  readonly statuses: ReadonlyMap<string, TunnelStatus>
  /** Under way. */
  readonly rotations: readonly Rotation[]
  readonly policies: readonly Policy[]
  readonly heard: Heard
}

export interface NetworkProblem {
  /** `site`, `connector`, `tunnel` or `rotation`. */
  readonly kind: 'site' | 'connector' | 'tunnel' | 'rotation'
  readonly name: string
  readonly cause: string
  readonly remedy: string
}

/** A rotation takes some seconds; one that takes longer waits for somebody. */
const SLOW_ROTATION_MS = 5 * 60_000

export async function networkStatus(input: CommandInput, io: CliIo): Promise<number> {
  const place = await openNetwork(input, io)
  const state = await readState(place, input.options.all === true, nowOf(io))
  const problems = problemsOf(state)
  if (input.options.json === true) printJson(io, documentOf(state, problems))
  else {
    const { renderNetwork } = await import('./status-view.ts')
    io.stdout(renderNetwork(state, problems, io))
  }
  return exitOf(problems)
}

/** Everything that is wrong, what stops traffic first. */
export function problemsOf(state: NetworkState): NetworkProblem[] {
  return [
    ...state.tunnels.flatMap((tunnel) => tunnelProblem(tunnel, state) ?? []),
    ...state.connectors.flatMap((connector) => connectorProblem(connector, state) ?? []),
    ...state.sites.flatMap((site) => siteProblem(site, state) ?? []),
    ...state.rotations.flatMap((rotation) => rotationProblem(rotation, state) ?? []),
  ]
}

function exitOf(problems: readonly NetworkProblem[]): number {
  if (problems.length === 0) return EXIT.ok
  const has = (kind: NetworkProblem['kind']) => problems.some((problem) => problem.kind === kind)
  if (has('tunnel')) return EXIT.tunnelDown
  return has('connector') || has('site') ? EXIT.notRunning : EXIT.notRotated
}

async function readState(place: Place, all: boolean, now: number): Promise<NetworkState> {
  const { api, params, network } = place
  const [sites, connectors, tunnels, rotations, policies] = await Promise.all([
    api.all('sites.list', { params }),
    api.all('connectors.list', { params }),
    api.all('tunnels.list', { params }),
    api.all('rotations.list', { params, query: { state: 'active' } }),
    api.all('policies.list', { params }),
  ])
  const sorted = byName(tunnels)
  const present = byName(connectors.filter(({ revokedAt }) => revokedAt === undefined))
  return {
    network,
    now,
    sites: byName(sites),
    connectors: present,
    heard: heardOf(present, now),
    tunnels: sorted,
    statuses: await statusesOf(place, all ? sorted : sorted.slice(0, MOST_LOOKED_AT)),
    rotations,
    policies,
  }
}

function siteProblem({ id, name }: Site, { connectors }: NetworkState): NetworkProblem | undefined {
  if (connectors.some(({ site }) => site === id)) return undefined
  const remedy = `isthmus site token ${name} prints what to run on its gateway`
  return { kind: 'site', name, cause: 'no connector has joined', remedy }
}

function connectorProblem(connector: Connector, { connectors, now }: NetworkState): NetworkProblem | undefined {
  if (presenceOf(connector, now) !== 'away') return undefined
  const { name, lastSeenAt, functions } = connector
  const cause =
    lastSeenAt === undefined ? 'has not been heard of' : `has not been heard of for ${since(lastSeenAt, now)}`
  const known = [
    carrierOf(connectors, connector.site)?.id === connector.id ? 'its tunnels may be up all the same' : '',
    functions !== undefined && functions.direct === undefined ? 'no function reaches its services now' : '',
    'run isthmus status on it, and look at its way here',
  ]
  const remedy = known.filter((text) => text !== '').join('; ')
  return { kind: 'connector', name, cause, remedy }
}

/** Of a tunnel whose ends have both joined: until then its site is the problem. */
function tunnelProblem(tunnel: Tunnel, state: NetworkState): NetworkProblem | undefined {
  const status = state.statuses.get(tunnel.id)
  const joined = tunnel.sites.every((site) => state.connectors.some((connector) => connector.site === site))
  if (status === undefined || !joined) return undefined
  const health = healthOf(status, state.heard)
  // That its ends are away is a problem of theirs, and no news of the tunnel.
  if (health === 'up' || (health === 'unknown' && status.ends.length > 0)) return undefined
  const { name } = tunnel
  const told = status.ends.find(({ report }) => report.problem !== undefined)
  if (told?.report.problem !== undefined) {
    const { cause, remedy } = told.report.problem
    return { kind: 'tunnel', name, cause: `${connectorName(told.connector, state)}: ${cause}`, remedy }
  }
  if (status.epoch === 0) {
    const waits = status.waitingFor === undefined ? '' : `, waiting for ${named(status.waitingFor, state)}`
    return { kind: 'tunnel', name, cause: `has no key yet${waits}`, remedy: 'wait until both connectors are linked' }
  }
  const states = status.ends.map((end) => `${connectorName(end.connector, state)} says ${end.report.state}`)
  const cause = states.length === 0 ? 'no end has reported' : states.join(', ')
  return { kind: 'tunnel', name, cause, remedy: 'run isthmus status on both connectors' }
}

function rotationProblem({ id, tunnel, begunAt, createdAt, trigger }: Rotation, state: NetworkState) {
  const age = state.now - (begunAt ?? createdAt)
  // The first key waits for its connectors as long as it takes: they are the problem then.
  if (trigger === 'establish' || age < SLOW_ROTATION_MS) return undefined
  const name = state.tunnels.find((known) => known.id === tunnel)?.name ?? tunnel
  const waits = state.statuses.get(tunnel)?.waitingFor
  const why = waits === undefined ? '' : `, and waits for ${named(waits, state)}`
  const remedy = `bring that back, or go back to the old key: isthmus rotation abort ${id}`
  return {
    kind: 'rotation',
    name,
    cause: `has been under way for ${since(state.now - age, state.now)}${why}`,
    remedy,
  } as const
}

/** Connectors by their names, in a text that has their ids. */
export function named(text: string, state: NetworkState): string {
  return text.replaceAll(/con_\w{20}/g, (id) => connectorName(id, state))
}

function connectorName(id: string, { connectors }: NetworkState): string {
  return connectors.find((connector) => connector.id === id)?.name ?? id
}

function documentOf(state: NetworkState, problems: readonly NetworkProblem[]): object {
  const { network, now, sites, connectors, tunnels, statuses, rotations, policies } = state
  return {
    ok: problems.length === 0,
    problems,
    network,
    now,
    sites,
    connectors: connectors.map((connector) => ({ ...connector, presence: presenceOf(connector, now) })),
    tunnels: tunnels.map((tunnel) => {
      const status = statuses.get(tunnel.id)
      return status === undefined ? tunnel : { ...tunnel, health: healthOf(status, state.heard), status }
    }),
    rotations,
    policies,
  }
}
