import { stripVTControlCharacters } from 'node:util'
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
  // All of this is what a job may do.
  managed.token = network.tokens.rotation
})
afterEach(() => managed.close())

const run = (...words: string[]) => managed.run(...words)

/** The connectors go on while the verb waits. */
function live(): void {
  managed.onPause = () => converge(left, right)
}

test('rotate --wait rotates, tells how it goes, and what the evidence says', async () => {
  live()
  const { code, out, err } = await run('rotate', 'hq-branch', '--wait')
  expect(code).toBe(EXIT.ok)
  expect(out).toMatch(/^Rotating the key of 1 tunnel: run_\w{20}\n/)
  expect(out).toMatch(/\nhq-branch {2}done +\w{8} +\w{8} +1,300 +0 +verifies\n/)
  expect(out).toMatch(/\n1 of 1 key rotated, in 500ms; 0 of 1,300 packets lost\n$/)
  expect(err).toBe('hq-branch: preparing\n0 of 1 rotated, 1 under way\n1 of 1 rotated\n')
  expect(left.document.tunnels[0]!.epochs).toMatchObject([{ epoch: 2, phase: 'use' }])
})

test('on a terminal it draws over itself, in lines that fit, and names connectors where it may', async () => {
  live()
  const io = { isTty: true, columns: 60 }
  const { err } = await managed.runWith(
    { io, env: { ISTHMUS_TOKEN: network.tokens.operator } },
    'rotate',
    '--all',
    '--wait',
  )
  expect(err).toMatch(/ {2}hq-branch: preparing for 0ms, waits for (hq|branch)/)
  expect(err).toContain('\u001b[2A\u001b[J')
  expect(err.endsWith('\u001b[1A\u001b[J')).toBe(true)
  const drawn = stripVTControlCharacters(err).split('\n')
  expect(Math.max(...drawn.map((line) => line.length))).toBeLessThan(60)
})

test('--json is one document, with the evidence read and verified', async () => {
  live()
  const { code, out, err } = await run('rotate', '--all', '--wait', '--json')
  expect({ code, err }).toEqual({ code: EXIT.ok, err: '' })
  expect(JSON.parse(out)).toMatchObject({
    run: { state: 'done', counts: { done: 1, aborted: 0 } },
    rotations: [{ rotation: { from: 1, to: 2 }, genuine: true, evidence: { packetsLost: 0, complete: true } }],
    skipped: [],
  })
})

test('--dry-run only tells, and rotates nothing', async () => {
  const { code, out } = await run('rotate', '--all', '--dry-run')
  expect({ code, out }).toEqual({
    code: EXIT.ok,
    out: 'Would rotate 1 key, in this order:\n#  TUNNEL     KEY NOW\n1  hq-branch  epoch 1\n',
  })
  const plan = JSON.parse((await run('rotate', 'hq-branch', '--dry-run', '--json')).out)
  expect(plan).toMatchObject({ planned: [{ name: 'hq-branch', from: 1 }], skipped: [] })
  expect((await run('run', 'list')).out).toContain('No key was ever rotated')
})

test('what is to be rotated must be said, and exist', async () => {
  expect(await run('rotate')).toMatchObject({ code: EXIT.usage, err: expect.stringContaining('or say --all') })
  expect(await run('rotate', 'x', '--all')).toMatchObject({ code: EXIT.usage })
  expect(await run('rotate', 'x')).toMatchObject({
    code: EXIT.failed,
    err: expect.stringContaining('there are: hq-branch'),
  })
})

test('a tunnel that cannot be rotated is left out, and that is a failure where it was named', async () => {
  await makeSite(network, 'lab', '10.3.0.0/16')
  live()
  const all = await run('rotate', '--all', '--wait')
  expect(all.code).toBe(EXIT.ok)
  expect(all.out).toMatch(/Left out: 2 tunnels\nTUNNEL +WHY\n/)
  const both = await run('rotate', 'hq-branch', 'hq-lab', '--wait')
  expect(both.code).toBe(EXIT.notRotated)
  expect(both.out).toContain('1 of 1 key rotated')
  expect(await run('rotate', 'hq-lab')).toMatchObject({
    code: EXIT.notRotated,
    err: expect.stringContaining('There is nothing to rotate: hq-lab: '),
  })
})

test('without --wait the run goes on by itself; it can be watched, shown and aborted', async () => {
  const begun = JSON.parse((await run('rotate', 'hq-branch', '--json')).out)
  expect(begun).toMatchObject({ run: { state: 'running' }, skipped: [] })
  const { id } = begun.run
  expect((await run('run', 'list')).out).toMatch(new RegExp(`\\n${id} +running +0/1 +just now +token:tok_`))
  expect((await run('run', 'show', id)).out).toContain('0 of 1 key rotated, 1 not ended')
  expect(await run('run', 'abort', id)).toMatchObject({
    code: EXIT.ok,
    out: expect.stringContaining('is aborted: 0 keys'),
  })
  live()
  const watched = await run('run', 'watch', id)
  expect(watched.code).toBe(EXIT.notRotated)
  expect(watched.out).toMatch(/hq-branch +aborted .* verifies\nhq-branch: the run was aborted by token:tok_/)
  expect(watched.out).toMatch(/0 of 1 key rotated.*the run was aborted by/)
  expect(await run('run', 'abort', id)).toMatchObject({ code: EXIT.failed })
  expect(await run('run', 'watch', 'run_x')).toMatchObject({ code: EXIT.failed })
  await converge(left, right)
  expect(left.document.tunnels[0]!.epochs).toMatchObject([{ epoch: 1, phase: 'use' }])
})

test('a control plane that is away for a while is waited for', async () => {
  const { fetch } = managed
  let away = 0
  managed.fetch = async function (this: ManagedWorld, url, init) {
    if (away-- > 0) throw new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } })
    return fetch.call(this, url, init)
  }
  managed.onPause = async () => {
    if (managed.requests.length < 8) away = 1
    else await converge(left, right)
    managed.requests.push('paused')
  }
  const { code, err } = await run('rotate', 'hq-branch', '--wait')
  expect(code).toBe(EXIT.ok)
  expect(err).toContain('the control plane does not answer; the tunnels stay up, waiting for it\n')
})

test('a control plane that stays away is given up', async () => {
  managed.onPause = async () => {
    managed.world.clock.now += 60_000
    managed.fetch = () => Promise.reject(new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } }))
  }
  expect(await run('rotate', 'hq-branch', '--wait')).toMatchObject({
    code: EXIT.noControl,
    err: expect.stringContaining('cannot be reached (ECONNREFUSED)'),
  })
})

test('evidence that was changed, or is of another rotation, is not believed', async () => {
  live()
  await run('rotate', 'hq-branch', '--wait')
  await run('rotate', 'hq-branch', '--wait')
  const { items } = JSON.parse((await run('rotation', 'list', '--tunnel', 'hq-branch', '--json')).out)
  const rotations = items.map(({ rotation }: { rotation: object }) => rotation)
  expect(rotations.map(({ to }: { to: number }) => to)).toEqual([3, 2, 1])
  const [second, first] = rotations
  expect((await run('rotation', 'show', second.id)).out).toMatch(
    /evidence +verifies\n\nThe evidence says\n.*packets lost +0\n/s,
  )
  const { fetch } = managed
  const forge = (evidence: string) => {
    managed.fetch = async function (this: ManagedWorld, url, init) {
      const response = await fetch.call(this, url, init)
      return url.endsWith(second.id) ? Response.json({ ...second, evidence }) : response
    }
  }
  const [head, payload, signature] = second.evidence.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const better = Buffer.from(JSON.stringify({ ...claims, packetsLost: 7 })).toString('base64url')
  forge(`${head}.${better}.${signature}`)
  expect(await run('rotation', 'show', second.id)).toMatchObject({
    code: EXIT.notGenuine,
    out: expect.stringContaining('does not verify: the signature is not by the evidence key of the network'),
  })
  forge(first.evidence)
  const other = await run('rotation', 'show', second.id, '--json')
  expect(JSON.parse(other.out)).toMatchObject({ genuine: false, why: 'it is about another rotation' })
  expect(other.code).toBe(EXIT.notGenuine)
  managed.fetch = fetch
  const pinned = await run('rotation', 'show', second.id, '--evidence-key', left.joined.publicKey)
  expect(pinned.code).toBe(EXIT.notGenuine)
})

test('a rotation can be aborted by itself, and is in the list', async () => {
  await run('rotate', 'hq-branch')
  const { items } = JSON.parse((await run('rotation', 'list', '--active', '--json')).out)
  expect(items).toHaveLength(1)
  const { id } = items[0].rotation
  expect((await run('rotation', 'abort', id)).out).toContain('the old key goes on working')
  await converge(left, right)
  expect((await run('rotation', 'list')).out).toMatch(new RegExp(`${id} +hq-branch +aborted`))
})
