/**
 * A connector whose plan changes while it runs, made as that of a managed connector is:
 *
 *     changing-end.ts NAME STATE_DIRECTORY WISHES WORKERS
 *
 * WISHES is a file with a `Wishes` in JSON, read at the start and at each SIGHUP. Prints events, `ready`, and after each
 * change `applied` or `refused` with the number of the wishes; its status as one line of JSON at SIGUSR2. Ends well at
 * SIGTERM.
 */
import { readFileSync } from 'node:fs'
import { managedPlan } from '../../connector/config/managed-plan.ts'
import type { TunnelPlan } from '../../connector/core/managed/keeper.ts'
import { startConnector } from '../../connector/io/connector.ts'
import type { ConnectorPlan } from '../../connector/plan.ts'
import { type EndName, SITES, type Wishes } from './changing.ts'

const [nameText, stateDirectory, wishesFile, workersText] = process.argv.slice(2)
const name = nameText as EndName
const workers = Number(workersText)

const connector = await startConnector(planOf(readWishes()), {
  onEvent: (event) => process.stdout.write(`${JSON.stringify(event)}\n`),
})
process.on('SIGTERM', () => void connector.stop())
process.on('SIGUSR2', () => process.stdout.write(`status ${JSON.stringify(connector.status())}\n`))
process.on('SIGHUP', () => {
  const wishes = readWishes()
  connector.apply(planOf(wishes)).then(
    () => process.stdout.write(`applied ${wishes.number}\n`),
    (error: unknown) => process.stdout.write(`refused ${wishes.number}: ${String(error)}\n`),
  )
})
process.stdout.write('ready\n')
const failure = await connector.ended
process.exit(failure === undefined ? 0 : 1)

function readWishes(): Wishes {
  return JSON.parse(readFileSync(wishesFile!, 'utf8')) as Wishes
}

function planOf({ tunnels, pathMtu, mtu, secret = 0 }: Wishes): ConnectorPlan {
  const { outer, network, inner } = SITES[name]
  const planned = tunnels.map(({ peer, keys }): TunnelPlan => {
    const there = SITES[peer]
    const endpoint = { address: there.outer, port: 500, natPort: 4500 }
    const facts = { connector: `con_${peer}`, site: peer, identityKey: '', prefixes: [there.network], endpoint }
    return {
      tunnel: {
        id: `tun_${peer}`,
        name: peer,
        initiate: name < peer,
        ...(pathMtu === undefined ? {} : { pathMtu }),
        peer: facts,
        epochs: [],
      },
      keys: keys.map((epoch) => ({ id: `epoch-${epoch}`, psk: new Uint8Array(32).fill(epoch + secret) })),
    }
  })
  const plan = managedPlan({ name, prefixes: [network] }, `con_${name}`, planned, {
    address: outer,
    stateDirectory: stateDirectory!,
    controlSocket: `${stateDirectory}/socket`,
    more: { tun: { addresses: [inner], mtu: mtu ?? 1400 }, workers, metrics: { enabled: false } },
  })
  // Tests count packets: there are none but their own.
  return { ...plan, connections: plan.connections.map(({ probe: _, ...connection }) => connection) }
}
