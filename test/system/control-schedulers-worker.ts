/** The Worker as it is deployed, except that the object of a network says when it comes into memory. */
import { NetworkObject as Deployed } from '../../control/entry/workers.ts'
import type { ObjectState, WorkerEnv } from '../../control/entry/workers-types.ts'

export { DirectoryObject, default, RelayObject } from '../../control/entry/workers.ts'

export class NetworkObject extends Deployed {
  constructor(ctx: ObjectState, env: WorkerEnv) {
    super(ctx, env)
    console.log(`awake, links: ${ctx.getWebSockets().length}`)
  }
}
