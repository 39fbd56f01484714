/** Isthmus as its users install it: by install.sh and by the Dockerfile, and then without root. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { copyInto, readIgnore, readStages, type Stage } from '../../infra/connector/docker/dockerfile.ts'
import { readUnit, wordsOf } from '../../infra/connector/systemd/unit-file.ts'
import { skipWithoutPeers } from '../interop/peers.ts'
import { createWorld, type Spawned, skipWithoutNamespaces, type World } from './netns.ts'
import { ping } from './ping.ts'
import { putNpm, WORDS } from './production-npm.ts'
import { skipWithoutRoot, withoutRoot } from './unprivileged.ts'
import { until } from './until.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const SYSTEMD = join(ROOT, 'infra/connector/systemd')
const DOCKER = join(ROOT, 'infra/connector/docker')
const UNITS = ['isthmus.service', 'isthmus-control.service']
/** Of `systemd-analyze security`, in tenths of its exposure: no worse than now. */
const EXPOSURE = { 'isthmus.service': 20, 'isthmus-control.service': 13 } as Readonly<Record<string, number>>
const USER = 65532
const REAL_NPM = process.env.ISTHMUS_TEST_NPM === '1'

const what = 'an installation'
const skip = skipWithoutNamespaces(what) || skipWithoutPeers(what, 'systemd', 'setcap') || skipWithoutRoot(what)

describe.skipIf(skip)('installed', () => {
  const destination = mkdtempSync(join(tmpdir(), 'isthmus-install-'))
  const prefix = join(destination, 'opt/isthmus')
  const image = join(destination, 'image')
  const node = join(prefix, 'node_modules/.bin/node')
  let world: World
  const ends: Spawned[] = []

  beforeAll(() => {
    chmodSync(destination, 0o755)
    const path = REAL_NPM ? process.env.PATH : `${putNpm(join(destination, 'bin'))}:${process.env.PATH}`
    const env = { ...process.env, DESTDIR: destination, PATH: path }
    execFileSync('sh', [join(SYSTEMD, 'install.sh')], { env, stdio: 'pipe' })
  })
  afterAll(() => rmSync(destination, { recursive: true, force: true }))

  beforeEach(async () => {
    world = await createWorld()
    for (const name of ['a', 'b']) await world.ns(name)
    await world.link('a', 'b', { addresses: [['192.0.2.1/24'], ['192.0.2.2/24']] })
  })
  afterEach(async () => {
    await world.close()
    ends.length = 0
  })

  it('its units are what systemd takes, and are as closed as they were', () => {
    const folder = join(destination, 'units')
    mkdirSync(folder)
    for (const unit of UNITS) {
      const text = readFileSync(join(destination, 'etc/systemd/system', unit), 'utf8')
      writeFileSync(join(folder, unit), text.replaceAll('/opt/isthmus', prefix))
    }
    const files = UNITS.map((unit) => join(folder, unit))
    execFileSync('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', ...files], { stdio: 'pipe' })
    for (const [index, file] of files.entries()) {
      const words = ['security', '--offline=true', `--threshold=${EXPOSURE[UNITS[index]!]}`, '--no-pager', file]
      execFileSync('systemd-analyze', words, { stdio: 'pipe' })
    }
  })

  it('a connector has the rights of its unit, and carries packets', async () => {
    const rights = wordsOf(
      readUnit(readFileSync(join(SYSTEMD, 'isthmus.service'), 'utf8')),
      'Service.AmbientCapabilities',
    )
    const start = (side: 0 | 1) => {
      const vector = [node, join(prefix, 'connector/main.ts'), 'up', ...placeOf(side)]
      return world.spawn(side === 0 ? 'a' : 'b', withoutRoot(USER, vector, { ambient: rights }))
    }
    const processes = await bothUp(start)
    for (const { pid } of processes) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      // Bits 10, 12 and 13.
      for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
        expect(status).toMatch(new RegExp(`^Cap${set}:\t0+3400$`, 'm'))
      expect(status).toMatch(new RegExp(`^Uid:\t${USER}\t${USER}\t${USER}\t${USER}$`, 'm'))
      expect(status).toMatch(/^NoNewPrivs:\t1$/m)
    }
    await expectTraffic()
    await Promise.all(processes.map((each) => each.stop()))
    expect(await Promise.all(processes.map(({ exited }) => exited))).toEqual([0, 0])
    expect((await world.exec('a', 'ip route show; ip link show')).stdout).not.toMatch(/isthmus|10\.8\.2/)
  })

  it('a control plane serves without any capability', async () => {
    const state = ownFolder('control')
    const vector = [
      node,
      join(prefix, 'connector/main.ts'),
      'control',
      '--no-login',
      '--host',
      '127.0.0.1',
      '-d',
      state,
    ]
    const control = world.spawn('a', withoutRoot(USER, vector, {}))
    await control.waitFor(/the control plane runs/)
    const ask = `fetch('http://127.0.0.1:9701/healthz').then(async (a) => console.log(a.status))`
    expect((await world.exec('a', [node, '-e', ask])).stdout.trim()).toBe('200')
    await control.stop()
    expect(await control.exited).toBe(0)
  })

  it('the image has what it takes, and its user gets its rights from the program alone', async () => {
    const [build, last] = readStages(readFileSync(join(DOCKER, 'Dockerfile'), 'utf8'))
    const ignores = readIgnore(join(DOCKER, 'Dockerfile.dockerignore'))
    mkdirSync(image)
    for (const each of build!.instructions) {
      if (each.keyword === 'COPY') copyInto(image, ROOT, each, ignores)
      else if (each.text === `npm ${WORDS}`) linkModules()
      else if (each.keyword === 'RUN') execFileSync('sh', ['-c', each.text], { cwd: image, stdio: 'pipe' })
    }
    expect(existsSync(join(image, 'node_modules/assemblyscript'))).toBe(false)
    const rights = join(destination, 'isthmus-rights')
    copyFileSync(execFileSync('sh', ['-c', 'command -v setpriv'], { encoding: 'utf8' }).trim(), rights)
    execFileSync('setcap', [textOf(last!, 'RUN').match(/setcap (\S+) /)![1]!, rights])
    // What --cap-add gives, and what a program's file may bring of it.
    const bounding = ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_NET_BIND_SERVICE']
    const [, ...words] = JSON.parse(textOf(last!, 'ENTRYPOINT')) as string[]
    const entry = [rights, ...words.slice(0, -1), node, join(image, 'connector/bin/isthmus.cjs')]
    const run = (...verb: string[]) => withoutRoot(USER, [...entry, ...verb], { bounding, isContainer: true })
    expect((await world.exec('a', run('--version'))).stdout).toMatch(/^\d+\.\d+\.\d+/)
    const processes = await bothUp((side) => world.spawn(side === 0 ? 'a' : 'b', run('up', ...placeOf(side))))
    expect(readFileSync(`/proc/${processes[0].pid}/status`, 'utf8')).toMatch(/^CapEff:\t0+3400$/m)
    await expectTraffic()
    const health = textOf(last!, 'HEALTHCHECK').match(/CMD (\[.+\])/)![1]!
    const probe = [node, ...(JSON.parse(health) as string[]).slice(1)]
    expect((await world.exec('a', withoutRoot(USER, probe, {}))).code).toBe(0)
    await Promise.all(processes.map((each) => each.stop()))
    expect((await world.exec('a', withoutRoot(USER, probe, {}), { check: false })).code).toBe(1)
  })

  it('the routes of a cluster node are kept, and go with what keeps them', async () => {
    const script = join(ROOT, 'infra/connector/kubernetes/base/routes.sh')
    copyFileSync(script, join(destination, 'routes.sh'))
    const command = withoutRoot(USER, ['sh', join(destination, 'routes.sh')], { ambient: ['CAP_NET_ADMIN'] })
    const routes = async () => (await world.exec('a', 'ip route show proto 152')).stdout.trim().split(/ *\n/)
    const wanted = ['10.1.0.0/16 via 192.0.2.2 dev b0', '10.3.0.0/16 via 192.0.2.2 dev b0']
    await world.exec('a', 'ip route add 10.2.0.0/16 via 192.0.2.2 proto 152')
    const env = { PREFIXES: '10.1.0.0/16 10.3.0.0/16', GATEWAY: '192.0.2.2', PAUSE: '0.1' }
    const keeper = world.spawn('a', command, { env })
    const isKept = async () => (await routes()).join() === wanted.join()
    await until('the routes', isKept)
    await world.exec('a', 'ip route del 10.1.0.0/16')
    await until('the routes again', isKept)
    await keeper.stop()
    expect(await keeper.exited).toBe(0)
    expect(await routes()).toEqual([''])
  })

  /** The install above was by the same words. */
  function linkModules(): void {
    expect(readFileSync(join(SYSTEMD, 'install.sh'), 'utf8')).toContain(`npm ${WORDS} `)
    execFileSync('cp', ['-al', join(prefix, 'node_modules'), join(image, 'node_modules')])
  }

  function ownFolder(name: string): string {
    const folder = join(destination, name)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { mode: 0o700 })
    chownSync(folder, USER, USER)
    return folder
  }

  function placeOf(side: 0 | 1): string[] {
    return ['--config', join(destination, `end${side}`, 'isthmus.yaml')]
  }

  async function bothUp(start: (side: 0 | 1) => Spawned): Promise<[Spawned, Spawned]> {
    for (const side of [0, 1] as const) writeConfiguration(ownFolder(`end${side}`), side)
    const processes: [Spawned, Spawned] = [start(0), start(1)]
    ends.push(...processes)
    await Promise.all(processes.map((each) => each.waitFor(/"event":"started"/)))
    return processes
  }

  async function expectTraffic(): Promise<void> {
    const first = { count: 1, intervalMs: 1, timeoutMs: 500, source: '10.8.1.1' }
    await until(
      `a first answer\n${ends.map((each) => each.output()).join('\n')}`,
      async () => (await ping(world, 'a', '10.8.2.1', first)).received === 1,
    )
    const options = { count: 50, intervalMs: 5, source: '10.8.1.1' }
    expect(await ping(world, 'a', '10.8.2.1', options)).toMatchObject({ sent: 50, received: 50 })
  }
})

function textOf({ instructions }: Stage, wanted: string): string {
  return instructions.find(({ keyword }) => keyword === wanted)!.text
}

function writeConfiguration(folder: string, side: 0 | 1): void {
  const other = 1 - side
  const text = `
site: end${side}
address: 192.0.2.${side + 1}
networks: [10.8.${side + 1}.0/24]
tun: { addresses: [10.8.${side + 1}.1] }
peers:
  end${other}:
    address: 192.0.2.${other + 1}
    networks: [10.8.${other + 1}.0/24]
    secret: { file: psk }
state_directory: state
control_socket: ${folder}/socket
log: { format: json }
`
  writeFileSync(join(folder, 'isthmus.yaml'), text)
  writeFileSync(join(folder, 'psk'), 'correct horse battery staple, and more of it', { mode: 0o600 })
  for (const name of ['isthmus.yaml', 'psk']) chownSync(join(folder, name), USER, USER)
}
