/**
 * One end of a tunnel, for tests of the packet path with fixed keys, or of the whole connector:
 *
 *     end.ts SIDE SUITE ENCAPSULATION ENGINE STATE_DIRECTORY FAMILY [REKEY_MS [WORKERS [PROBE]]]
 *
 * With several workers the connection's home is the last of them. SUITE `none` makes no Child SA; `ike` leaves it to IKE,
 * which rekeys children every REKEY_MS and itself every three times that, if that is not 0. PROBE is a `ProbePlan` in
 * JSON: each change of what probes say is then printed as `path STATE MTU MILLISECONDS`. Prints events and at last
 * `ready`, prints its status as one line of JSON at SIGUSR2, ends well at SIGTERM.
 */

import { StartFailure } from '../../connector/handle.ts'
import { startConnector } from '../../connector/io/connector.ts'
import type { ConnectorPlan, ProbePlan } from '../../connector/plan.ts'
import { type Address, address, prefix } from '../../protocol/net.ts'
import type { ConnectorStatus } from '../../protocol/status.ts'
import { type StaticOptions, staticMachine } from './static-machine.ts'

const [sideText, suite, encapsulation, engine, stateDirectory, outer, rekeyText = '0', workersText = '1', probe] =
  process.argv.slice(2)
const side = Number(sideText) as 0 | 1
const workers = Number(workersText)
const rekeyMs = Number(rekeyText)
const options: StaticOptions = {
  side,
  suite: suite === 'none' || suite === 'ike' ? undefined : (suite as StaticOptions['suite']),
  encapsulation: encapsulation as StaticOptions['encapsulation'],
  ...(rekeyMs === 0 ? {} : { rekeyMs }),
}

try {
  const connector = await startConnector(plan(), {
    engine: engine as 'node' | 'wasm',
    ...(suite === 'ike' ? {} : { makeIke: (made, now) => staticMachine(made, options, now) }),
    onEvent: (event) => process.stdout.write(`${JSON.stringify(event)}\n`),
  })
  // The worker installs Child SAs in its own time.
  const installed = (): boolean => connector.status().tunnels[0]?.encapsulation !== undefined
  while (suite !== 'none' && !installed()) await new Promise((resolve) => setTimeout(resolve, 10))
  process.on('SIGTERM', () => void connector.stop())
  process.on('SIGUSR2', () => process.stdout.write(`status ${JSON.stringify(connector.status())}\n`))
  if (probe !== undefined) watchPath(() => connector.status())
  process.stdout.write('ready\n')
  const failure = await connector.ended
  if (failure !== undefined) throw failure
  process.exit(0)
} catch (error) {
  const failure = error instanceof StartFailure ? error : new StartFailure('unknown', String(error), '', 1)
  process.stdout.write(`${JSON.stringify({ code: failure.code, cause: failure.message, remedy: failure.remedy })}\n`)
  process.exit(failure.exitCode)
}

function watchPath(status: () => ConnectorStatus): void {
  let told = ''
  setInterval(() => {
    const { state, mtu } = status().tunnels[0]?.path ?? {}
    const text = `${state} ${mtu?.pathMtu}`
    if (text !== told) process.stdout.write(`path ${text} ${Date.now()}\n`)
    told = text
  }, 3).unref()
}

function lifetime(factor: number) {
  const softMs = factor * (options.rekeyMs ?? 3_600_000)
  return { softMs, hardMs: 2 * softMs, jitterMs: softMs / 10 }
}

/** Both ends of one tunnel: inner networks 10.8.1.0/24 and 10.8.2.0/24, fd00:8:1::/64 and fd00:8:2::/64. */
function plan(): ConnectorPlan {
  const outerAddress = (end: number): Address => address(outer === '6' ? `2001:db8::${end + 1}` : `192.0.2.${end + 1}`)
  const selectors = (end: number) =>
    [
      { start: `10.8.${end + 1}.0`, last: `10.8.${end + 1}.255` },
      { start: `fd00:8:${end + 1}::`, last: `fd00:8:${end + 1}:0:ffff:ffff:ffff:ffff` },
    ].map(({ start, last }) => ({
      protocol: 0,
      startPort: 0,
      endPort: 65535,
      startAddress: address(start),
      endAddress: address(last),
    }))
  const other = 1 - side
  return {
    site: `end${side}`,
    tun: {
      name: 'isthmus0',
      mtu: 1400,
      addresses: [address(`10.8.${side + 1}.1`), address(`fd00:8:${side + 1}::1`)],
    },
    workers,
    ports: { port: 500, natPort: 4500 },
    limits: {
      cookieThreshold: 10,
      maxHalfOpen: 100,
      retransmitMs: 500,
      retransmitFactor: 2,
      retransmitTries: 5,
      retryMs: 1000,
      retryMaxMs: 60_000,
    },
    stateDirectory: stateDirectory!,
    controlSocket: `${stateDirectory}/socket`,
    keyLog: `${stateDirectory}.keys`,
    connections: [
      {
        ike: {
          name: 'peer',
          localAddress: outerAddress(side),
          remoteAddress: outerAddress(other),
          remotePort: 500,
          remoteNatPort: 4500,
          localId: { type: 'fqdn', value: `end${side}` },
          remoteId: { type: 'fqdn', value: `end${other}` },
          psk: new Uint8Array(16).fill(5),
          initiate: side === 0,
          proposals: [{ encryption: 'aes128gcm16', prf: 'prfsha256', group: 'x25519' }],
          children: [
            {
              name: 'net',
              local: selectors(side),
              remote: selectors(other),
              proposals: [{ encryption: 'aes256gcm16', group: 'x25519', esn: true }],
              lifetime: lifetime(1),
              replayWindow: 1024,
            },
          ],
          lifetime: lifetime(3),
          dpdIntervalMs: 1000,
          encapsulation: options.encapsulation === 'esp' ? 'auto' : 'udp',
          natKeepaliveMs: 20_000,
          fragmentSize: 1280,
          resource: workers - 1,
        },
        routes: [prefix(`10.8.${other + 1}.0/24`), prefix(`fd00:8:${other + 1}::/64`)],
        pathMtu: 1500,
        clampMss: true,
        copyDscp: true,
        ...(probe === undefined ? {} : { probe: JSON.parse(probe) as ProbePlan }),
      },
    ],
  }
}
