/** The boot script, with programs that write down what they are asked and answer as AWS would. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'

const BOOT = join(import.meta.dirname, 'boot.sh')
const SECRET = '{"url":"https://control.example.net","token":"ist_join_x"}'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-boot-'))
  for (const name of ['bin', 'etc', 'opt', 'dev/disk/by-id']) mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, 'dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol01'), '')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A program that notes its words, then does `body`. */
function program(name: string, body = ''): void {
  const path = join(folder, 'bin', name)
  writeFileSync(path, `#!/bin/sh\necho "${name} $*" >> "${folder}/calls"\n${body}\n`)
  chmodSync(path, 0o755)
}

function boot(): { code: number | null; calls: string[]; stderr: string } {
  const install = 'opt/isthmus-source/infra/connector/systemd'
  program('curl', 'case "$*" in *api/token*) echo session ;; *) echo i-01 ;; esac')
  program(
    'unzip',
    `mkdir -p "${folder}/${install}"; echo 'echo install >> "${folder}/calls"' > "${folder}/${install}/install.sh"`,
  )
  for (const name of ['dnf', 'mount', 'mkfs.ext4', 'sudo', 'systemctl', 'shutdown']) program(name)
  const env = {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    ROOT: folder,
    PAUSE: '0',
    REGION: 'eu-central-1',
    BUNDLE: 's3://bucket/key.zip',
    SECRET: 'arn:secret',
    VOLUME: 'vol-01',
    ALLOCATION: 'eipalloc-01',
    ROUTE_TABLES: 'rtb-1 rtb-2',
    PREFIXES: '10.1.0.0/16 2001:db8::/48',
  }
  const { status, stderr } = spawnSync('sh', [BOOT], { env, encoding: 'utf8' })
  const calls = existsSync(join(folder, 'calls')) ? readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n') : []
  return { code: status, calls: calls.map((line) => line.replaceAll(folder, '')), stderr }
}

const aws = (more = '') => program('aws', `case "$*" in *get-secret-value*) echo '${SECRET}' ;; ${more} esac`)
const DEVICE = '/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol01'

test('a first instance takes address and volume, formats that, joins, and takes over the routes', () => {
  aws()
  program('blkid', 'exit 2')
  const { code, calls, stderr } = boot()
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(calls.slice(2)).toEqual([
    'aws ec2 modify-instance-attribute --instance-id i-01 --no-source-dest-check',
    'aws ec2 associate-address --allocation-id eipalloc-01 --instance-id i-01 --allow-reassociation',
    'aws ec2 attach-volume --volume-id vol-01 --instance-id i-01 --device /dev/sdf',
    `blkid ${DEVICE}`,
    `mkfs.ext4 -q ${DEVICE}`,
    'mount /var/lib/isthmus',
    'dnf install -y -q nodejs22 nodejs22-npm unzip',
    'aws s3 cp --only-show-errors s3://bucket/key.zip /opt/isthmus.zip',
    'unzip -q -o /opt/isthmus.zip -d /opt/isthmus-source',
    'install',
    'aws secretsmanager get-secret-value --secret-id arn:secret --query SecretString --output text',
    'sudo -u isthmus isthmus join --no-start https://control.example.net ist_join_x',
    'systemctl enable --now isthmus',
    ...['rtb-1', 'rtb-2'].flatMap((table) => [
      `aws ec2 replace-route --route-table-id ${table} --destination-cidr-block 10.1.0.0/16 --instance-id i-01`,
      `aws ec2 replace-route --route-table-id ${table} --destination-ipv6-cidr-block 2001:db8::/48 --instance-id i-01`,
    ]),
  ])
  expect(readFileSync(join(folder, 'etc/fstab'), 'utf8')).toContain(`${DEVICE} `)
})

test('its successor waits for the volume, and does not format it again', () => {
  aws(`*attach-volume*) [ "$(grep -c attach-volume "${folder}/calls")" -gt 3 ] || exit 1 ;;`)
  program('blkid')
  const { code, calls } = boot()
  expect(code).toBe(0)
  expect(calls.filter((call) => call.includes('attach-volume'))).toHaveLength(4)
  expect(calls.filter((call) => call.startsWith('mkfs'))).toEqual([])
  expect(calls).toContain('systemctl enable --now isthmus')
})

test('one that is not allowed something goes no further, and ends, so that another may try', () => {
  aws('*associate-address*) exit 254 ;;')
  program('blkid')
  const { code, calls, stderr } = boot()
  expect(code).not.toBe(0)
  expect(stderr).toContain('this instance ends')
  expect(calls.at(-1)).toBe('shutdown -h +5')
  expect(calls.filter((call) => /mkfs|replace-route|systemctl/.test(call))).toEqual([])
})
