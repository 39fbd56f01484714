/** Wireshark's dissectors as an independent reader: with our key log, tshark decrypts our IKE and our ESP. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { KeyLogEntry } from '../../connector/core/ike/types.ts'
import { skipWithoutNamespaces } from '../system/netns.ts'
import { until } from '../system/until.ts'
import { type Isthmus, readKeyLog, startIsthmus } from './isthmus.ts'
import { test } from './lab-test.ts'
import { flowBetween, INNER4, isthmusOptions, type Lab, mirrored, type PairOptions, vethOf } from './pair.ts'
import { skipWithoutPeers } from './peers.ts'

const what = 'decryption by tshark'
const skip = skipWithoutNamespaces(what) || skipWithoutPeers(what, 'tshark')

/** Two flows of a second with 100 packets each way. */
const PACKETS = 400

// Without ESN: tshark has no way to know the high half of the sequence number, which is authenticated.
describe.skipIf(skip).concurrent('tshark with our key log', () => {
  test.for([
    { ike: 'aes256gcm16-prfsha256-x25519', esp: 'aes256gcm16-noesn' },
    { ike: 'aes128-sha256-prfsha256-modp2048', esp: 'aes128gcm16-noesn' },
  ])('$ike / $esp', async ({ ike, esp }, { lab }) => {
    const { capture, tables } = await captureTunnel(lab, { initiator: 'us', ike, esp })
    const ikeText = await tshark(lab, tables, capture, '-Y', 'isakmp', '-V')
    for (const expected of [
      'Exchange type: IKE_AUTH',
      'Payload: Identification - Initiator',
      'Payload: Traffic Selector - Responder',
      'Exchange type: CREATE_CHILD_SA',
      'REKEY_SA',
    ]) {
      expect(ikeText).toContain(expected)
    }
    expect(ikeText).not.toMatch(/Malformed|incorrect|Integrity Checksum Data:.*\[incorrect/)
  })
})

async function captureTunnel(lab: Lab, options: PairOptions): Promise<{ capture: string; tables: string }> {
  const capture = join(lab.directory, 'capture.pcap')
  // One datagram a frame, as on a wire.
  for (const ns of ['us', 'them']) {
    await lab.world.exec(ns, ['ethtool', '-K', await vethOf(lab, ns), 'tx-udp-segmentation', 'off'])
  }
  // Not tcpdump: it changes its groups, which a user namespace of an ordinary user forbids.
  const device = await vethOf(lab, 'us')
  const recorder = lab.world.spawn('us', ['dumpcap', '-i', device, '-f', 'udp', '-P', '-w', capture])
  await recorder.waitFor(/^File: /m)
  const ours = isthmusOptions(options)
  await startIsthmus(lab.world, 'them', lab.directory, mirrored(ours))
  const us = await startIsthmus(lab.world, 'us', lab.directory, ours)
  const tunnel = await us.up()
  await flowBetween(lab.world, ['us', 'them'], [INNER4.us, INNER4.them], 100, 1)
  await us.rekey(tunnel.children[0]!.name)
  await until('the rekey', async () => (await us.tunnel()).children[0]?.rekeys === 1)
  await flowBetween(lab.world, ['us', 'them'], [INNER4.us, INNER4.them], 100, 1)
  const tables = writeTables(lab, us)
  // Both directions, before and after the rekey. A recorder that is stopped throws away what it has not written yet.
  await until('all packets, decrypted', async () => (await decrypted(lab, tables, capture)) >= PACKETS, 20_000, 500)
  await recorder.stop()
  return { capture, tables }
}

/** How many packets of ours the capture has so far. tshark takes no tag length for AES-GCM, and finds no trailer. */
async function decrypted(lab: Lab, tables: string, capture: string): Promise<number> {
  const plain = await tshark(lab, tables, capture, '-Y', 'esp', '-T', 'fields', '-e', 'esp.decrypted_data')
  // IPv4 from one network to the other, UDP port 7000 to 7000.
  return plain.match(/^45.{22}(0a0801010a080201|0a0802010a080101)1b581b58/gm)?.length ?? 0
}

const ENCRYPTION: Readonly<Record<string, string>> = {
  aes128gcm16: 'AES-GCM-128 with 16 octet ICV [RFC5282]',
  aes256gcm16: 'AES-GCM-256 with 16 octet ICV [RFC5282]',
  aes128: 'AES-CBC-128 [RFC3602]',
  aes256: 'AES-CBC-256 [RFC3602]',
}
const INTEGRITY: Readonly<Record<string, string>> = { sha256: 'HMAC_SHA2_256_128 [RFC4868]' }

/** Wireshark's tables from our key log, in a home of their own. Returns that home. */
function writeTables(lab: Lab, isthmus: Isthmus): string {
  const home = join(lab.directory, 'home')
  const folder = join(home, '.config/wireshark')
  mkdirSync(folder, { recursive: true })
  const entries = readKeyLog(isthmus) as unknown as KeyLogEntry[]
  const ike: string[] = []
  const esp: string[] = []
  for (const entry of entries) {
    if (entry.kind === 'ike') {
      const auth = entry.integrity === undefined ? 'NONE [RFC4306]' : INTEGRITY[entry.integrity]
      ike.push(
        `${entry.initiatorSpi},${entry.responderSpi},${entry.skEi},${entry.skEr},"${ENCRYPTION[entry.encryption]}",${entry.skAi},${entry.skAr},"${auth}"`,
      )
    } else esp.push(`"IPv4","*","*","${entry.spi}","AES-GCM [RFC4106]","0x${entry.key}${entry.salt}","NULL","0x"`)
  }
  writeFileSync(join(folder, 'ikev2_decryption_table'), `${ike.join('\n')}\n`)
  writeFileSync(join(folder, 'esp_sa'), `${esp.join('\n')}\n`)
  return home
}

/** A capture that is still written may be cut short: what is whole of it counts. */
async function tshark(lab: Lab, home: string, capture: string, ...args: string[]): Promise<string> {
  const command = ['tshark', '-r', capture, '-o', 'esp.enable_encryption_decode:TRUE', ...args]
  const env = { HOME: home, XDG_CONFIG_HOME: join(home, '.config') }
  return (await lab.world.exec('us', command, { env, check: false })).stdout
}
