/** The Worker as it is deployed, and a way into the store of a network, by which the benchmark fills it. */
import deployed from '../../control/entry/workers.ts'
import type { WorkerEnv } from '../../control/entry/workers-types.ts'

export { DirectoryObject, NetworkObject } from '../../control/entry/workers.ts'

const SEED = /^\/bench\/([^/]+)$/

export default {
  ...deployed,
  async fetch(request: Request, env: WorkerEnv): Promise<Response> {
    const network = SEED.exec(new URL(request.url).pathname)?.[1]
    if (network === undefined) return deployed.fetch(request, env)
    const object = env.NETWORKS.get(env.NETWORKS.idFromName(network))
    return Response.json(await object.store({ method: 'commit', args: [network, await request.json()] }))
  },
}
