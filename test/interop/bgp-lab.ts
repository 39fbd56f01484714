/**
 * A connector with BGP (namespace `us`) and a gateway as clouds have it: strongSwan with BIRD behind it. Addresses
 * inside the tunnel are of 169.254.0.0/16, selectors are 0.0.0.0/0, routes come by BGP alone.
 */
import { until } from '../system/until.ts'
import { type Bird, type BirdOptions, birdConfiguration, startBird } from './bird.ts'
import { type Isthmus, startIsthmus } from './isthmus.ts'
import { INNER4, INNER6, type Lab, OUTER4, SECRET } from './pair.ts'
import { type StrongSwan, startStrongSwan } from './strongswan.ts'

export const INSIDE = { us: '169.254.10.2', them: '169.254.10.1' }
export const AS = { us: 64_512, them: 65_001 }
const IKE = 'aes128gcm16-prfsha256-x25519'
const ESP = 'aes128gcm16'

/** strongSwan in `them`, with a device `ipsec0` that has the inner address. */
export async function startGateway(lab: Lab): Promise<StrongSwan> {
  const gateway = await startStrongSwan(lab.world, 'them', lab.directory, {
    daemon: 'install_routes = no',
    connections: {
      c: {
        local: OUTER4.them,
        remote: OUTER4.us,
        secret: SECRET,
        proposals: IKE,
        children: [{ name: 't', local: '0.0.0.0/0,::/0', remote: '0.0.0.0/0,::/0', proposals: ESP }],
      },
    },
  })
  await lab.world.exec('them', `ip addr add ${INSIDE.them}/30 dev ipsec0 && ip link set ipsec0 up`)
  return gateway
}

export interface ConnectorOptions {
  /** Further lines of the neighbour in flow style, such as `hold: 3s`. */
  readonly neighbour?: readonly string[]
  readonly as?: number
  /** Our address of IPv6 inside the tunnel; then the site has a network of IPv6 too. */
  readonly six?: string
}

export function startConnector(lab: Lab, options: ConnectorOptions = {}): Promise<Isthmus> {
  const neighbour = [
    'peer: peer',
    `address: ${INSIDE.them}`,
    `as: ${options.as ?? AS.them}`,
    'import: all',
    'export: ours',
    'connect_retry: 1s',
    ...(options.neighbour ?? []),
  ]
  return startIsthmus(lab.world, 'us', lab.directory, {
    address: OUTER4.us,
    networks: ['10.8.1.0/24', ...(options.six === undefined ? [] : ['fd08:1::/48'])],
    peer: {
      address: OUTER4.them,
      networks: options.six === undefined ? ['0.0.0.0/0'] : ['0.0.0.0/0', '::/0'],
      secret: SECRET,
      keys: [
        `ike: { proposals: [${IKE}] }`,
        `esp: { proposals: [${ESP}] }`,
        `inside: [${INSIDE.us}/30${options.six === undefined ? '' : `, '${options.six}'`}]`,
        'routes: bgp',
        'dpd: 2s',
      ],
    },
    keys: [
      `tun: { addresses: [${INNER4.us}${options.six === undefined ? '' : `, '${INNER6.us}'`}] }`,
      `bgp: { as: ${AS.us}, neighbours: { cloud: { ${neighbour.join(', ')} } }, policies: {` +
        ' all: { rules: [], otherwise: accept }, ours: { rules: [{ name: sites, if: { from: [local] }, do: accept }] } } }',
      'metrics: { enabled: false }',
    ],
  })
}

export function startNeighbour(lab: Lab, options: Partial<BirdOptions> = {}): Promise<Bird> {
  return startBird(lab.world, 'them', lab.directory, neighbourConfiguration(options))
}

export function neighbourConfiguration(options: Partial<BirdOptions> = {}): string {
  return birdConfiguration({
    routerId: INSIDE.them,
    localAs: AS.them,
    local: INSIDE.them,
    neighbour: INSIDE.us,
    neighbourAs: AS.us,
    prefixes4: ['10.8.2.0/24', '10.9.0.0/16'],
    ...options,
  })
}

export async function neighbourWhen(
  us: Isthmus,
  what: string,
  holds: (neighbour: NonNullable<Awaited<ReturnType<Isthmus['status']>>['bgp']>['neighbours'][number]) => boolean,
  limitMs = 30_000,
): Promise<void> {
  await until(`the neighbour to be ${what}`, async () => holds((await us.status()).bgp!.neighbours[0]!), limitMs).catch(
    async (error: Error) => {
      const seen = JSON.stringify((await us.status()).bgp, null, 2)
      throw new Error(`${error.message}\n${seen}\n${us.log().slice(-4000)}`)
    },
  )
}

/** Destinations of our routes in the kernel of `us`. */
export async function kernelRoutes(lab: Lab): Promise<string[]> {
  const { stdout } = await lab.world.exec('us', 'ip -j route show proto 151; ')
  return (JSON.parse(stdout || '[]') as { dst: string }[]).map(({ dst }) => dst).sort()
}

export async function routesWhen(lab: Lab, wanted: readonly string[], limitMs = 15_000): Promise<void> {
  const sorted = [...wanted].sort().join(' ')
  let seen = ''
  await until(
    `the kernel to have ${sorted}`,
    async () => {
      seen = (await kernelRoutes(lab)).join(' ')
      return seen === sorted
    },
    limitMs,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; it has ${seen}`)
  })
}
