/** The store in a real PostgreSQL, with as many sessions as replicas would have. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { backup, restore } from '../../control/store/backup.ts'
import { openPostgres } from '../../control/store/postgres.ts'
import type { Repo } from '../../control/store/repo.ts'
import { openRepo } from '../../control/store/repo-sql.ts'
import { openSqlite } from '../../control/store/sqlite-node.ts'
import { furnish, linesFrom } from '../../control/store/testing/backup-compliance.ts'
import { type Cluster, missingPostgres, startCluster } from '../../control/store/testing/cluster.ts'
import { storeCompliance } from '../../control/store/testing/compliance.ts'
import * as samples from '../../control/store/testing/samples.ts'

const missing = missingPostgres()
if (missing !== undefined) {
  if (process.env.CI === 'true') throw new Error(missing)
  process.stderr.write(`skipped: the store in PostgreSQL: ${missing}\n`)
}

describe.skipIf(missing !== undefined)('with a server', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster()
  })
  afterAll(() => cluster?.stop())

  storeCompliance('PostgreSQL', async () => openPostgres(await cluster.database()), { runs: 10 })

  test('replicas that start at once agree on the tables', async () => {
    const url = await cluster.database()
    const replicas = await Promise.all(Array.from({ length: 8 }, () => openRepo(openPostgres(url, { sessions: 2 }))))
    await samples.found(replicas[0]!, 'net_a')
    expect(await replicas[7]!.networks({ limit: 10 })).toHaveLength(1)
    await Promise.all(replicas.map((replica) => replica.close()))
  })

  test('replicas that write to one network lose nothing', async () => {
    const url = await cluster.database()
    const replicas = await Promise.all(Array.from({ length: 3 }, () => openRepo(openPostgres(url, { sessions: 2 }))))
    await samples.found(replicas[0]!, 'net_a')
    await Promise.all(replicas.map((replica, index) => write(replica, `r${index}`, 10)))
    expect((await replicas[0]!.intentAt('net_a', 30))?.sites).toHaveLength(30)
    expect((await replicas[0]!.auditHead('net_a')).seq).toBe(30)
    await Promise.all(replicas.map((replica) => replica.close()))
  })

  test('after the server was restarted, the next request finds it again', async () => {
    const repo = await openRepo(openPostgres(await cluster.database()))
    await samples.found(repo, 'net_a')
    await cluster.interrupt()
    await expect.poll(() => repo.networks({ limit: 10 }).catch(({ code }) => code)).toHaveLength(1)
    await repo.close()
  })

  test('a server that goes away in the middle of things ends those, and nothing else', async () => {
    const sql = openPostgres(await cluster.database())
    await openRepo(sql)
    const running = [1, 2, 3].map(() => sql.all('SELECT pg_sleep(60)', []).catch((error) => error))
    const many = Array.from({ length: 2000 }, () => ({ sql: 'SELECT pg_sleep(0.05)', params: [] }))
    const writing = sql.batch(many).catch((error) => error)
    const asleep = "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"
    await expect.poll(() => sql.all(asleep, [])).toEqual([{ n: 4 }])
    await cluster.interrupt()
    for (const outcome of await Promise.all([...running, writing])) {
      expect(outcome).toMatchObject({ name: 'StoreFailure', code: 'unavailable' })
    }
    await expect.poll(() => sql.all('SELECT 1 AS one', []).catch(({ code }) => code)).toEqual([{ one: 1 }])
    await sql.close()
  })

  test('a server that is not there is said to be so', async () => {
    const sql = openPostgres('postgres://nobody@127.0.0.1:1/none')
    await expect(openRepo(sql)).rejects.toMatchObject({ name: 'StoreFailure', code: 'unavailable' })
    await sql.close()
  })

  test('a store moves from SQLite to PostgreSQL and back', async () => {
    const [file, copy, server] = [
      openSqlite(':memory:'),
      openSqlite(':memory:'),
      openPostgres(await cluster.database()),
    ]
    await furnish(file)
    await restore(server, backup(file))
    await restore(copy, backup(server))
    expect(await linesFrom(copy)).toEqual(await linesFrom(file))
    await Promise.all([file, copy, server].map((sql) => sql.close()))
  })

  test('a backup is of one moment while others write', async () => {
    const sql = openPostgres(await cluster.database())
    const repo = await openRepo(sql)
    await samples.found(repo, 'net_a')
    await write(repo, 'before', 1)
    const lines: string[] = []
    for await (const line of backup(sql)) {
      if (lines.length === 1) await write(repo, 'during', 3)
      lines.push(line)
    }
    const copy = openSqlite(':memory:')
    await restore(copy, lines)
    const restored = await openRepo(copy)
    expect((await restored.get('net_a', 'network', 'net_a'))?.value.intentVersion).toBe(1)
    expect((await restored.auditHead('net_a')).seq).toBe(1)
    await Promise.all([repo.close(), restored.close()])
  })
})

/** Adds sites one by one, trying again whenever somebody else was faster. */
async function write(repo: Repo, name: string, count: number): Promise<void> {
  for (let done = 0; done < count; ) {
    const version = (await repo.get('net_a', 'network', 'net_a'))!.value.intentVersion + 1
    const batch = {
      changes: [samples.putSite(samples.site(`site_${name}_${done}`), 0)],
      intent: { version, at: 1000, actor: name },
      audit: await samples.eventsFor(repo, 'net_a', `${name} ${done}`),
    }
    const written = await repo.commit('net_a', batch).then(
      () => true,
      (error) => {
        if (error.name !== 'Conflict') throw error
        return false
      },
    )
    if (written) done++
  }
}
