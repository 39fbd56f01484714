/** The verbs for connections to AWS against the real API, with a model of AWS. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cloudFailure } from '../../../control/testing/cloud.ts'
import { CloudWorld } from '../../../test/cli/cloud-world.ts'
import { EXIT } from '../../handle.ts'

const DRAFT = { name: 'aws', site: 'hq', region: 'eu-central-1', target: { kind: 'vpc', vpc: 'vpc-0123456789abcdef0' } }

let world: CloudWorld
let file: string

beforeEach(async () => {
  world = await CloudWorld.create()
  file = wanted(DRAFT)
})
afterEach(async () => {
  expect((await world.network.ask('GET', '/audit/verify')).body).toMatchObject({ intact: true })
  world.managed.close()
})

const run = (...words: string[]) => world.managed.run('cloud', ...words)
const json = (...words: string[]) => world.managed.json('cloud', ...words)
const cloud = () => world.model.cloud()

function wanted(...drafts: object[]): string {
  const path = join(world.managed.home, 'aws.yaml')
  writeFileSync(path, drafts.map((draft) => JSON.stringify(draft)).join('\n---\n'))
  return path
}

async function applied(): Promise<void> {
  const { code, err } = await run('aws', 'apply', file, '--yes')
  expect({ code, err }).toEqual({ code: EXIT.ok, err: expect.any(String) })
}

describe('plan', () => {
  test('tells each step and the costs, and changes nothing', async () => {
    const { code, out, err } = await run('aws', 'plan', file)
    expect({ code, err }).toEqual({ code: EXIT.ok, err: '' })
    expect(out).toMatch(
      /^aws: the site hq and vpc-0123456789abcdef0 in eu-central-1\n {2}1 {2}create-customer-gateway: /,
    )
    expect(out).toContain('About $45.50 a month:\n  $36.50  VPN connection, 730 hours\n')
    expect(out).toContain('6 steps: nothing is wrong with it.\nWhat next: isthmus cloud aws apply ')
    expect(cloud().performed).toEqual([])
    expect((await json('list')).items).toEqual([])
  })

  test('with prices of one’s own, and as a document', async () => {
    const prices = join(world.managed.home, 'prices.yaml')
    writeFileSync(prices, 'connectionHour: 1\nhours: 100\ngigabytesOut: 0\n')
    const planned = await json('aws', 'plan', file, '--prices', prices)
    expect(planned).toMatchObject({ perMonth: 100, items: [{ name: 'aws', findings: [], cost: { perMonth: 100 } }] })
  })

  test('of many, a line each and the sum', async () => {
    const many = Array.from({ length: 5 }, (_, at) => ({ ...DRAFT, name: `aws-${at}` }))
    const { out } = await run('aws', 'plan', wanted(...many))
    expect(out).toMatch(
      /^CONNECTION {2}SITE {2}REGION +STEPS {2}DIFFERS {2}FINDINGS {2}A MONTH\naws-0 +hq +eu-central-1 +6 +0 +0 +\$45\.50\n/,
    )
    expect(out).toContain('5 connections, 30 steps, about $227.50 a month: nothing is wrong with it.')
  })

  test('findings are told with their remedies, and are an exit code', async () => {
    const { code, out } = await run('aws', 'plan', wanted({ ...DRAFT, routing: 'static' }))
    expect(code).toBe(EXIT.findings)
    expect(out).toMatch(/\nwarning {2}With static routing AWS cannot be steered/)
    expect(out).toContain('What to do: Use BGP, or rotate by hand with --accept-loss.')
  })

  test('what AWS’s rules refuse has its place in the file, of all connections at once', async () => {
    const bad = wanted(
      { ...DRAFT, insideCidrs: ['169.254.0.0/30', '10.0.0.0/30'] },
      { ...DRAFT, name: 'b', site: 'no' },
    )
    const { code, out, err } = await run('aws', 'plan', bad)
    expect({ code, out }).toEqual({ code: EXIT.badConfig, out: '' })
    expect(err).toContain(`${bad}:1:`)
    expect(err).toContain('insideCidrs[0]: AWS: 169.254.0.0/30 is reserved and cannot be used')
    expect(err).toMatch(/aws\.yaml:3:\d+: site: there is no site no; /)
    expect(err).toContain('does not make sense: 3 faults.')
  })

  test.each([
    ['credentials', EXIT.failed],
    ['forbidden', EXIT.failed],
    ['later', EXIT.noControl],
  ] as const)('where AWS says %s, so it is told', async (kind, code) => {
    cloud().refuse = () => {
      throw cloudFailure(kind, 'ec2:DescribeVpcs')
    }
    await world.managed.refused(code, `AWS said ${kind}`, 'cloud', 'aws', 'plan', file)
  })
})

describe('apply', () => {
  test('tells steps as they are journaled, and what it waits for', async () => {
    const { code, out, err } = await run('aws', 'apply', file, '--yes')
    expect(code).toBe(EXIT.ok)
    expect(err).toMatch(
      /^aws: from 192\.0\.2\.1, AS 65000.*\naws: a customer gateway for 192\.0\.2\.1, AS 65000\naws: waits for AWS /,
    )
    expect(err).toContain('aws: a VPN connection with two tunnels and BGP\n')
    expect(out).toMatch(/\naws is up: both tunnels carry packets, in .+\.\nWhat next: isthmus cloud aws status aws\n$/)
  })

  test('the same file again does nothing', async () => {
    await applied()
    const before = cloud().performed.length
    const { code, out } = await run('aws', 'apply', file)
    expect(code).toBe(EXIT.ok)
    expect(out).toContain('AWS has all of it already.')
    expect(out).toMatch(/It is as the file says already\.\n$/)
    expect(cloud().performed).toHaveLength(before)
  })

  test('nothing is done unless it is meant', async () => {
    expect(await run('aws', 'apply', file)).toMatchObject({ code: EXIT.usage })
    const said = await world.managed.runWith({ io: { ask: async () => false } }, 'cloud', 'aws', 'apply', file)
    expect(said).toMatchObject({ code: EXIT.failed, err: expect.stringContaining('nothing was changed') })
    expect((await json('list')).items).toEqual([])
  })

  test('a plan with errors is not begun', async () => {
    await world.managed.text('policy', 'add', 'monthly', '--max-age', '30d')
    const blocked = wanted({ ...DRAFT, routing: 'static', policy: 'monthly' })
    const { code, err } = await run('aws', 'apply', blocked, '--yes')
    expect({ code, err }).toEqual({ code: EXIT.findings, err: expect.stringContaining('the plan has errors') })
    expect((await json('list')).items).toEqual([])
  })

  test('on a terminal, steps that are done stay, and the rest is drawn over again within the width', async () => {
    const io = { isTty: true, columns: 60 }
    const { err } = await world.managed.runWith({ io }, 'cloud', 'aws', 'apply', file, '--yes')
    expect(err).toContain('\u001b[2A\u001b[J')
    expect(err).toMatch(/\naws: \d+ steps? done, \d+ %, \d+s\n {2}waits up to \w+ for AWS /)
    const drawn = stripVTControlCharacters(err)
      .split('\n')
      .filter((line) => /^aws:| {2}waits/.test(line))
    expect(Math.max(...drawn.map((line) => line.length))).toBeLessThan(60)
    expect(err.endsWith('\u001b[J')).toBe(true)
  })

  test('a run that is under way is followed, not begun twice; --no-wait leaves it', async () => {
    const left = await run('aws', 'apply', file, '--yes', '--no-wait')
    expect(left.out).toMatch(/1 run goes on by itself\. What next: isthmus cloud aws watch aws\n$/)
    expect((await run('aws', 'apply', file, '--yes')).code).toBe(EXIT.ok)
    const { cloud: made } = await json('aws', 'status', 'aws')
    const runs = await world.network.ask('GET', `/clouds/${made.id}/runs`)
    expect(runs.body.items).toHaveLength(1)
  })

  test('what fails is told with what to do, and what is there is listed', async () => {
    cloud().refuse = (call) => {
      if (call === 'create-vpn-connection') throw cloudFailure('quota')
    }
    const { code, out } = await run('aws', 'apply', file, '--yes')
    expect(code).toBe(EXIT.wentBack)
    expect(out).toContain('aws: failed after ')
    expect(out).toContain('AWS said quota.')
    expect(out).toMatch(/\n {2}What to do: Do something about quota\./)
    const status = await run('aws', 'status')
    expect(status.out).toMatch(/made at AWS {2}cgw-\w+, vgw-\w+/)
    expect(status.out).toContain('It failed: ')
  })

  test('--json is one document, with the connection as it is then', async () => {
    const { code, out, err } = await run('aws', 'apply', file, '--yes', '--json')
    expect({ code, err }).toEqual({ code: EXIT.ok, err: '' })
    expect(JSON.parse(out)).toMatchObject({ items: [{ cloud: { name: 'aws', state: 'up' }, run: { state: 'done' } }] })
  })
})

describe('a connection that is there', () => {
  beforeEach(applied)

  test('status has both tunnels as both ends tell of them, keys, and the last run', async () => {
    const { code, out } = await run('aws', 'status')
    expect(code).toBe(EXIT.ok)
    expect(out).toMatch(/^Connection aws\n {2}state +up\n {2}site +hq\n/)
    expect(out).toMatch(/\n {2}last run +apply, done /)
    expect(out).toMatch(/\naws-1 +203\.0\.113\.1 +169\.254\.\d+\.\d+\/30 +up +.+ up +\d+/)
    expect(await json('aws', 'status', 'aws')).toMatchObject({ cloud: { name: 'aws' }, run: { kind: 'apply' } })
    expect(await run('list')).toMatchObject({ out: expect.stringMatching(/\naws +up +hq +aws eu-central-1 +2\/2 +/) })
  })

  test('a tunnel that is down is seen, and is an exit code', async () => {
    world.sealing.connector.document.externals!.pop()
    const { externals, ...rest } = await world.sealing.report()
    const down = { ...externals[0]!, state: 'connecting' as const, passing: false }
    await world.sealing.connector.report({ externals: { ...rest, externals: [down] } })
    const { code, out } = await run('aws', 'status', 'aws')
    expect(code).toBe(EXIT.tunnelDown)
    expect(out).toMatch(/\n {2}state +down\n/)
    expect(out).toMatch(/\naws-1 .+ connecting /)
    expect(out).toMatch(/\naws-2 .+ no report /)
  })

  test('an unknown name is told with those that there are', async () => {
    await world.managed.refused(EXIT.failed, 'there is no cloud "azure"', 'cloud', 'aws', 'status', 'azure')
  })

  test('rotate tells each step, and what the evidence says', async () => {
    const { code, out, err } = await run('aws', 'rotate', 'aws')
    expect(code).toBe(EXIT.ok)
    expect(out).toMatch(/^Rotating the keys of aws: crun_\w{20}\nTUNNEL {2}OLD KEY {3}NEW KEY {3}IDLE BEFORE/)
    expect(out).toMatch(/\naws-1 {3}[0-9a-f]{8} {2}[0-9a-f]{8} +\d/)
    expect(out).toMatch(
      /\n2 of 2 keys rotated, in .+; [\d,]+ packets out, [\d,]+ in, 0 missing; the evidence verifies\.\n$/,
    )
    expect(err).toContain('aws: traffic leaves aws-1\n')
  })

  test('rotate --json has the evidence, read and verified', async () => {
    const { code, out } = await run('aws', 'rotate', 'aws', '--json')
    expect({ code, ...JSON.parse(out) }).toMatchObject({
      code: EXIT.ok,
      run: { kind: 'rotate', state: 'done' },
      genuine: true,
      evidence: { complete: true, traffic: { missing: 0 } },
    })
  })

  test('a rotation that is aborted is told as what it is', async () => {
    await run('aws', 'rotate', 'aws', '--no-wait')
    await world.turn()
    const { code, out } = await run('aws', 'abort', 'aws')
    expect({ code, out }).toEqual({ code: EXIT.ok, out: expect.stringContaining('a key that both ends have') })
    const watched = await run('aws', 'watch', 'aws')
    expect(watched).toMatchObject({ code: EXIT.notRotated, out: expect.stringContaining('aws: aborted after ') })
    expect(watched.out).toContain('0 of 2 keys rotated')
    await world.managed.refused(EXIT.failed, 'nothing is under way at aws', 'cloud', 'aws', 'abort', 'aws')
  })

  test('drift is an exit code, and --fix puts it right', async () => {
    expect(await run('aws', 'drift', 'aws')).toMatchObject({ code: EXIT.ok, out: 'aws: AWS has what is wanted.\n' })
    cloud().aws.connections[0]!.tunnels[0]!.options.dpdS = 60
    const { code, out } = await run('aws', 'drift', 'aws')
    expect(code).toBe(EXIT.findings)
    expect(out).toMatch(/^AWS differs from what is wanted in 1 thing:\n {2}- option-changed: aws-1: .*60, not 30\./)
    expect(out).toContain('What next: isthmus cloud aws drift aws --fix')
    const fixed = await run('aws', 'drift', 'aws', '--fix')
    expect(fixed).toMatchObject({ code: EXIT.ok, out: expect.stringContaining('aws is as it is wanted again') })
    expect(cloud().aws.connections[0]!.tunnels[0]!.options.dpdS).toBe(30)
  })

  test('destroy lists what goes and what stays, asks, and leaves nothing', async () => {
    const refused = await run('aws', 'destroy', 'aws')
    expect(refused).toMatchObject({
      code: EXIT.usage,
      out: expect.stringMatching(/^This goes, \d things:\nWHAT +ID\n/),
    })
    const { code, out } = await run('aws', 'destroy', 'aws', '--yes')
    expect({ code, out }).toEqual({ code: EXIT.ok, out: expect.stringContaining('aws is gone, and all that was made') })
    expect((await json('list')).items).toEqual([])
  })

  test('Ctrl-C leaves the run going, and tells how to look again', async () => {
    world.managed.onPause = async () => {
      process.emit('SIGINT')
    }
    const { code, err } = await run('aws', 'rotate', 'aws')
    expect(code).toBe(EXIT.failed)
    expect(err).toContain('The run goes on. What next: isthmus cloud aws watch aws, or isthmus cloud aws abort aws\n')
    world.managed.onPause = () => world.turn()
    expect((await run('aws', 'watch', 'aws')).code).toBe(EXIT.ok)
  })
})
