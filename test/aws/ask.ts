/** One request to the control plane, from within its namespace: `node ask.ts <method> <url>`, the body on standard input. */
import { randomUUID } from 'node:crypto'

const [method = 'GET', url = ''] = process.argv.slice(2)
const body = (await process.stdin.setEncoding('utf8').toArray()).join('')
const answer = await fetch(url, {
  method,
  headers: {
    authorization: `Bearer ${process.env.TOKEN}`,
    ...(body === '' ? {} : { 'content-type': 'application/json' }),
    ...(method === 'POST' ? { 'idempotency-key': randomUUID() } : {}),
    ...(method === 'PUT' || method === 'DELETE' ? { 'if-match': '*' } : {}),
  },
  ...(body === '' ? {} : { body }),
})
process.stdout.write(JSON.stringify({ status: answer.status, text: await answer.text() }))
