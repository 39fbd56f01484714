import { describe, expect, it } from 'vitest'
import { address, prefix } from '../../protocol/net.ts'
import { EXIT } from '../handle.ts'
import {
  cleanLeftovers,
  IpFailure,
  ipStartFailure,
  isByDefault,
  type RunIp,
  setUpNetwork,
  setupBatch,
  tearDownNetwork,
} from './routes-linux.ts'

const plan = {
  device: 'isthmus0',
  mtu: 1400,
  addresses: [address('10.8.1.1')],
  routes: [prefix('10.8.2.0/24'), prefix('fd00:8:2::/64'), prefix('0.0.0.0/0')],
}

function recorder(answers: Record<string, string> = {}): { run: RunIp; calls: { args: string; batch: string }[] } {
  const calls: { args: string; batch: string }[] = []
  const run: RunIp = async (args, batch) => {
    calls.push({ args: args.join(' '), batch })
    return answers[args.join(' ')] ?? ''
  }
  return { run, calls }
}

describe('setting up', () => {
  it('brings the link up before the routes, with a source where the family has an address', () => {
    expect(setupBatch(plan)).toEqual([
      'link set dev isthmus0 mtu 1400 txqueuelen 1000',
      'addr add 10.8.1.1/32 dev isthmus0',
      'link set dev isthmus0 up',
      'route add 10.8.2.0/24 dev isthmus0 proto 151 src 10.8.1.1',
      '-6 route add fd00:8:2::/64 dev isthmus0 proto 151',
      'route add 0.0.0.0/0 dev isthmus0 proto 151 src 10.8.1.1',
    ])
    expect(setupBatch({ ...plan, addresses: [address('fd00:8:1::1')], routes: [] })).toContain(
      'addr add fd00:8:1::1/128 dev isthmus0 nodad',
    )
  })

  it('runs one batch for each family', async () => {
    const { run, calls } = recorder()
    await setUpNetwork(plan, run)
    expect(calls.map(({ args }) => args)).toEqual(['-batch -', '-6 -batch -'])
    expect(calls[1]!.batch).toBe('route add fd00:8:2::/64 dev isthmus0 proto 151\n')
  })

  it('names the line that failed', async () => {
    const run: RunIp = async () => {
      throw new IpFailure('RTNETLINK answers: File exists\nCommand failed -:4', false)
    }
    await expect(setUpNetwork(plan, run)).rejects.toMatchObject({
      code: 'route-conflict',
      message: expect.stringContaining('route add 10.8.2.0/24 dev isthmus0'),
    })
  })

  it('tells a missing program and a missing capability apart', () => {
    expect(ipStartFailure(new IpFailure('spawn ip ENOENT', true), [])).toMatchObject({
      code: 'ip-missing',
      remedy: 'Install the package iproute2.',
    })
    expect(ipStartFailure(new IpFailure('RTNETLINK answers: Operation not permitted', false), [])).toMatchObject({
      code: 'network-permission',
      exitCode: EXIT.permission,
    })
    expect(ipStartFailure(new IpFailure('Error: something else', false), [])).toMatchObject({ code: 'network-failed' })
  })
})

describe('taking down', () => {
  it('removes only our own routes, and goes on after a failure', async () => {
    const { run, calls } = recorder()
    await tearDownNetwork('isthmus0', plan.routes, run)
    expect(calls).toEqual([
      {
        args: '-4 -force -batch -',
        batch: 'route del 10.8.2.0/24 dev isthmus0 proto 151\nroute del 0.0.0.0/0 dev isthmus0 proto 151\n',
      },
      { args: '-6 -force -batch -', batch: 'route del fd00:8:2::/64 dev isthmus0 proto 151\n' },
    ])
    await tearDownNetwork('isthmus0', plan.routes, () => Promise.reject(new IpFailure('no', false)))
  })
})

describe('cleaning up after a crash', () => {
  it('removes noted routes that stand, and the device, and counts them', async () => {
    const { run, calls } = recorder({
      '-4 -j route show proto 151': JSON.stringify([
        { dst: '10.8.2.0/24', dev: 'isthmus0' },
        { dst: 'default', dev: 'isthmus0' },
        { dst: '10.99.0.0/16', dev: 'isthmus0' },
        { dst: '10.8.9.9', dev: 'other' },
      ]),
      '-j link show dev isthmus0': '[{"ifname":"isthmus0"}]',
    })
    expect(await cleanLeftovers('isthmus0', plan.routes, run)).toBe(3)
    const removed = calls.find(({ args }) => args === '-4 -force -batch -')
    expect(removed?.batch.split('\n').filter((line) => line !== '')).toHaveLength(2)
    expect(calls.at(-1)).toEqual({ args: 'link del dev isthmus0', batch: '' })
  })

  it('finds nothing to do where nothing is, whatever ip says', async () => {
    for (const said of ['', 'not JSON', '{}', '[null, 3, {"dst": 7}]']) {
      const { run, calls } = recorder({ '-4 -j route show proto 151': said, '-6 -j route show proto 151': said })
      expect(await cleanLeftovers('isthmus0', plan.routes, run)).toBe(0)
      expect(calls.every(({ batch }) => batch === '')).toBe(true)
    }
  })
})

describe('what a default route would take away', () => {
  it('is told by the route that the kernel has for an address', async () => {
    const words = '-4 -j route get fibmatch 198.51.100.7'
    const has = (answer: string) => isByDefault(address('198.51.100.7'), recorder({ [words]: answer }).run)
    expect(await has('[{"dst":"default","gateway":"10.0.0.1","dev":"eth0","flags":[]}]')).toBe(true)
    expect(await has('[{"dst":"198.51.100.7","gateway":"10.0.0.1","dev":"eth0","flags":[]}]')).toBe(false)
    expect(await has('[{"dst":"198.51.100.0/24","dev":"eth0","scope":"link","flags":[]}]')).toBe(false)
    for (const answer of ['', 'nonsense', '[]', 'null']) expect(await has(answer)).toBe(false)
  })
})

describe('cleaning up after a crash', () => {
  it('takes learned routes too, which nobody noted', async () => {
    const { run, calls } = recorder()
    await cleanLeftovers('isthmus0', [], run, true)
    expect(calls.map(({ args }) => args)).toEqual(
      expect.arrayContaining(['-4 route flush dev isthmus0 proto 151', '-6 route flush dev isthmus0 proto 151']),
    )
    const without = recorder()
    await cleanLeftovers('isthmus0', [], without.run)
    expect(without.calls.some(({ args }) => args.includes('flush'))).toBe(false)
  })
})
