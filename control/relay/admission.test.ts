import { expect, test } from 'vitest'
import { grantOf, makeRelayWorld, protocolsOf } from '../testing/relay.ts'
import { createWorld } from '../testing/world.ts'
import { Admission } from './admission.ts'

async function admitting() {
  const world = await createWorld()
  const relayed = await makeRelayWorld(world)
  const hello = { functions: await relayed.left.serving() }
  await relayed.left.report(hello)
  const admission = new Admission(() => world.services)
  const { network, connector } = relayed.left.joined
  const admit = (token: string, seenAddress = '198.51.100.7', more: object = {}) =>
    admission.admit({ network, connector, protocols: protocolsOf(token).join(', '), seenAddress, ...more })
  const codeOf = async (verdict: ReturnType<typeof admit>) => {
    const told = await verdict
    return 'refused' in told ? told.refused.code : 'admitted'
  }
  return { world, relayed, admission, admit, codeOf }
}

test('a function is admitted with what its token says', async () => {
  const { world, relayed, admit } = await admitting()
  const { network, connector } = relayed.left.joined
  const caller = { network, connector, function: relayed.function.id, issuedAt: world.clock.now }
  expect(await admit((await grantOf(relayed)).token)).toEqual({ caller })
})

test('a token is good until it expires', async () => {
  const { world, relayed, admit, codeOf } = await admitting()
  const { token, expiresAt } = await grantOf(relayed)
  world.clock.now = expiresAt - 1
  expect(await codeOf(admit(token))).toBe('admitted')
  world.clock.now = expiresAt
  expect(await codeOf(admit(token))).toBe(4401)
})

test('one function may not call without end, and that is charged to nobody else', async () => {
  const { relayed, admit, codeOf } = await admitting()
  const { token } = await grantOf(relayed)
  for (let n = 0; n < 500; n++) expect(await codeOf(admit(token))).toBe('admitted')
  expect(await codeOf(admit(token))).toBe(4429)
})

test('guesses are charged to their address', async () => {
  const { admit, codeOf } = await admitting()
  for (let n = 0; n < 30; n++) expect(await codeOf(admit('a.b.c'))).toBe(4401)
  expect(await codeOf(admit('a.b.c'))).toBe(4429)
  expect(await codeOf(admit('a.b.c', '198.51.100.8'))).toBe(4401)
})

test('where the store fails the function is told to come later, and the log why', async () => {
  const { world, relayed, admit, codeOf } = await admitting()
  const { token } = await grantOf(relayed)
  world.services.grants.admit = () => Promise.reject(new Error('disk'))
  expect(await codeOf(admit(token))).toBe(4503)
  expect(world.log.some(({ level, fields }) => level === 'error' && String(fields.error).includes('disk'))).toBe(true)
  expect(JSON.stringify(world.log)).not.toContain(token)
})
