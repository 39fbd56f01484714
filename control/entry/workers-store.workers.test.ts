import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { createSqliteDo } from '../store/sqlite-do.ts'
import { storeCompliance } from '../store/testing/compliance.ts'
import { sqlWithin } from '../store/testing/within.ts'

let made = 0

storeCompliance(
  'a Durable Object',
  async () => {
    const object = env.NETWORKS.get(env.NETWORKS.idFromName(`store ${++made}`))
    return sqlWithin('sqlite', (work) => runInDurableObject(object, (_, state) => work(createSqliteDo(state.storage))))
  },
  { runs: 3 },
)
