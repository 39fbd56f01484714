import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { EXIT } from '../../connector/handle.ts'
import { skipWithoutNamespaces } from '../system/netns.ts'
import { until } from '../system/until.ts'
import {
  AS,
  kernelRoutes,
  neighbourConfiguration,
  neighbourWhen,
  routesWhen,
  startConnector,
  startGateway,
  startNeighbour,
} from './bgp-lab.ts'
import { type Isthmus, verbCommand } from './isthmus.ts'
import { test } from './lab-test.ts'
import type { Lab } from './pair.ts'
import { skipWithoutPeers } from './peers.ts'

const WHAT = 'BGP with BIRD behind strongSwan'
const missing = skipWithoutNamespaces(WHAT) || skipWithoutPeers(WHAT, 'strongswan', 'bird')

/** With a gateway in front of which BIRD is to be started. */
const it = test.extend<{ readonly lab: Lab }>({
  lab: async ({ lab }, use) => {
    await startGateway(lab)
    await use(lab)
  },
})

describe.skipIf(missing).concurrent(WHAT, () => {
  it('prefixes go both ways, packets follow them, and a withdrawal takes them back', async ({ lab }) => {
    const bird = await startNeighbour(lab)
    const us = await startConnector(lab)
    await us.up()
    await neighbourWhen(us, 'established', ({ state, ipv4 }) => state === 'established' && ipv4.received === 2)
    await routesWhen(lab, ['10.8.2.0/24', '10.9.0.0/16', '169.254.10.0/30'])
    await until('BIRD to have our network', async () => (await bird.birdc('show', 'route')).includes('10.8.1.0/24'))
    expect(await bird.birdc('show', 'route', 'all', '10.8.1.0/24')).toContain(`BGP.as_path: ${AS.us}`)
    // BIRD's own prefixes are blackholes; the address of `them` lies in one of them.
    await lab.world.exec('us', 'ping -c 2 -i 0.2 -W 2 -I 10.8.1.1 10.8.2.1')
    await bird.configure(neighbourConfiguration({ prefixes4: ['10.9.0.0/16'] }))
    await routesWhen(lab, ['10.9.0.0/16', '169.254.10.0/30'])
    await us.stop()
    expect(await kernelRoutes(lab)).toEqual([])
    await until('BIRD to hear why', async () => bird.log().includes('Administrative shutdown'))
    expect(bird.log()).toContain('the connector is stopping')
  })

  it('RFC 8326: when we stop, the neighbour hears GRACEFUL_SHUTDOWN before the session ends', async ({ lab }) => {
    const channel4 = 'import filter { if (65535, 0) ~ bgp_community then print "leaving ", net; accept; };'
    const bird = await startNeighbour(lab, { channel4 })
    const us = await startConnector(lab)
    await established(us)
    await until('BIRD to have our network', async () => (await bird.birdc('show', 'route')).includes('10.8.1.0/24'))
    expect(bird.log()).not.toContain('leaving')
    await us.stop()
    await until('BIRD to hear why', async () => bird.log().includes('Administrative shutdown'))
    const [before, after] = bird.log().split('Administrative shutdown', 2)
    expect(before).toContain('leaving 10.8.1.0/24')
    expect(after).not.toContain('leaving')
  })

  it('both come back by themselves, whichever restarts', async ({ lab }) => {
    const bird = await startNeighbour(lab)
    let us = await startConnector(lab, { neighbour: ['hold: 6s', 'graceful_restart: false'] })
    await established(us)
    await bird.kill()
    await routesWhen(lab, ['169.254.10.0/30'])
    await neighbourWhen(us, 'told', ({ lastError }) => lastError?.includes('lost:') === true)
    await bird.start()
    await established(us)
    await routesWhen(lab, ROUTES)
    // No goodbye: what it leaves in the kernel is cleaned by its next start.
    await us.kill()
    us = await startConnector(lab)
    await established(us)
    await routesWhen(lab, ROUTES)
  })

  it('a neighbour that falls silent is given up when the hold time is over', async ({ lab }) => {
    await startNeighbour(lab)
    const us = await startConnector(lab, { neighbour: ['hold: 3s', 'graceful_restart: false'] })
    await established(us)
    await lab.world.exec('them', 'ip addr del 169.254.10.1/30 dev ipsec0')
    await neighbourWhen(us, 'lost', ({ flaps, state }) => flaps === 1 && state !== 'established')
    expect(us.log()).toContain('we told the neighbour: Hold Timer Expired')
    await routesWhen(lab, ['169.254.10.0/30'])
  })

  it('a wrong AS is refused in words, at both ends', async ({ lab }) => {
    const bird = await startNeighbour(lab)
    const us = await startConnector(lab, { as: 65_099 })
    await us.up()
    await neighbourWhen(us, 'refused', ({ lastError }) => lastError?.includes('Bad Peer AS') === true)
    expect(us.log()).toContain(`The neighbour says AS ${AS.them}; AS 65099 is configured.`)
    await until('BIRD to be told', async () =>
      (await bird.birdc('show', 'protocols', 'all', 'hub')).includes('Bad peer AS'),
    )
  })

  it('TCP MD5: the same key lets it through, another one does not', async ({ lab }) => {
    const extra = (key: string) => ({ extra: `password "${key}";` })
    const bird = await startNeighbour(lab, extra('another secret of the two'))
    const key = join(lab.directory, 'md5')
    writeFileSync(key, 'the secret of the two\n', { mode: 0o600 })
    const us = await startConnector(lab, { neighbour: [`password: { file: '${key}' }`] })
    await us.up()
    await until('packets with a wrong signature to be dropped', async () => (await md5Failures(lab)) > 0)
    expect((await us.status()).bgp!.neighbours[0]!.flaps).toBe(0)
    expect((await us.status()).bgp!.neighbours[0]!.state).not.toBe('established')
    await bird.configure(neighbourConfiguration(extra('the secret of the two')))
    await established(us)
    expect(us.log()).not.toContain('the secret')
  })

  it('GTSM: only with a TTL of 255 it is let through', async ({ lab }) => {
    const bird = await startNeighbour(lab)
    const us = await startConnector(lab, { neighbour: ['ttl_security: true'] })
    await us.up()
    await until('packets with another TTL to be dropped', async () => (await counter(lab, 'TCPMinTTLDrop')) > 0)
    expect((await us.status()).bgp!.neighbours[0]!.state).not.toBe('established')
    await bird.configure(neighbourConfiguration({ extra: 'ttl security on;' }))
    await established(us)
  })

  it('BFD: a path that is cut takes its routes away long before the hold time', async ({ lab }) => {
    const bird = await startNeighbour(lab, { bfd: true })
    const us = await startConnector(lab, { neighbour: ['hold: 90s', 'bfd: { interval: 300ms }'] })
    await established(us)
    await neighbourWhen(us, 'seen by BFD', ({ bfd }) => bfd?.state === 'up')
    expect(await bird.birdc('show', 'bfd', 'sessions')).toMatch(/169\.254\.10\.2\s+\S+\s+Up/)
    await lab.world.exec('them', 'ip link set ipsec0 down')
    await neighbourWhen(us, 'lost', ({ bfd, flaps }) => bfd?.state !== 'up' && flaps === 1, 10_000)
    await routesWhen(lab, ['169.254.10.0/30'], 5_000)
    await lab.world.exec('them', `ip link set ipsec0 up`)
    await neighbourWhen(us, 'back', ({ bfd, state }) => bfd?.state === 'up' && state === 'established')
    await routesWhen(lab, ROUTES)
  })

  it('too many prefixes close the session; route refresh and the verbs show what is there', async ({ lab }) => {
    const bird = await startNeighbour(lab)
    const us = await startConnector(lab, { neighbour: ['max_prefixes: { limit: 2, restart: 1h }'] })
    await established(us)
    const verb = (...words: string[]) =>
      lab.world.exec('us', [...verbCommand(us.paths, words[0]!), ...words.slice(1)], { check: false })
    expect((await verb('bgp')).stdout).toMatch(/cloud +169\.254\.10\.1 +65001 +established/)
    expect((await verb('routes')).stdout).toMatch(/10\.9\.0\.0\/16 +bgp +peer/)
    const explained = await lab.world.exec('us', [
      process.execPath,
      verbCommand(us.paths, 'routes')[1]!,
      ...['routes', 'explain', '10.9.0.0/16', '--config', us.paths.config],
    ])
    expect(explained.stdout).toContain('10.9.0.0/16 leads to peer (bgp)')
    expect(explained.stdout).toMatch(/cloud +best +via 169\.254\.10\.1 +path 65001/)
    await bird.birdc('reload', 'in', 'hub')
    await bird.birdc('reload', 'out', 'hub')
    await bird.configure(neighbourConfiguration({ prefixes4: ['10.8.2.0/24', '10.9.0.0/16', '10.10.0.0/16'] }))
    await neighbourWhen(us, 'closed', ({ state, lastError }) => state === 'idle' && lastError !== undefined)
    expect(us.log()).toContain('Cease, Maximum Number of Prefixes Reached')
    await routesWhen(lab, ['169.254.10.0/30'])
    expect((await verb('bgp')).code).toBe(EXIT.tunnelDown)
  })

  it('a default route is taken where it is asked for, and never where the tunnel would enter itself', async ({
    lab,
  }) => {
    await startNeighbour(lab, { prefixes4: ['0.0.0.0/0', '10.9.0.0/16', '192.168.77.0/28'] })
    const us = await startConnector(lab, { neighbour: ['accept_default: true'] })
    await us.up()
    await routesWhen(lab, ['10.9.0.0/16', '169.254.10.0/30', 'default'])
    expect(us.log()).toContain('192.168.77.0/28 not taken: recursive')
    await lab.world.exec('us', 'ping -c 1 -W 2 192.168.77.2')
  })

  it('a table of 50,000 prefixes comes into the kernel, and goes with its neighbour, while packets flow', {
    concurrent: false,
  }, async ({ lab }) => {
    const many = Array.from({ length: 50_000 }, (_, i) => `11.${i >> 10}.${(i >> 2) & 255}.${(i & 3) << 6}/26`)
    const bird = await startNeighbour(lab, { prefixes4: ['10.8.2.0/24', ...many] })
    const us = await startConnector(lab, { neighbour: ['graceful_restart: false'] })
    await us.up()
    const started = performance.now()
    await neighbourWhen(us, 'heard out', ({ ipv4 }) => ipv4.accepted === 50_001, 60_000)
    // What the table has taken in is on its way into engines and kernel for a while.
    await until('all to be in the kernel', async () => (await kernelRoutes(lab)).length === 50_002, 60_000)
    const learned = performance.now()
    const pings = lab.world.spawn('us', ['ping', '-c', '40', '-i', '0.05', '-W', '2', '-I', '10.8.1.1', '10.8.2.1'])
    await bird.configure(neighbourConfiguration({ prefixes4: ['10.8.2.0/24'] }))
    await neighbourWhen(us, 'left', ({ ipv4 }) => ipv4.accepted === 1, 60_000)
    await routesWhen(lab, ['10.8.2.0/24', '169.254.10.0/30'], 60_000)
    const withdrawn = performance.now()
    expect(await pings.exited).toBe(0)
    expect(pings.output()).toContain(' 0% packet loss')
    const seconds = [learned - started, withdrawn - learned].map((ms) => (ms / 1000).toFixed(1))
    process.stderr.write(`50,000 prefixes: learned in ${seconds[0]} s, withdrawn in ${seconds[1]} s\n`)
  })

  it('a neighbour that restarts gracefully keeps its routes and its packets', async ({ lab }) => {
    const graceful = { extra: 'graceful restart on; graceful restart time 60;' }
    const bird = await startNeighbour(lab, graceful)
    const us = await startConnector(lab)
    await established(us)
    await routesWhen(lab, ROUTES)
    await bird.kill()
    await neighbourWhen(us, 'restarting', ({ state, ipv4 }) => state !== 'established' && ipv4.stale === 2)
    expect(us.log()).toContain('its routes stay for 60 s')
    expect(await kernelRoutes(lab)).toEqual([...ROUTES].sort())
    await bird.start()
    await neighbourWhen(
      us,
      'back',
      ({ state, ipv4 }) => state === 'established' && ipv4.stale === 0 && ipv4.accepted === 2,
    )
    expect(await kernelRoutes(lab)).toEqual([...ROUTES].sort())
  })

  it('IPv6 prefixes over a session of IPv4, with packets behind them', async ({ lab }) => {
    await lab.world.exec('them', 'ip addr add fd00:10::1/126 dev ipsec0 nodad')
    const bird = await startNeighbour(lab, { prefixes6: ['fd08:2::/48'], next6: 'fd00:10::1' })
    const us = await startConnector(lab, { six: 'fd00:10::2/126' })
    await established(us)
    await neighbourWhen(us, 'of both families', ({ ipv6 }) => ipv6.accepted === 1 && ipv6.advertised === 1)
    await until('the kernel to have it', async () => {
      return (await lab.world.exec('us', 'ip -6 route show proto 151')).stdout.includes('fd08:2::/48')
    })
    await until('BIRD to have ours', async () => (await bird.birdc('show', 'route')).includes('fd08:1::/48'))
    await lab.world.exec('us', 'ping -6 -c 2 -i 0.2 -W 2 -I fd08:1::1 fd08:2::1')
  })
})

const ROUTES = ['10.8.2.0/24', '10.9.0.0/16', '169.254.10.0/30']

async function established(us: Isthmus): Promise<void> {
  await us.up()
  await neighbourWhen(us, 'established', ({ state, ipv4 }) => state === 'established' && ipv4.received === 2)
}

/** Of `us`; the kernel's own count. */
async function counter(lab: Lab, name: string): Promise<number> {
  const { stdout } = await lab.world.exec('us', 'cat /proc/net/netstat')
  const lines = stdout.split('\n').map((line) => line.split(' '))
  const at = lines.findIndex((words) => words.includes(name))
  return at < 0 ? 0 : Number(lines[at + 1]![lines[at]!.indexOf(name)])
}

async function md5Failures(lab: Lab): Promise<number> {
  return (
    (await counter(lab, 'TCPMD5Failure')) +
    (await counter(lab, 'TCPMD5Unexpected')) +
    (await counter(lab, 'TCPMD5NotFound'))
  )
}
