/**
 * libreswan's pluto as a peer in a namespace, for the IKE exchanges: its kernel part (XFRM ESP) does not exist here, so
 * IKE SAs come up and Child SAs are refused. It conflicts with strongSwan as a package, therefore it runs unpacked.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { World } from '../system/netns.ts'
import { until } from '../system/until.ts'
import { findPeer } from './peers.ts'

export interface LibreswanOptions {
  readonly local: string
  readonly remote: string
  readonly localNetwork: string
  readonly remoteNetwork: string
  readonly secret: string
  /** libreswan's spelling, for example `aes_gcm256-sha2;dh31`. */
  readonly ike: string
  readonly esp: string
}

export interface Libreswan {
  /** Runs whack with the control socket given; never rejects on a non-zero exit, which often means only "not yet". */
  whack(...args: string[]): Promise<string>
  log(): string
  stop(): Promise<void>
}

export const CONNECTION = 'isthmus'

export async function startLibreswan(
  world: World,
  ns: string,
  directory: string,
  options: LibreswanOptions,
): Promise<Libreswan> {
  const programs = join(findPeer('libreswan')!, '..')
  const folder = join(directory, `libreswan-${ns}`)
  const [run, nss, log] = [join(folder, 'run'), join(folder, 'nss'), join(folder, 'log')]
  for (const path of [folder, run, nss]) mkdirSync(path, { recursive: true })
  writeFileSync(join(folder, 'ipsec.conf'), configuration(folder, options))
  const secrets = `${options.local} ${options.remote} : PSK "${options.secret}"\n`
  writeFileSync(join(folder, 'ipsec.secrets'), secrets, { mode: 0o600 })
  await world.exec(ns, ['certutil', '-N', '-d', `sql:${nss}`, '--empty-password'])

  // pluto looks for its helpers in one fixed place, which this mount namespace can provide.
  const daemon = world.spawn(ns, [
    'sh',
    '-c',
    `mount -t tmpfs tmpfs /usr/libexec && mkdir /usr/libexec/ipsec && mount --bind ${programs} /usr/libexec/ipsec &&
     exec /usr/libexec/ipsec/pluto --nofork --config ${folder}/ipsec.conf --secretsfile ${folder}/ipsec.secrets \
       --nssdir ${nss} --rundir ${run} --ipsecdir ${folder}`,
  ])
  const whack = async (...args: string[]): Promise<string> => {
    const result = await world.exec(ns, [join(programs, 'whack'), '--rundir', run, ...args], { check: false })
    return result.stdout + result.stderr
  }
  await until(`libreswan in ${ns} to answer`, async () => (await whack('--status')).includes('using kernel interface'))
  const control = ['--config', join(folder, 'ipsec.conf'), '--ctlsocket', join(run, 'pluto.ctl')]
  await world.exec(ns, [join(programs, 'addconn'), ...control, CONNECTION])
  await whack('--listen')
  return { whack, log: () => readFileSync(log, 'utf8'), stop: () => daemon.stop() }
}

function configuration(folder: string, options: LibreswanOptions): string {
  return `config setup
    logfile=${folder}/log
    nssdir=${folder}/nss
    dumpdir=${folder}

conn ${CONNECTION}
    left=${options.local}
    right=${options.remote}
    leftsubnet=${options.localNetwork}
    rightsubnet=${options.remoteNetwork}
    authby=secret
    ikev2=yes
    ike=${options.ike}
    esp=${options.esp}
    auto=add
`
}
