import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { CLIENT_FILE, clientSource } from './api-client.ts'

test('what the client knows of the API is current: node control/entry/api-client.ts', async () => {
  expect(readFileSync(CLIENT_FILE, 'utf8')).toBe(await clientSource())
})
