import { runDurableObjectAlarm } from 'cloudflare:test'
import { expect, test, vi } from 'vitest'
import type { CloudRun } from '../../protocol/control/cloud.ts'
import { cloudDraft } from '../testing/cloud.ts'
import { makeNetwork, makeSite, must } from '../testing/network.ts'
import { hibernate, objectOf, workerCaller } from './testing/workers-world.ts'

const caller = workerCaller()

/** An AWS account in which there is nothing. */
function emptyAccount(): { readonly actions: string[] } {
  const actions: string[] = []
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const request = new Request(input as Request, init)
    const action = new URLSearchParams(new TextDecoder().decode(await request.arrayBuffer())).get('Action') ?? ''
    actions.push(action)
    const body = `<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId></${action}Response>`
    return new Response(body, { headers: { 'content-type': 'text/xml' } })
  })
  return { actions }
}

test('a run at AWS goes on by the alarm, also of an object that was taken out of memory', async () => {
  const network = await makeNetwork(caller, 'clouds')
  await makeSite(network, 'hq', '10.1.0.0/16', { endpoint: { address: '192.0.2.1' } })
  const { id } = must(await network.ask('POST', '/clouds', { body: cloudDraft() }), 201).body
  const { id: run } = must(await network.ask('POST', `/clouds/${id}/runs`, { body: { kind: 'apply' } }), 201).body
  const { actions } = emptyAccount()
  await hibernate(network.id)
  let now: CloudRun = must(await network.ask('GET', `/cloud-runs/${run}`), 200).body
  for (let alarms = 0; alarms < 5 && now.state === 'running'; alarms++) {
    expect(await runDurableObjectAlarm(objectOf(network.id))).toBe(true)
    now = must(await network.ask('GET', `/cloud-runs/${run}`), 200).body
  }
  expect(now).toMatchObject({ state: 'failed', error: { code: 'no-vpc' } })
  expect(new Set(actions)).toContain('DescribeVpcs')
})

test('a network that the operator has not named gets nothing of it', async () => {
  const network = await makeNetwork(caller, 'not-clouds')
  await makeSite(network, 'hq', '10.1.0.0/16')
  const answer = await network.ask('POST', '/clouds', { body: cloudDraft() })
  expect([answer.status, answer.body.code]).toEqual([403, 'cloud-not-enabled'])
})
