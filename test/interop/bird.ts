/** BIRD 2 as a BGP neighbour in a namespace, driven by birdc. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Spawned, World } from '../system/netns.ts'
import { until } from '../system/until.ts'

export interface Bird {
  /** Of its control socket. */
  readonly socket: string
  birdc(...words: string[]): Promise<string>
  /** Writes another configuration and has it taken. */
  configure(configuration: string): Promise<void>
  start(): Promise<void>
  /** Without a word to the neighbours, as a crash does. */
  kill(): Promise<void>
  stop(): Promise<void>
  log(): string
}

export async function startBird(world: World, ns: string, directory: string, configuration: string): Promise<Bird> {
  const folder = join(directory, `bird-${ns}`)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'bird.conf')
  const socket = join(folder, 'ctl')
  let daemon: Spawned | undefined
  const birdc = async (...words: string[]): Promise<string> => {
    return (await world.exec(ns, ['birdc', '-s', socket, ...words], { check: false })).stdout
  }
  const start = async (): Promise<void> => {
    daemon = world.spawn(ns, ['bird', '-f', '-c', file, '-s', socket])
    await until(`BIRD in ${ns} to answer`, async () => {
      if (daemon?.child.exitCode !== null) throw new Error(`BIRD ended:\n${daemon?.output()}`)
      return (await birdc('show', 'status')).includes('Daemon is up')
    })
  }
  writeFileSync(file, configuration)
  await start()
  return {
    socket,
    birdc,
    start,
    configure: async (text) => {
      writeFileSync(file, text)
      await birdc('configure')
    },
    kill: async () => {
      daemon?.child.kill('SIGKILL')
      await daemon?.exited
    },
    stop: async () => daemon?.stop(),
    log: () => daemon?.output() ?? '',
  }
}

export interface BirdOptions {
  readonly routerId: string
  readonly localAs: number
  readonly local: string
  readonly neighbour: string
  readonly neighbourAs: number
  readonly prefixes4?: readonly string[]
  readonly prefixes6?: readonly string[]
  /** Further lines of the protocol. */
  readonly extra?: string
  /** Of the channel of IPv4, for example filters. */
  readonly channel4?: string
  readonly bfd?: boolean
  /** Device through which IPv6 next hops are reached. */
  readonly next6?: string
}

/** One neighbour; what it announces are blackhole routes. Learned routes go into the kernel's main table. */
export function birdConfiguration(options: BirdOptions): string {
  const { routerId, localAs, local, neighbour, neighbourAs, prefixes4 = [], prefixes6 = [], next6 } = options
  const routes = (prefixes: readonly string[]) => prefixes.map((each) => `  route ${each} blackhole;`).join('\n')
  return `log stderr all;
router id ${routerId};
protocol device { scan time 1; }
protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; }
protocol kernel { ipv6 { import none; export where source = RTS_BGP; }; }
protocol static own4 { ipv4;
${routes(prefixes4)}
}
protocol static own6 { ipv6;
${routes(prefixes6)}
}
${options.bfd ? 'protocol bfd { interface "*" { min rx interval 100 ms; min tx interval 100 ms; multiplier 3; }; }' : ''}
protocol bgp hub {
  local ${local} as ${localAs};
  neighbor ${neighbour} as ${neighbourAs};
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 3;
  ${options.bfd ? 'bfd on;' : ''}
  ${options.extra ?? ''}
  ipv4 { import all; export where source = RTS_STATIC; ${options.channel4 ?? ''} };
  ${next6 === undefined ? '' : `ipv6 { import all; export where source = RTS_STATIC; next hop address ${next6}; };`}
}
`
}
