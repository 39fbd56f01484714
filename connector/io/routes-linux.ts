/** Addresses, link and routes of the TUN device, each set in one `ip -batch`; and what a crash left of them. */
import { execFile } from 'node:child_process'
import { type Address, type Family, familyOf, type Prefix, prefixContains } from '../../protocol/net.ts'
import { blockOf, blocksOf, type PrefixBlock, prefixAt, wordsOf } from '../../protocol/prefix-block.ts'
import { EXIT, StartFailure } from '../handle.ts'

/** Marks our routes in the kernel (`ip route show proto 151`), so that none of anybody else's is ever removed. */
export const ROUTE_PROTOCOL = 151
const TXQUEUELEN = 1000

export interface NetworkPlan {
  readonly device: string
  readonly mtu: number
  readonly addresses: readonly Address[]
  readonly routes: readonly Prefix[]
}

/** Runs `ip` with the batch on its standard input. Rejects with an IpFailure. */
export type RunIp = (args: readonly string[], batch: string) => Promise<string>

export class IpFailure extends Error {
  override readonly name = 'IpFailure'
  /** True when there is no `ip` program. */
  readonly missing: boolean

  constructor(message: string, missing: boolean) {
    super(message)
    this.missing = missing
  }
}

/** The lines that bring the device up: link first, for a route wants its device up and its source address there. */
export function setupBatch(plan: NetworkPlan): string[] {
  const lines = [`link set dev ${plan.device} mtu ${plan.mtu} txqueuelen ${TXQUEUELEN}`]
  for (const address of plan.addresses) lines.push(addressLine('add', address, plan.device))
  lines.push(`link set dev ${plan.device} up`)
  for (const route of plan.routes) lines.push(addLine(plan, route))
  return lines
}

function addressLine(verb: 'add' | 'del', address: Address, device: string): string {
  const six = familyOf(address) === 6
  return `addr ${verb} ${address}/${six ? '128' : '32'} dev ${device}${six && verb === 'add' ? ' nodad' : ''}`
}

/**
 * No route but that of its own network has a link-local address as source: it is known at the other end of its tunnel
 * alone, and the kernel takes all routes that name it away with it.
 */
function addLine({ device, addresses }: Pick<NetworkPlan, 'device' | 'addresses'>, route: Prefix): string {
  const own = addresses.filter((address) => familyOf(address) === familyOf(route))
  const source = own.find((address) => prefixContains(route, address)) ?? own.find(isGeneral)
  return `${familyOf(route) === 6 ? '-6 ' : ''}route add ${route} dev ${device} proto ${ROUTE_PROTOCOL}${source === undefined ? '' : ` src ${source}`}`
}

function isGeneral(address: Address): boolean {
  return !address.startsWith('169.254.')
}

/** Brings the device up with its routes. A StartFailure says which line failed and what to do. */
export async function setUpNetwork(plan: NetworkPlan, run: RunIp = runIp): Promise<void> {
  const lines = setupBatch(plan)
  for (const family of ['4', '6'] as const) {
    const own = lines
      .filter((line) => line.startsWith('-6 ') === (family === '6'))
      .map((line) => line.replace('-6 ', ''))
    if (own.length === 0) continue
    try {
      await run(family === '6' ? ['-6', '-batch', '-'] : ['-batch', '-'], `${own.join('\n')}\n`)
    } catch (error) {
      throw ipStartFailure(error, own)
    }
  }
}

/** A route that could not be added. */
export interface RouteFailure {
  readonly route: Prefix
  readonly failure: StartFailure
}

/** Adds the routes, each for itself, to a device that is up. Returns those that could not be. Never rejects. */
export async function addRoutes(
  plan: Pick<NetworkPlan, 'device' | 'addresses' | 'routes'>,
  run: RunIp = runIp,
): Promise<RouteFailure[]> {
  const failures: RouteFailure[] = []
  for (const block of blocksOf(plan.routes)) failures.push(...(await addBlock(plan, block, run)))
  return failures
}

/** As `addRoutes`; `index` is that of the block. */
export async function addBlock(
  { device, addresses }: Pick<NetworkPlan, 'device' | 'addresses'>,
  block: PrefixBlock,
  run: RunIp = runIp,
): Promise<(RouteFailure & { readonly index: number })[]> {
  if (block.lengths.length === 0) return []
  const sources = sourcesOf(addresses, block.family)
  const general = sources.find(({ address }) => isGeneral(address))
  const ending = ` dev ${device} proto ${ROUTE_PROTOCOL}`
  const lineAt = (index: number): string => {
    const source = sources.find((each) => covers(block, index, each.block)) ?? general
    return `route add ${prefixAt(block, index)}${ending}${source?.words ?? ''}`
  }
  try {
    await run([`-${block.family}`, '-force', '-batch', '-'], batchOf(block, lineAt))
    return []
  } catch (error) {
    const lines = Array.from(block.lengths, (_, index) => lineAt(index))
    return failedLines(error, lines).map(({ line, failure }) => {
      return { route: prefixAt(block, line), index: line, failure }
    })
  }
}

function batchOf({ lengths }: PrefixBlock, lineAt: (index: number) => string): string {
  let batch = ''
  for (let index = 0; index < lengths.length; index++) batch += `${lineAt(index)}\n`
  return batch
}

interface Source {
  readonly address: Address
  readonly block: PrefixBlock
  readonly words: string
}

function sourcesOf(addresses: readonly Address[], family: Family): Source[] {
  return addresses
    .filter((address) => familyOf(address) === family)
    .map((address) => {
      const block = blockOf(family, [`${address}/${family === 4 ? 32 : 128}` as Prefix])
      return { address, block, words: ` src ${address}` }
    })
}

function covers({ words, lengths, family }: PrefixBlock, index: number, address: PrefixBlock): boolean {
  const stride = wordsOf(family)
  const bits = lengths[index]!
  for (let word = 0; 32 * word < bits; word++) {
    const rest = bits - 32 * word
    const differing = words[index * stride + word]! ^ address.words[word]!
    if ((rest >= 32 ? differing : differing >>> (32 - rest)) !== 0) return false
  }
  return true
}

/** `ip -force` goes on behind a line that failed, and says of each why and its number. Where it says none, all failed. */
function failedLines(error: unknown, lines: readonly string[]): { line: number; failure: StartFailure }[] {
  const text = error instanceof IpFailure ? error.message : ''
  const told = [...text.matchAll(/([^\n]*)\nCommand failed -:(\d+)/g)].flatMap(([, said, number]) => {
    const line = Number(number) - 1
    if (lines[line] === undefined) return []
    return [{ line, failure: ipStartFailure(new IpFailure(`${said}\nCommand failed -:1`, false), [lines[line]]) }]
  })
  if (told.length > 0) return told
  return lines.map((text, line) => ({ line, failure: ipStartFailure(error, [text]) }))
}

/** Adds addresses to a device that is up, or removes them. Returns what could not be done, in words. Never rejects. */
export async function changeAddresses(
  verb: 'add' | 'del',
  device: string,
  addresses: readonly Address[],
  run: RunIp = runIp,
): Promise<StartFailure[]> {
  if (addresses.length === 0) return []
  const lines = addresses.map((address) => addressLine(verb, address, device))
  try {
    await run(['-force', '-batch', '-'], `${lines.join('\n')}\n`)
    return []
  } catch (error) {
    return failedLines(error, lines).map(({ failure }) => failure)
  }
}

/** Removes the routes as far as they are there. Never rejects. */
export async function tearDownNetwork(device: string, routes: readonly Prefix[], run: RunIp = runIp): Promise<void> {
  for (const block of blocksOf(routes)) await tearDownBlock(device, block, run)
}

/** Likewise. */
export async function tearDownBlock(device: string, block: PrefixBlock, run: RunIp = runIp): Promise<void> {
  if (block.lengths.length === 0) return
  const ending = ` dev ${device} proto ${ROUTE_PROTOCOL}`
  const batch = batchOf(block, (index) => `route del ${prefixAt(block, index)}${ending}`)
  await run([`-${block.family}`, '-force', '-batch', '-'], batch).catch(() => '')
}

/**
 * Removes what a connector that did not end well left: its routes that still stand, and its device. `learned`: also
 * routes that nobody noted, which are those of our protocol that lead to the device.
 * Returns how many things were removed. Never rejects.
 */
export async function cleanLeftovers(
  device: string,
  routes: readonly Prefix[],
  run: RunIp = runIp,
  learned = false,
): Promise<number> {
  let removed = 0
  if (learned) await flushRoutes(device, run)
  for (const family of ['4', '6'] as const) {
    const listed = await run([`-${family}`, '-j', 'route', 'show', 'proto', String(ROUTE_PROTOCOL)], '').catch(() => '')
    const standing = standingRoutes(listed, device)
    const ours = routes.filter((route) => String(familyOf(route)) === family && standing.has(route))
    if (ours.length === 0) continue
    await tearDownNetwork(device, ours, run)
    removed += ours.length
  }
  const link = await run(['-j', 'link', 'show', 'dev', device], '').catch(() => '')
  if (link.includes(`"${device}"`)) {
    const gone = await run(['link', 'del', 'dev', device], '').then(
      () => true,
      () => false,
    )
    if (gone) removed++
  }
  return removed
}

/**
 * Whether nothing but a default route leads to the address, so that another default route would take its packets away.
 * False where `ip` does not say.
 */
export async function isByDefault(address: Address, run: RunIp = runIp): Promise<boolean> {
  const words = [familyOf(address) === 6 ? '-6' : '-4', '-j', 'route', 'get', 'fibmatch', address]
  const answer = await run(words, '').catch(() => '')
  try {
    const [row] = JSON.parse(answer) as { readonly dst?: unknown }[]
    return row?.dst === 'default'
  } catch {
    return false
  }
}

/** Removes all routes of our protocol that lead to the device. Never rejects. */
export async function flushRoutes(device: string, run: RunIp = runIp): Promise<void> {
  for (const family of ['4', '6']) {
    const words = [`-${family}`, 'route', 'flush', 'dev', device, 'proto', String(ROUTE_PROTOCOL)]
    await run(words, '').catch(() => '')
  }
}

/** Destinations in the JSON of `ip -j route show` that lead to the device, as prefixes. */
function standingRoutes(json: string, device: string): Set<string> {
  const out = new Set<string>()
  let rows: unknown
  try {
    rows = JSON.parse(json)
  } catch {
    return out
  }
  if (!Array.isArray(rows)) return out
  for (const row of rows as { dst?: unknown; dev?: unknown }[]) {
    if (typeof row?.dst !== 'string' || row.dev !== device) continue
    if (row.dst === 'default') out.add('0.0.0.0/0').add('::/0')
    else out.add(row.dst.includes('/') ? row.dst : `${row.dst}/${row.dst.includes(':') ? 128 : 32}`)
  }
  return out
}

/** What `ip` said, as a failure to start. Exported for tests. */
export function ipStartFailure(error: unknown, lines: readonly string[]): StartFailure {
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof IpFailure && error.missing) {
    return new StartFailure('ip-missing', 'The program ip is not there.', 'Install the package iproute2.', EXIT.failed)
  }
  const number = message.match(/-:(\d+)/)?.[1]
  const line = number === undefined ? undefined : lines[Number(number) - 1]
  const said = message.replace(/\s*Command failed -:\d+\s*/g, '').trim()
  const cause = `ip ${line ?? ''}: ${said}`.replace('ip :', 'ip:')
  if (/not permitted/i.test(message)) {
    return new StartFailure(
      'network-permission',
      `The network may not be configured (${cause}).`,
      'Run it as root, grant the capability CAP_NET_ADMIN, or try it in a namespace of your own: unshare -Urnm.',
      EXIT.permission,
    )
  }
  if (/File exists/i.test(message)) {
    return new StartFailure(
      'route-conflict',
      `Something of that kind is there already (${cause}).`,
      'Remove the other route or address (see: ip route show table all), or take the prefix out of this configuration.',
      EXIT.failed,
    )
  }
  return new StartFailure(
    'network-failed',
    `The network could not be configured (${cause}).`,
    'See: ip addr; ip route',
    EXIT.failed,
  )
}

const runIp: RunIp = (args, batch) =>
  new Promise((resolve, reject) => {
    const child = execFile('ip', args, { timeout: 10_000, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new IpFailure(stderr.trim() || error.message, error.code === 'ENOENT'))
    })
    // A child that could not be started has no one to read this.
    child.stdin?.on('error', () => {})
    child.stdin?.end(batch)
  })
