import { afterEach, beforeEach, expect, test } from 'vitest'
import { converge, type TestConnector } from '../../../control/testing/connector.ts'
import { ManagedWorld } from '../../../test/cli/managed-world.ts'
import { EXIT } from '../../handle.ts'

let managed: ManagedWorld
let left: TestConnector
let right: TestConnector

beforeEach(async () => {
  managed = await ManagedWorld.create()
  const pair = await managed.pair()
  left = pair.left
  right = pair.right
  managed.token = pair.network.tokens.rotation
})
afterEach(() => managed.close())

/** The connectors go on while the verb waits. */
function live(): void {
  managed.onPause = () => converge(left, right)
}

test('rotate --wait rotates, tells how it goes, and what the evidence says', async () => {
  await converge(left, right)
  live()
  const { code, out, err } = await managed.run('rotate', 'hq-branch', '--wait')
  expect(code).toBe(EXIT.ok)
  expect(out).toMatch(/^Rotating the key of 1 tunnel: run_\w{20}\n/)
  expect(out).toMatch(/hq-branch {2}done {3}0+ *1? {2}/)
  expect(out).toContain('verifies')
  expect(out).toMatch(/1 of 1 key rotated, in .*; 0 of [\d,]+ packets lost\n$/)
  expect(err).toContain('hq-branch: preparing\n')
  expect(err).toContain('1 of 1 rotated\n')
})
