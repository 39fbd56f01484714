/** What `isthmus peer-config strongswan` prints is what strongSwan needs: loaded as it is, the tunnel comes up. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCli } from '../../connector/cli/run.ts'
import { recordedIo } from '../../connector/cli/testing.ts'
import { skipWithoutNamespaces } from '../system/netns.ts'
import { startIsthmus, writeConfiguration } from './isthmus.ts'
import { createLab, flowBetween, INNER4, isthmusOptions, lossless } from './pair.ts'
import { skipWithoutPeers } from './peers.ts'
import { startStrongSwan } from './strongswan.ts'

const skip = skipWithoutNamespaces('peer-config') || skipWithoutPeers('peer-config', 'strongswan')

describe.skipIf(skip)('isthmus peer-config strongswan', () => {
  test.each(['us', 'them'] as const)('%s calling, with the suites that nobody has chosen', async (initiator) => {
    const lab = await createLab()
    try {
      const given = isthmusOptions({ initiator, ike: '', esp: '' })
      const keys = [...(initiator === 'us' ? [] : ['initiate: false']), 'id: them.example.net']
      const options = { ...given, peer: { ...given.peer, keys } }
      const { config } = writeConfiguration('us', lab.directory, options)
      const io = recordedIo()
      expect(await runCli(['peer-config', 'strongswan', '--show-secret', '--config', config], io)).toBe(0)
      const file = join(lab.directory, 'swanctl.conf')
      writeFileSync(file, io.out(), { mode: 0o600 })
      const them = await startStrongSwan(lab.world, 'them', lab.directory, { connections: {} })
      const load = () => them.swanctl('--load-all', '--file', file)
      if (initiator === 'us') await load()
      const us = await startIsthmus(lab.world, 'us', lab.directory, options)
      if (initiator === 'them') await load()
      const tunnel = await us.up()
      expect(tunnel.role).toBe(initiator === 'us' ? 'initiator' : 'responder')
      expect(tunnel.suite).toBe('aes256gcm16-prfsha256-x25519')
      const inner = [INNER4.us, INNER4.them] as const
      const results = await flowBetween(lab.world, ['us', 'them'], inner, 500, 1)
      expect(results).toEqual([lossless(500, 1), lossless(500, 1)])
    } finally {
      await lab.close()
    }
  })
})
