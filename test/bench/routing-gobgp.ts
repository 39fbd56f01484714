/** GoBGP as the one that learns: a session on a plain link, which is easier than one in a tunnel. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../system/until.ts'
import { type BenchLab, insideOf, OUR_AS, type Spawned, type Way } from './routing-lab.ts'

export interface GoBgp {
  readonly process: Spawned
  /** Prefixes of both families that it has taken from the neighbour. */
  accepted(): Promise<number>
  stop(): Promise<void>
}

/** In namespace `ns`, with the address that our connector has towards the neighbour, so that it hears the same octets. */
export async function startGoBgpLearner({ world, directory }: BenchLab, ns: string, way: Way): Promise<GoBgp> {
  const { us, them } = insideOf(way)
  const folder = join(directory, 'gobgp')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'gobgpd.toml')
  const families = ['ipv4-unicast', 'ipv6-unicast']
    .map((name) => `[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = "${name}"\n`)
    .join('')
  writeFileSync(
    file,
    `[global.config]
as = ${OUR_AS}
router-id = "${us[4]}"
local-address-list = ["${us[4]}"]
[[neighbors]]
[neighbors.config]
neighbor-address = "${them[4]}"
peer-as = ${way.as}
[neighbors.transport.config]
local-address = "${us[4]}"
passive-mode = true
${families}`,
  )
  const daemon = world.spawn(ns, ['gobgpd', '-f', file, '--api-hosts', '127.0.0.1:50051', '--log-level', 'warn'])
  const gobgp = async (...words: string[]): Promise<string> => {
    return (await world.exec(ns, ['gobgp', ...words], { check: false })).stdout
  }
  await until('gobgpd to answer', async () => (await gobgp('neighbor')).includes(them[4]))
  return {
    process: daemon,
    // The last column. A summary of the table would hold the daemon up for seconds.
    accepted: async () => Number(/(\d+)\s*$/.exec(await gobgp('neighbor'))?.[1] ?? 0),
    stop: () => daemon.stop(),
  }
}
