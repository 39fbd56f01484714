import { openSqlite } from './sqlite-node.ts'
import { storeCompliance } from './testing/compliance.ts'

storeCompliance('SQLite, in memory', async () => openSqlite(':memory:'), { runs: 60 })
