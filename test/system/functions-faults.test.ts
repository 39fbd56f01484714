/** What functions see when connectors and the control plane vanish under them, by kill -9. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { skipWithoutPeers } from '../interop/peers.ts'
import { createFunctionsWorld, type FunctionsWorld, outcomeOf } from './functions-world.ts'
import { skipWithoutNamespaces } from './netns.ts'
import { until } from './until.ts'

const what = 'functions and what vanishes'

describe.skipIf(skipWithoutNamespaces(what) || skipWithoutPeers(what, 'openssl'))('functions, when', () => {
  let functions: FunctionsWorld
  beforeAll(async () => {
    functions = await createFunctionsWorld()
  })
  afterAll(() => functions?.close())

  async function listen(straight: boolean): Promise<void> {
    functions.declare(straight)
    await functions.untilDeclared(straight)
  }

  async function restart(): Promise<void> {
    await functions.startConnector(functions.sites.hq, '')
    await functions.untilServing()
    await until('an order', async () => (await functions.run('order').catch(() => ({ status: 0 }))).status === 200)
  }

  test.each([
    ['straight', true],
    ['over the relay', false],
  ])('the connector vanishes in mid-answer, %s: the body fails, with a reason', async (_, straight) => {
    await listen(straight)
    const dripping = functions.start('drip')
    await dripping.waitFor(/dripping/)
    await functions.kill('hq')
    expect(await outcomeOf(dripping)).toMatchObject({ code: 'session-lost', chunks: expect.any(Number) })
    await restart()
  })

  test('the connector vanishes between POSTs: none reaches the service twice, none is lost without a word', async () => {
    await listen(true)
    const counting = functions.start('count', 400)
    await counting.waitFor(/counting/)
    await functions.kill('hq')
    await functions.startConnector(functions.sites.hq, '')
    await functions.untilServing()
    const { none: answered = 0, ms: _, ...failed } = (await outcomeOf(counting)) as Record<string, number>
    const { count, twice } = (await functions.run('counted')) as { count: number; twice: number }
    expect(twice).toBe(0)
    expect(answered).toBeGreaterThan(20)
    // Whatever the service has done was answered, or else its caller was told that it does not know.
    expect(count).toBeGreaterThanOrEqual(answered)
    expect(count - answered).toBeLessThanOrEqual(failed['session-lost'] ?? 0)
  })

  test('the control plane vanishes: a session goes on, and who has no grant is told', async () => {
    await listen(true)
    const asking = functions.start('ask', 60)
    await asking.waitFor(/asking/)
    await functions.control.kill()
    expect(await outcomeOf(asking)).toMatchObject({ none: 60 })
    expect(await functions.run('open', 'echo.internal:7000')).toMatchObject({ code: 'control-unreachable' })
    await functions.control.start()
    await functions.untilServing()
  })

  test('one of two connectors of the site vanishes: the other one answers', async () => {
    await listen(true)
    await functions.addConnector()
    const both = async () => {
      const { items } = await functions.control.run<{ items: { functions?: object }[] }>('connector', 'list')
      return items.filter((connector) => connector.functions !== undefined).length === 2
    }
    await until('both connectors to serve functions', both)
    const asking = functions.start('ask', 60)
    await asking.waitFor(/asking/)
    await functions.kill('hq')
    // All of them: what was under way is asked again, for a GET does no harm.
    expect(await outcomeOf(asking)).toMatchObject({ none: 60 })
  })
})
