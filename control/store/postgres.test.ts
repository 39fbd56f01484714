import { afterAll, beforeAll } from 'vitest'
import { storeCompliance } from './testing/compliance.ts'
import { Lite } from './testing/pglite.ts'

let lite: Lite
beforeAll(async () => {
  lite = await Lite.start()
}, 120_000)
afterAll(() => lite.stop())

storeCompliance('PostgreSQL, within the process', () => lite.fresh(), { runs: 8 })
