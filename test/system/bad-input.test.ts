/** What `isthmus up` says and returns when it cannot do its work: a cause, a remedy, the documented exit code. */
import { chmodSync, rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../connector/handle.ts'
import { type Isthmus, type Paths, startIsthmus, verbCommand, writeConfiguration } from '../interop/isthmus.ts'
import { createLab, isthmusOptions, type Lab, mirrored, OUTER4 } from '../interop/pair.ts'
import { type ExecResult, skipWithoutNamespaces } from './netns.ts'
import { until } from './until.ts'

const SUITES = { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16' }
const OPTIONS = isthmusOptions({ initiator: 'us', ...SUITES })
/** Gives up on a silent peer within half a second. */
const IMPATIENT = {
  ...OPTIONS,
  keys: [
    ...OPTIONS.keys!,
    'limits: { retransmit: 100ms, retransmit_factor: 1, retransmit_tries: 3, retry: 300ms, retry_max: 300ms }',
  ],
}

describe.skipIf(skipWithoutNamespaces('bad input'))('what stands in the way of a start', () => {
  let lab: Lab
  let paths: Paths
  beforeEach(async () => {
    lab = await createLab()
    paths = writeConfiguration('us', lab.directory, OPTIONS)
  })
  afterEach(() => lab.close())

  it('a busy port', async () => {
    const script = `require('node:dgram').createSocket('udp4').bind(500, '${OUTER4.us}', () => console.log('bound'))`
    const holder = lab.world.spawn('us', [process.execPath, '-e', script])
    await holder.waitFor(/bound/)
    const result = await up()
    expectFailure(result, 'port-busy', EXIT.portBusy)
    expect(result.stderr).toMatch(`UDP ${OUTER4.us}:500 is in use by `)
    expect(result.stderr).toMatch(`(pid ${holder.pid})`)
  })

  it('a missing capability', async () => {
    const result = await up(without('net_admin'))
    expectFailure(result, 'tun-permission', EXIT.permission)
    expect(result.stderr).toContain('CAP_NET_ADMIN')
  })

  it('a missing TUN device', async () => {
    await lab.world.exec('us', 'mount -t tmpfs tmpfs /dev/net')
    const result = await up()
    expectFailure(result, 'tun-missing', EXIT.noTun)
    expect(result.stderr).toContain('/dev/net/tun')
  })

  it('a local address that this machine does not have', async () => {
    await lab.world.exec('us', `ip addr flush to ${OUTER4.us}`)
    const result = await up()
    expectFailure(result, 'address-missing', EXIT.badConfig)
    expect(result.stderr).toContain(OUTER4.us)
  })

  it.each(['unreadable', 'missing'] as const)('a secret file that is %s', async (fault) => {
    if (fault === 'missing') rmSync(paths.secret)
    else chmodSync(paths.secret, 0)
    const result = await up(without('dac_override,-dac_read_search'))
    expect(result.code).toBe(EXIT.unreadableFile)
    const cause = fault === 'missing' ? 'there is no file' : 'the file'
    expect(result.stderr).toMatch(new RegExp(`isthmus\\.yaml:\\d+:\\d+.*${cause} ${paths.secret}`))
    expect(result.stderr).toContain('What to do: ')
    expect(result.stderr).not.toContain('battery')
  })

  function up(before: readonly string[] = []): Promise<ExecResult> {
    return lab.world.exec('us', [...before, ...verbCommand(paths, 'up')], { check: false })
  }

  /** One sentence each on standard error, the same in the log, and nothing left behind. */
  function expectFailure(result: ExecResult, code: string, exitCode: number): void {
    expect(result.code).toBe(exitCode)
    expect(result.stderr).toMatch(/^isthmus up: [^\n]+\.\n {2}What to do: [^\n]+\n$/)
    const line = JSON.parse(result.stdout.trim().split('\n').at(-1)!) as { msg: string; remedy: string }
    expect(line).toMatchObject({ level: 'error', code, exitCode })
    expect(result.stderr).toContain(line.msg)
    expect(result.stderr).toContain(line.remedy)
  }
})

describe.skipIf(skipWithoutNamespaces('bad input'))('what keeps a tunnel down', () => {
  let lab: Lab
  beforeEach(async () => {
    lab = await createLab()
  })
  afterEach(() => lab.close())

  it('a peer that does not answer', async () => {
    const us = await startIsthmus(lab.world, 'us', lab.directory, IMPATIENT)
    await expectLastError(us, 'no-response', `${OUTER4.them}:500 does not answer.`)
  })

  it('another secret', async () => {
    const theirs = mirrored(OPTIONS)
    const peer = { ...theirs.peer, secret: 'wrong horse battery staple' }
    const them = await startIsthmus(lab.world, 'them', lab.directory, { ...theirs, peer })
    const us = await startIsthmus(lab.world, 'us', lab.directory, IMPATIENT)
    await expectLastError(us, 'authentication-failed', 'refuses to authenticate us')
    await until('the responder to tell it too', async () => (await them.tunnel()).lastError !== undefined)
    expect((await them.tunnel()).lastError?.code).toBe('authentication-failed')
    expect(us.log() + them.log()).not.toContain('battery')
  })

  it.each([
    ['a refused proposal', 'aes256gcm16-prfsha384-ecp384', 'aes128gcm16', 'no-proposal-chosen'],
    ['a refused proposal for the child', 'aes128gcm16-prfsha256-x25519', 'chacha20poly1305', 'no-proposal-chosen'],
  ])('%s', async (_, ike, esp, code) => {
    const theirs = mirrored(isthmusOptions({ initiator: 'us', ike, esp }))
    await startIsthmus(lab.world, 'them', lab.directory, theirs)
    const us = await startIsthmus(lab.world, 'us', lab.directory, IMPATIENT)
    await expectLastError(us, code, 'accepts none of our')
  })

  it('selectors that do not meet', async () => {
    const networks = { us: ['10.98.0.0/24'], them: ['10.99.0.0/24'] }
    const theirs = mirrored(isthmusOptions({ initiator: 'us', ...SUITES, networks }))
    await startIsthmus(lab.world, 'them', lab.directory, { ...theirs, keys: ["tun: { addresses: ['10.99.0.1'] }"] })
    const us = await startIsthmus(lab.world, 'us', lab.directory, IMPATIENT)
    await expectLastError(us, 'ts-unacceptable', '10.8.2.0/24')
  })

  /** In the status, in the log, in `isthmus status` with its exit code; and the connector goes on and ends well. */
  async function expectLastError(us: Isthmus, code: string, cause: string): Promise<void> {
    await until('the failure to be told', async () => (await us.tunnel()).lastError !== undefined)
    const tunnel = await us.tunnel()
    expect(tunnel.lastError).toMatchObject({
      code,
      cause: expect.stringContaining(cause),
      remedy: expect.stringMatching(/.\.$/),
    })
    expect(tunnel.state).not.toBe('up')
    const lines = us
      .log()
      .split('\n')
      .filter((line) => line.startsWith('{'))
    const failed = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .find(({ event }) => event === 'failed')
    expect(failed).toMatchObject({
      level: 'warn',
      code,
      msg: tunnel.lastError!.cause,
      remedy: tunnel.lastError!.remedy,
    })
    const shown = await lab.world.exec('us', verbCommand(us.paths, 'status'), { check: false })
    expect(shown.code).toBe(EXIT.tunnelDown)
    expect(shown.stdout.replaceAll(/\s+/g, ' ')).toContain(tunnel.lastError!.cause)
    await us.stop()
    expect(await us.process.exited).toBe(EXIT.ok)
  }
})

function without(capabilities: string): string[] {
  return ['setpriv', '--bounding-set', `-${capabilities}`, '--inh-caps', `-${capabilities}`]
}
