/** The Node entry as a process of its own, which tests may kill: its options come as JSON, its address goes out. */
import { writeSync } from 'node:fs'
import { jsonLog } from '../json-log.ts'
import { type NodeOptions, startControl } from '../node.ts'

const options: Omit<NodeOptions, 'log'> = JSON.parse(process.argv[2]!)
const log = jsonLog((line) => process.stderr.write(`${line}\n`), Date.now)
const plane = await startControl({ ...options, log })
process.on('SIGTERM', () => void plane.close())
writeSync(1, `${JSON.stringify({ url: plane.url, adminToken: plane.adminToken })}\n`)
