import { afterEach, beforeEach, expect, test } from 'vitest'
import { converge, type TestConnector } from '../../../control/testing/connector.ts'
import { makeSite, type TestNetwork } from '../../../control/testing/network.ts'
import { ManagedWorld } from '../../../test/cli/managed-world.ts'
import { EXIT } from '../../handle.ts'

let managed: ManagedWorld
let network: TestNetwork
let left: TestConnector
let right: TestConnector

beforeEach(async () => {
  managed = await ManagedWorld.create()
  const pair = await managed.pair()
  network = pair.network
  left = pair.left
  right = pair.right
  await converge(left, right)
  managed.token = network.tokens.viewer
  managed.link(() => true)
})
afterEach(() => managed.close())

const status = (...words: string[]) =>
  managed.runWith({ io: { isTty: true, columns: 80 } }, 'network', 'status', ...words)

test('all is well', async () => {
  managed.world.clock.now += 3_600_000
  expect(await status()).toEqual({
    code: EXIT.ok,
    err: '',
    out: [
      'acme: ALL WELL, 2 of 2 connectors there, 1 of 1 tunnel up',
      '',
      'SITE    NETWORKS     CONNECTOR  RELEASE',
      'branch  10.2.0.0/16  linked     1.0.0',
      'hq      10.1.0.0/16  linked     1.0.0',
      '',
      'TUNNEL     STATE  KEY              ROTATING',
      'hq-branch  up     epoch 1, 1h old',
      '',
      'Nothing rotates keys by itself. Next: isthmus policy add monthly --max-age 30d',
      '',
    ].join('\n'),
  })
  await network.ask('POST', '/policies', { body: { name: 'p', maxAgeHours: 24 } })
  expect((await status()).out).not.toContain('Nothing rotates')
})

test('a site that nobody has joined, and what to do', async () => {
  await makeSite(network, 'lab', '10.3.0.0/16')
  const { code, out } = await status()
  expect(code).toBe(EXIT.notRunning)
  expect(out).toMatch(
    /^acme: 1 PROBLEM, 2 of 3 connectors there, 1 of 3 tunnels up\n {2}site lab: no connector has joined\n {4}Next: isthmus site token lab prints/,
  )
  expect(out).toMatch(/\nbranch-lab +no report +none yet\n/)
})

test('a connector that is away is a problem of its own; the other end still tells of the tunnel', async () => {
  managed.world.clock.now += 600_000
  managed.link((id) => id === left.joined.connector)
  const { code, out } = await status()
  expect(code).toBe(EXIT.notRunning)
  expect(out).toContain('connector branch: has not been heard of for 10m\n')
  expect(out).toContain('1 of 2 connectors there, 1 of 1 tunnel up')
  managed.link(() => false)
  const both = await status()
  expect(both.out).toMatch(/2 PROBLEMS, 0 of 2 connectors there, 0 of 1 tunnel up/)
  expect(both.out).toMatch(/\nhq-branch +no news +epoch 1/)
})

test('a tunnel that is down, with what its end says of it', async () => {
  const { tunnels } = left.document
  const epochs = tunnels[0]!.epochs.map(({ epoch }) => ({ epoch, accepted: true, using: false, confirmed: false }))
  const traffic = { outPackets: 0, inPackets: 0, outBytes: 0, inBytes: 0, dropped: 0 }
  const problem = { code: 'no-answer', cause: 'the peer does not answer', remedy: 'look at its firewall' }
  const report = { tunnel: tunnels[0]!.id, state: 'connecting', epochs, traffic, problem }
  expect((await left.report({ tunnels: [report] })).status).toBe(200)
  const { code, out } = await status()
  expect(code).toBe(EXIT.tunnelDown)
  expect(out).toContain('  tunnel hq-branch: hq: the peer does not answer\n    Next: look at its firewall\n')
  expect(out).toMatch(/\nhq-branch +one end up, connecting +/)
  const json = JSON.parse((await status('--json')).out)
  expect(json).toMatchObject({
    ok: false,
    problems: [{ kind: 'tunnel', name: 'hq-branch', cause: 'hq: the peer does not answer' }],
    tunnels: [{ name: 'hq-branch', health: 'partly' }],
  })
})

test('a rotation under way is shown with whom it waits for, and is a problem when that takes long', async () => {
  await network.ask('POST', '/runs', { body: {} })
  const soon = await status()
  expect(soon.code).toBe(EXIT.ok)
  expect(soon.out).toMatch(/\nROTATING +STATE +FOR +WAITS FOR\nhq-branch +preparing +0ms +(hq|branch) and/)
  managed.world.clock.now += 360_000
  const late = await status()
  expect(late.code).toBe(EXIT.notRotated)
  expect(late.out).toMatch(/rotation hq-branch: has been under way for 6m, and waits for (hq|branch) and/)
  expect(late.out).toMatch(/isthmus\s+rotation\s+abort\s+rot_/)
})

test('no line is longer than the terminal', async () => {
  await makeSite(network, `a-site-with-a-name-of-${'many-'.repeat(7)}words`, '10.3.0.0/16')
  await network.ask('POST', '/runs', { body: { tunnels: [left.document.tunnels[0]!.id] } })
  managed.world.clock.now += 360_000
  managed.link(() => false)
  const { out } = await status()
  expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
})

test('an empty network says how to begin, and a rotation job may not look at all', async () => {
  const fresh = await ManagedWorld.create()
  await fresh.run('network', 'add', 'new')
  const { code, out } = await fresh.run('network', 'status')
  expect({ code, out }).toEqual({
    code: EXIT.ok,
    out: 'new: EMPTY, 0 of 0 connectors there, 0 of 0 tunnels up\n  Next: isthmus site add <name> --prefix <prefix>\n',
  })
  fresh.close()
  managed.token = network.tokens.rotation
  expect((await status()).code).toBe(EXIT.permission)
})
