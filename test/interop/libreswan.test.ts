/**
 * libreswan for the IKE exchanges, honest and hostile. Its kernel part does not exist here: it authenticates us,
 * keeps the IKE SA and refuses the Child SA.
 */
import { describe, expect } from 'vitest'
import { skipWithoutNamespaces } from '../system/netns.ts'
import { until } from '../system/until.ts'
import { type Isthmus, startIsthmus } from './isthmus.ts'
import { test } from './lab-test.ts'
import { CONNECTION, type Libreswan, startLibreswan } from './libreswan.ts'
import { isthmusOptions, type Lab, OUTER4, SECRET } from './pair.ts'
import { skipWithoutPeers } from './peers.ts'

const what = 'interop with libreswan'
const skip = skipWithoutNamespaces(what) || skipWithoutPeers(what, 'libreswan')

const SUITES = [
  { ike: 'aes256gcm16-prfsha256-x25519', theirs: 'aes_gcm256-sha2;dh31' },
  { ike: 'aes128-sha256-ecp256', theirs: 'aes128-sha2_256;dh19' },
  { ike: 'aes256-sha512-modp2048', theirs: 'aes256-sha2_512;dh14' },
]

describe.skipIf(skip).concurrent.each(['us', 'them'] as const)('%s initiating', (initiator) => {
  test.for(SUITES)('$ike: the IKE SA comes up, the refused Child SA is told', async ({ ike, theirs }, { lab }) => {
    const { us, them } = await start(lab, initiator, ike, theirs)
    if (initiator === 'them') await call(them)
    await until('libreswan to authenticate us', () => /established IKE SA|authenticated/.test(them.log()))
    await until('our IKE SA', async () => (await us.tunnel()).initiatorSpi !== undefined)
    if (initiator === 'us') {
      await until('the refusal to be told', async () => (await us.tunnel()).lastError !== undefined)
      expect((await us.tunnel()).lastError?.code).toMatch(/ts-unacceptable|no-proposal-chosen|peer-refused/)
      expect((await us.tunnel()).state).toBe('degraded')
    }
  })
})

/** What `whack --impair` makes libreswan do, and that we neither crash nor lose a good IKE SA for it. */
const IMPAIRMENTS = [
  'replay-duplicates',
  'replay-encrypted',
  'corrupt-encrypted',
  'jacob-two-two',
  'send-bogus-isakmp-flag',
  'send-bogus-payload-flag',
  'ke-payload:empty',
  'ke-payload:omit',
  'major-version-bump',
  'minor-version-bump',
  'bad-ikev2-auth-xchg',
  'send-bogus-dcookie',
  'ike-responder-spi:1',
]

describe.skipIf(skip).concurrent('a hostile peer', () => {
  test.for(IMPAIRMENTS)(
    '%s as initiator: we answer or drop, and serve the next honest call',
    async (impairment, { lab }) => {
      const { us, them } = await start(lab, 'them', SUITES[0]!.ike, SUITES[0]!.theirs)
      await them.whack('--impair', impairment)
      await call(them)
      await until('libreswan to have sent something', async () => datagramsSeen(us).then((count) => count > 0))
      await them.whack('--impair', 'none')
      await them.whack('--name', CONNECTION, '--terminate')
      await call(them)
      await until('an honest IKE SA', async () => (await us.tunnel()).initiatorSpi !== undefined, 40_000)
      expect(us.process.child.exitCode).toBeNull()
      expect(us.log()).not.toMatch(/"level":"?(fatal|60)/)
    },
  )
})

async function start(
  lab: Lab,
  initiator: 'us' | 'them',
  ike: string,
  theirs: string,
): Promise<{ us: Isthmus; them: Libreswan }> {
  const ours = isthmusOptions({ initiator, ike, esp: 'aes256gcm16' })
  const startThem = () =>
    startLibreswan(lab.world, 'them', lab.directory, {
      local: OUTER4.them,
      remote: OUTER4.us,
      localNetwork: '10.8.2.0/24',
      remoteNetwork: '10.8.1.0/24',
      secret: SECRET,
      ike: theirs,
      esp: 'aes_gcm256',
    })
  if (initiator === 'them') {
    const us = await startIsthmus(lab.world, 'us', lab.directory, ours)
    return { us, them: await startThem() }
  }
  const them = await startThem()
  return { them, us: await startIsthmus(lab.world, 'us', lab.directory, ours) }
}

async function call(them: Libreswan): Promise<void> {
  await them.whack('--name', CONNECTION, '--initiate', '--asynchronous')
}

/** IKE datagrams that our side noticed in any way: an SA begun, or a drop counted. */
async function datagramsSeen(us: Isthmus): Promise<number> {
  const status = await us.status()
  const counted = Object.values(status.ike).reduce((sum, value) => sum + value, 0)
  return (
    counted + (status.tunnels[0]?.initiatorSpi === undefined ? 0 : 1) + (status.tunnels[0]?.state === 'idle' ? 0 : 1)
  )
}
