/**
 * A minute of 1,000 packets per second in both directions, through a Child SA rekey every 5 s and an IKE SA rekey
 * every 15 s: no packet may be lost. Against ourselves, and against strongSwan in both roles; all in the same minute.
 */
import { describe, expect, test } from 'vitest'
import { skipWithoutNamespaces } from '../system/netns.ts'
import { type Isthmus, startIsthmus } from './isthmus.ts'
import {
  createLab,
  flowBetween,
  INNER4,
  isthmusOptions,
  type Lab,
  lossless,
  mirrored,
  type PairOptions,
  startPair,
} from './pair.ts'
import { skipWithoutPeers } from './peers.ts'

const RATE = 1000
const SECONDS = 60
const REKEY = { ike: 15, child: 5 }
const SUITES = { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16-x25519' }

const noStrongSwan =
  skipWithoutNamespaces('rekeys without loss') || skipWithoutPeers('rekeys against strongSwan', 'strongswan')

describe.concurrent('rekeys under traffic', () => {
  describe.skipIf(skipWithoutNamespaces('rekeys without loss'))('against ourselves', () => {
    test(
      'no packet is lost',
      inLab(async (lab) => {
        const options: PairOptions = { initiator: 'us', ...SUITES, rekey: { us: REKEY } }
        const them = await startIsthmus(lab.world, 'them', lab.directory, mirrored(isthmusOptions(options)))
        const us = await startIsthmus(lab.world, 'us', lab.directory, isthmusOptions(options))
        await us.up()
        await them.up()
        await expectNoLoss(lab, us)
      }),
    )
  })

  describe.skipIf(noStrongSwan)('against strongSwan', () => {
    test(
      'we initiate and rekey',
      inLab(async (lab) => {
        const { us } = await startPair(lab, { initiator: 'us', ...SUITES, rekey: { us: REKEY } })
        await us.up()
        await expectNoLoss(lab, us)
      }),
    )

    test(
      'strongSwan initiates and rekeys',
      inLab(async (lab) => {
        const { us } = await startPair(lab, { initiator: 'them', ...SUITES, rekey: { them: REKEY } })
        await us.up()
        await expectNoLoss(lab, us)
      }),
    )
  })
})

function inLab(body: (lab: Lab) => Promise<void>): () => Promise<void> {
  return async () => {
    const lab = await createLab()
    try {
      await body(lab)
    } finally {
      await lab.close()
    }
  }
}

async function expectNoLoss(lab: Lab, us: Isthmus): Promise<void> {
  const results = await flowBetween(lab.world, ['us', 'them'], [INNER4.us, INNER4.them], RATE, SECONDS)
  const tunnel = await us.tunnel()
  expect(results, us.log().slice(-20_000)).toEqual([lossless(RATE, SECONDS), lossless(RATE, SECONDS)])
  // It is only a test of rekeys if they happened: 60 s hold 11 of every 5 s and 3 of every 15 s; leave room for delays.
  expect(tunnel.ikeRekeys).toBeGreaterThanOrEqual(3)
  expect(tunnel.children.reduce((sum, child) => sum + child.rekeys, 0)).toBeGreaterThanOrEqual(9)
}
