/** The status document for people: first whether it works, then what is wrong and what to do, then the details. */
import { styleText } from 'node:util'
import type {
  BgpStatus,
  ChildSaStatus,
  ConnectorStatus,
  FunctionsStatus,
  PathStatus,
  Traffic,
  TunnelStatus,
  WorkerStatus,
} from '../../protocol/status.ts'
import { formatDuration, formatSize } from '../config/units.ts'

type ControlStatus = NonNullable<ConnectorStatus['control']>
type Paint = (style: 'red' | 'yellow' | 'green' | 'bold' | 'dim', text: string) => string

const LABEL_WIDTH = 11

/** Lines end in no blank and the text in no line break; `width` is in characters, at least 40. */
export function renderStatus(status: ConnectorStatus, width: number, color: boolean): string {
  const paint: Paint = (style, text) => (color ? styleText(style, text, { validateStream: false }) : text)
  const room = Math.max(40, width)
  const blocks = [
    headline(status, room, paint),
    ...status.tunnels.map((tunnel) => tunnelBlock(tunnel, status, room, paint)),
    ...(status.bgp === undefined ? [] : [bgpBlock(status.bgp, room, paint)]),
    ...(status.functions === undefined ? [] : [functionsBlock(status.functions, status.now, room, paint)]),
    connectorBlock(status, room, paint),
  ]
  return blocks.map((lines) => lines.join('\n')).join('\n\n')
}

function headline(status: ConnectorStatus, width: number, paint: Paint): string[] {
  const { tunnels } = status
  const up = tunnels.filter(({ state }) => state === 'up')
  const wrong = tunnels.filter(({ state }) => state !== 'up' && state !== 'idle')
  const idle = tunnels.filter(({ state }) => state === 'idle')
  const site = paint('bold', printable(status.site))
  if (status.tun.state === 'failed') {
    const { cause, remedy } = status.tun.error ?? { cause: 'the TUN device failed', remedy: 'look into the log' }
    return [
      `${site}: ${paint('red', 'DOWN')}, the device ${status.tun.name} does not work`,
      ...advice('device', cause, remedy, width, paint),
    ]
  }
  const newest = up
    .map(({ since }) => since)
    .sort()
    .at(-1)
  const since = newest === undefined ? '' : ` for ${elapsed(newest, status.now)}`
  const count = `${up.length} of ${tunnels.length} ${tunnels.length === 1 ? 'tunnel' : 'tunnels'}`
  const first =
    wrong.length === 0 && idle.length === 0
      ? `${site}: ${paint('green', 'UP')}, ${count}${since}`
      : `${site}: ${wrong.length === 0 ? paint('yellow', 'WAITING') : paint('red', up.length === 0 ? 'DOWN' : 'PARTLY UP')}, ${count} up`
  return [
    first,
    ...wrong.flatMap((tunnel) => {
      const { cause, remedy } = diagnosis(tunnel, status.now)
      return advice(tunnel.name, cause, remedy, width, paint)
    }),
    ...(status.control === undefined ? [] : controlAdvice(status.control, width, paint)),
    ...idle.flatMap((tunnel) => wrap(`${printable(tunnel.name)}: waits for the peer to call`, '  ', width)),
  ]
}

function controlAdvice(control: ControlStatus, width: number, paint: Paint): string[] {
  const remedy = 'correct it at the control plane; what ran before goes on'
  const refused = control.refused?.flatMap((words) => advice('document', words, remedy, width, paint)) ?? []
  return [...linkAdvice(control, width, paint), ...refused]
}

/** A link that is away for a moment is no trouble, and one that is away for long none for the tunnels. */
function linkAdvice({ state, detail, url }: ControlStatus, width: number, paint: Paint): string[] {
  if (state === 'revoked') {
    const remedy = 'if it is to come back: isthmus leave --yes, then isthmus join with a new token'
    return advice('control plane', `this connector was revoked: ${detail}`, remedy, width, paint)
  }
  if (state !== 'waiting') return []
  const remedy = `the tunnels go on; see whether this machine reaches it: curl ${url}/healthz`
  return advice('control plane', detail, remedy, width, paint)
}

function diagnosis(tunnel: TunnelStatus, now: string): { cause: string; remedy: string } {
  if (tunnel.lastError !== undefined) return tunnel.lastError
  const age = elapsed(tunnel.since, now)
  switch (tunnel.state) {
    case 'connecting':
      return {
        cause: `calling the peer since ${age}`,
        remedy: 'wait; if it stays so, check that UDP 500 and 4500 reach it',
      }
    case 'degraded':
      return {
        cause: `a child is missing since ${age}`,
        remedy: "compare networks and ESP suites with the peer's configuration",
      }
    case 'closing':
      return { cause: `saying goodbye to the peer since ${age}`, remedy: 'wait' }
    default:
      return {
        cause: `no connection since ${age}`,
        remedy: 'wait for the next attempt; if it stays so, look into the log and at the peer',
      }
  }
}

function advice(name: string, cause: string, remedy: string, width: number, paint: Paint): string[] {
  const lines = wrap(`${printable(name)}: ${printable(cause)}`, '  ', width)
  return [...lines.map((line) => paint('yellow', line)), ...wrap(`Next: ${printable(remedy)}`, '    ', width)]
}

function tunnelBlock(
  tunnel: TunnelStatus,
  { now, workers = [] }: ConnectorStatus,
  width: number,
  paint: Paint,
): string[] {
  const style =
    tunnel.state === 'up' ? 'green' : tunnel.state === 'idle' || tunnel.state === 'connecting' ? 'yellow' : 'red'
  const head = `${paint('bold', printable(tunnel.name))}: ${paint(style, tunnel.state)} for ${elapsed(tunnel.since, now)}`
  const field = (label: string, text: string) => labelled(label, text, width, paint)
  return [
    head,
    ...field('peer', peerText(tunnel)),
    ...(tunnel.suite === undefined ? [] : field('IKE SA', ikeText(tunnel))),
    ...tunnel.children.flatMap((child) => field(`SA ${child.name}`, childText(child, workers.length > 1))),
    ...field('traffic', trafficText(tunnel.traffic)),
    ...field('path', tunnel.path === undefined ? pathText(tunnel) : probedText(tunnel.path)),
    ...field(
      'MTU',
      `${tunnel.mtu.path} outside, ${tunnel.mtu.inner} inside, TCP MSS ${tunnel.mtu.mss4} (${tunnel.mtu.why})`,
    ),
    ...(hasDrops(tunnel.traffic.drops) ? field('dropped', dropsText(tunnel.traffic.drops)) : []),
    ...(tunnel.lastError === undefined
      ? []
      : field('last error', `${elapsed(tunnel.lastError.at, now)} ago: ${tunnel.lastError.cause}`)),
  ]
}

function peerText(tunnel: TunnelStatus): string {
  const who = tunnel.remote ?? 'any address'
  const role = tunnel.role === undefined ? [] : [tunnel.role === 'initiator' ? 'we called' : 'it called']
  const wrapper =
    tunnel.encapsulation === undefined ? [] : [tunnel.encapsulation === 'udp' ? 'ESP in UDP' : 'plain ESP']
  const notes = [...role, ...wrapper, ...(tunnel.local === undefined ? [] : [`from ${tunnel.local}`])]
  return notes.length === 0 ? who : `${who} (${notes.join(', ')})`
}

function ikeText(tunnel: TunnelStatus): string {
  const ages = [
    ...(tunnel.keyId === undefined ? [] : [`under key ${tunnel.keyId}`]),
    ...(tunnel.ageMs === undefined ? [] : [`age ${formatDuration(tunnel.ageMs)}`]),
    ...(tunnel.rekeyInMs === undefined ? [] : [rekeyText(tunnel.rekeyInMs)]),
    times(tunnel.ikeRekeys),
  ]
  return `${tunnel.suite}; ${ages.join(', ')}`
}

function childText(child: ChildSaStatus, showsWorker: boolean): string {
  const role = child.active ? '' : ', being replaced'
  const ages = `age ${formatDuration(child.ageMs)}, ${rekeyText(child.rekeyInMs)}, ${times(child.rekeys)}${role}`
  const selectors = `${child.local.join(', ')} <-> ${child.remote.join(', ')}`
  const worker = showsWorker && child.worker !== undefined ? `; worker ${child.worker}` : ''
  return `${child.suite}${worker}; ${ages}; SPI in ${child.inboundSpi} out ${child.outboundSpi}; ${selectors}`
}

function rekeyText(ms: number): string {
  return ms > 0 ? `rekey in ${formatDuration(ms)}` : 'rekey due'
}

function times(count: number): string {
  return count === 0 ? 'not rekeyed yet' : `rekeyed ${count === 1 ? 'once' : `${count} times`}`
}

function trafficText(traffic: Traffic): string {
  const way = (bytes: number, packets: number) =>
    `${formatSize(bytes)} in ${grouped(packets)} ${packets === 1 ? 'packet' : 'packets'}`
  const missing = traffic.inMissing ? ` (${grouped(traffic.inMissing)} never came)` : ''
  return `received ${way(traffic.inBytes, traffic.inPackets)}${missing}, sent ${way(traffic.outBytes, traffic.outPackets)}`
}

function workerText({ engine, busy, handedOver, ...worker }: WorkerStatus): string {
  const share = busy === undefined ? '' : `, busy ${Math.round(busy * 100)} %`
  const gave = handedOver === 0 ? '' : `, handed over ${grouped(handedOver)} ${handedOver === 1 ? 'packet' : 'packets'}`
  return `${engine.kind} ${engine.build}${share}, ${trafficText({ ...worker, drops: {} })}${gave}`
}

function pathText(tunnel: TunnelStatus): string {
  const { rtt, loss } = tunnel
  const trip =
    rtt === undefined
      ? 'RTT not measured yet'
      : `RTT ${millis(rtt.medianMs)} (last ${millis(rtt.lastMs)}, ${rtt.samples} samples)`
  if (loss === undefined) return trip
  return `${trip}, loss ${(loss.ratio * 100).toFixed(loss.ratio > 0 && loss.ratio < 0.1 ? 1 : 0)} % of ${grouped(loss.sent)} requests`
}

/** What probes tell says more than what IKE happened to see. */
function probedText({ state, rttMs, jitterMs, lossOut, lossIn, mtu }: PathStatus): string {
  const percent = (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`
  const losses = [lossOut, lossIn].flatMap((share) => (share === undefined ? [] : [percent(share)]))
  const why = mtu && (mtu.pathMtu === mtu.configured ? mtu.why : `${mtu.why}; ${mtu.configured} configured`)
  return [
    state === 'unknown' ? 'no probe was answered so far' : state,
    ...(rttMs === undefined ? [] : [`${millis(rttMs)} ± ${millis(jitterMs ?? 0)}`]),
    ...(losses.length === 0 ? [] : [`loss ${losses.join('/')}`]),
    ...(mtu === undefined ? [] : [`MTU ${mtu.pathMtu} (${mtu.searching ? 'still looking for more; ' : ''}${why})`]),
  ].join(', ')
}

/** `isthmus bgp` has the rest. */
function bgpBlock({ as, prefixes, neighbours }: BgpStatus, width: number, paint: Paint): string[] {
  const down = neighbours.filter(({ state }) => state !== 'established')
  const up = `${neighbours.length - down.length} of ${neighbours.length} neighbours`
  const head = `${paint('bold', 'BGP')}: AS ${as}, ${paint(down.length === 0 ? 'green' : 'red', up)} established`
  const routes = `${prefixes.ipv4} IPv4 and ${prefixes.ipv6} IPv6 prefixes in use`
  const troubles = down.map(({ name, state, lastError }) =>
    printable(`${name}: ${state}${lastError ? `, ${lastError}` : ''}`),
  )
  return [head, ...wrap(routes, '  ', width), ...troubles.flatMap((line) => wrap(line, '  ', width))]
}

function functionsBlock(functions: FunctionsStatus, now: string, width: number, paint: Paint): string[] {
  const { services, sessions, streams, heldBytes, halfOpen, listen, relaySockets, fault, shed, file } = functions
  const field = (label: string, text: string) => labelled(label, text, width, paint)
  const names = services.map(({ name, open }) => (open === 0 ? name : `${name} (${open} open)`)).join(', ')
  const ways = [
    ...(listen === undefined ? [] : [`${listen.url}${listen.listening ? '' : ' (does not listen)'}`]),
    `relay with ${relaySockets} ${relaySockets === 1 ? 'socket' : 'sockets'} waiting`,
  ]
  const problems = services.flatMap(({ name, lastProblem }) =>
    lastProblem === undefined ? [] : [{ name, ...lastProblem }],
  )
  const last = problems.sort((left, right) => left.at.localeCompare(right.at)).at(-1)
  return [
    `${paint('bold', 'functions')}: ${services.length === 0 ? paint('yellow', 'none served') : paint('green', `${services.length} ${services.length === 1 ? 'service' : 'services'}`)}`,
    ...(fault === undefined ? [] : advice(file, fault, 'isthmus services check tells all faults', width, paint)),
    ...field('services', names || 'none'),
    ...field('sessions', `${sessions.direct} straight, ${sessions.relay} over the relay, ${halfOpen} half-open`),
    ...field('streams', `${streams} open, ${formatSize(heldBytes)} waiting`),
    ...field('ways', ways.join('; ')),
    ...(hasDrops(shed) ? field('shed', dropsText(shed)) : []),
    ...(last === undefined
      ? []
      : field('last error', `${elapsed(last.at, now)} ago, ${last.name}: ${last.code}: ${last.cause}`)),
  ]
}

function connectorBlock(status: ConnectorStatus, width: number, paint: Paint): string[] {
  const { engine, workers = [], offloads, tun } = status
  const age = elapsed(status.startedAt, status.now)
  const lines = labelled(
    'connector',
    `process ${status.pid}, running for ${age}, device ${tun.name} with MTU ${tun.mtu}`,
    width,
    paint,
  )
  if (status.control !== undefined) {
    const { identityKey } = status.control
    lines.push(...labelled('control', controlText(status.control, status.now), width, paint))
    lines.push(...labelled('identity', `key ${identityKey}`, width, paint))
  }
  lines.push(...labelled('engine', `${engine.kind} ${engine.build} (${engine.why})`, width, paint))
  for (const worker of workers) lines.push(...labelled(`worker ${worker.index}`, workerText(worker), width, paint))
  if (offloads !== undefined) {
    const { tun: device, udpSend, udpReceive, why } = offloads
    const text = `TUN ${device}, UDP send ${udpSend}, UDP receive ${udpReceive} (${why})`
    lines.push(...labelled('offloads', text, width, paint))
  }
  if (hasDrops(status.drops)) lines.push(...labelled('dropped', dropsText(status.drops), width, paint))
  const ike = Object.fromEntries(Object.entries(status.ike).map(([name, count]) => [words(name), count]))
  if (hasDrops(ike)) lines.push(...labelled('IKE', dropsText(ike), width, paint))
  return lines
}

const LINK_WORDS: Readonly<Record<ControlStatus['state'], string>> = {
  open: 'linked',
  polling: 'asked by plain HTTP',
  connecting: 'being called',
  waiting: 'away',
  revoked: 'has revoked this connector',
}

function controlText(control: ControlStatus, now: string): string {
  const { url, state, since, connector, version } = control
  const document = version === 0 ? 'no document yet' : `document ${version}`
  return `${url}, ${LINK_WORDS[state]} for ${elapsed(since, now)}; ${connector}, ${document}`
}

function labelled(label: string, text: string, width: number, paint: Paint): string[] {
  const indent = ' '.repeat(LABEL_WIDTH + 2)
  const [first = '', ...rest] = wrap(printable(text), indent, width)
  return [`  ${paint('dim', printable(label).padEnd(LABEL_WIDTH - 1))} ${first.trimStart()}`, ...rest]
}

function hasDrops(drops: Readonly<Record<string, number>>): boolean {
  return Object.values(drops).some((count) => count > 0)
}

function dropsText(drops: Readonly<Record<string, number>>): string {
  return Object.entries(drops)
    .filter(([, count]) => count > 0)
    .sort(([, left], [, right]) => right - left)
    .map(([reason, count]) => `${reason} ${grouped(count)}`)
    .join(', ')
}

/** `unknownSpi` as `unknown SPI`. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replace(/ spi$/, ' SPI')
}

function elapsed(from: string, to: string): string {
  return formatDuration(Date.parse(to) - Date.parse(from))
}

function millis(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 2 : 1)} ms`
}

function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ',')
}

/** Breaks at blanks; a word longer than the line stands alone. */
function wrap(text: string, indent: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, indent + line]
}

/** Words may come from a peer: nothing in them may steer the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ')
}
