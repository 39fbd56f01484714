/** A process that commits to the store at its first argument until it is killed, a line for each commit that was answered. */
import { writeSync } from 'node:fs'
import { openRepo } from '../repo-sql.ts'
import { openSqlite } from '../sqlite-node.ts'
import { eventsFor, putSite, site } from './samples.ts'

const repo = await openRepo(openSqlite(process.argv[2]!))
for (;;) {
  const version = (await repo.get('net_a', 'network', 'net_a'))!.value.intentVersion + 1
  await repo.commit('net_a', {
    changes: ['a', 'b', 'c'].map((name) => putSite(site(`site_${version}_${name}`), 0)),
    intent: { version, at: version, actor: 'system' },
    audit: await eventsFor(repo, 'net_a', `version ${version}`),
  })
  writeSync(1, `${version}\n`)
}
