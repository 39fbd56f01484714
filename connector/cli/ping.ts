import { type Address, familyOf, parseAddress } from '../../protocol/net.ts'
import { EXIT } from '../handle.ts'
import type { PingSummary } from '../io/ping.ts'
import { type CliIo, type Command, CommandFailure, type CommandInput, textOption } from './command.ts'
import { CONFIG_OPTION, configPath, JSON_OPTION, numberOption } from './options.ts'

export const ping: Command = {
  name: 'ping',
  summary: 'ping a host through the tunnel',
  description:
    'Sends ICMP echo requests and reports loss and round trips (min, median, p99, max). With the name of a peer it asks the address under probe in the configuration.',
  arguments: [{ name: '<target>', description: 'an IP address behind the peer, or the name of a peer' }],
  options: [
    { flags: '-n, --count <n>', description: 'requests to send', default: '5' },
    { flags: '-i, --interval <ms>', description: 'time between two requests', default: '1000' },
    { flags: '-W, --timeout <ms>', description: 'how long to wait for an answer', default: '2000' },
    {
      flags: '-I, --source <address>',
      description: 'our address to send from; else the one of the TUN device, if any',
    },
    JSON_OPTION,
    CONFIG_OPTION,
  ],
  examples: [
    { command: 'isthmus ping branch', what: 'the probe address of a peer' },
    { command: 'isthmus ping 10.2.0.1 -n 100 -i 10', what: 'a hundred requests in a second' },
  ],
  exits: ['permission', 'tunnelDown'],
  async action(input, io) {
    const target = await resolveTarget(input, io)
    const { pingHost } = await import('../io/ping.ts')
    const isJson = input.options.json === true
    // Ctrl-C ends it early; what was measured until then is still told.
    const interrupted = new AbortController()
    process.once('SIGINT', () => interrupted.abort())
    const result = await pingHost(target.address, {
      signal: interrupted.signal,
      count: Math.floor(numberOption(input, 'count', { min: 1, max: 1_000_000, fallback: 5 })),
      intervalMs: numberOption(input, 'interval', { min: 1, max: 3_600_000, fallback: 1000 }),
      timeoutMs: numberOption(input, 'timeout', { min: 1, max: 60_000, fallback: 2000 }),
      ...(target.source === undefined ? {} : { source: target.source }),
    })
    if (isJson) io.stdout(`${JSON.stringify({ target: target.address, ...result })}\n`)
    else report(target.address, result, io)
    return result.received > 0 ? EXIT.ok : EXIT.tunnelDown
  },
}

function report(target: string, result: PingSummary, io: CliIo): void {
  const { sent, received, lossRatio, rttMs } = result
  io.stdout(`${target}: ${received} of ${sent} answered, ${(lossRatio * 100).toFixed(1)} % lost\n`)
  if (rttMs !== undefined) {
    const parts = (['min', 'p50', 'p99', 'max'] as const).map((name) => `${name} ${rttMs[name].toFixed(3)}`)
    io.stdout(`round trip in ms: ${parts.join(', ')}\n`)
    return
  }
  io.stderr('  What to do: isthmus status tells whether the tunnel is up; if it is, check the host and its firewall.\n')
}

async function resolveTarget(
  input: CommandInput,
  io: CliIo,
): Promise<{ address: Address; source?: Address | undefined }> {
  const target = input.args[0] ?? ''
  const sourceText = textOption(input, 'source')
  const source = sourceText === undefined ? undefined : parseAddress(sourceText)
  if (sourceText !== undefined && source === undefined) {
    throw new CommandFailure(
      `--source ${JSON.stringify(sourceText)} is not an IP address`,
      'give one of this host',
      EXIT.usage,
    )
  }
  const direct = parseAddress(target)
  if (direct !== undefined && source !== undefined) return { address: direct, source }
  const { loadConfig } = await import('../config.ts')
  const path = configPath(input, io)
  const loaded = loadConfig(path)
  if ('faults' in loaded) {
    if (direct !== undefined) return { address: direct, source }
    throw new CommandFailure(
      `${target} is no IP address, and ${path} is not sound`,
      'run isthmus check, or give an address',
      EXIT.badConfig,
    )
  }
  const probe = direct ?? loaded.probes.get(target)
  if (probe === undefined)
    throw unknownTarget(
      target,
      loaded.plan.connections.map(({ ike }) => ike.name),
    )
  const own = loaded.plan.tun.addresses.find((candidate) => familyOf(candidate) === familyOf(probe))
  return { address: probe, source: source ?? own }
}

function unknownTarget(target: string, peers: readonly string[]): CommandFailure {
  if (peers.includes(target)) {
    const remedy = `give an address behind it (isthmus ping 10.2.0.1), or set peers.${target}.probe to one`
    return new CommandFailure(`nothing says which host behind ${target} to ask`, remedy, EXIT.usage)
  }
  const remedy = `give an IP address, or one of ${peers.join(', ')}`
  return new CommandFailure(`${JSON.stringify(target)} is neither an IP address nor a peer`, remedy, EXIT.usage)
}
