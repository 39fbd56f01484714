/** Checks of what steers packets among tunnels, in the form that both engines take. Each throws EngineError. */
import { type Address, addressBytes, type Family, familyOf, type Prefix } from '../protocol/net.ts'
import {
  DROP_BLACKHOLE,
  DROP_PROHIBITED,
  DROP_UNREACHABLE,
  MAX_CLASS_MATCHES,
  MAX_CLASSES,
  MAX_TUNNELS,
} from './abi.ts'
import { checkHandle, integerIn, splitPrefix } from './engine-arguments.ts'
import { type ClassMatch, EngineError, type PortRange, type RefusalAnswer, type TrafficClass } from './packet-engine.ts'

const REFUSALS: Record<RefusalAnswer, number> = {
  unreachable: DROP_UNREACHABLE,
  prohibited: DROP_PROHIBITED,
  blackhole: DROP_BLACKHOLE,
}

/** The DROP_ reason that a refusal counts as. */
export function refusalReason(answer: RefusalAnswer): number {
  const reason = Object.hasOwn(REFUSALS, answer) ? REFUSALS[answer] : undefined
  if (reason === undefined) throw new EngineError(`no refusal ${String(answer)}`)
  return reason
}

export function checkWeights(weights: readonly number[], members: number): void {
  if (weights.length !== members) throw new EngineError(`${weights.length} weights for ${members} tunnels`)
  for (const weight of weights) {
    if (!integerIn(weight, 1, 255)) throw new EngineError(`a weight is from 1 to 255, not ${weight}`)
  }
}

export function checkFlowSeed(seed: number): void {
  if (!integerIn(seed, 0, 0xffff_ffff)) throw new EngineError(`a flow seed has 32 bits, not ${seed}`)
}

export interface MatchPrefix {
  readonly address: Uint8Array
  readonly bits: number
}

export interface CheckedMatch {
  /** 0 where there is no prefix: either family. */
  readonly version: Family | 0
  readonly source: MatchPrefix | undefined
  readonly destination: MatchPrefix | undefined
  readonly protocol: number | undefined
  readonly dscp: number | undefined
  /** Both or none: a range that was not given is all of them. */
  readonly ports: { readonly source: PortRange; readonly destination: PortRange } | undefined
}

export interface CheckedClass {
  readonly matches: readonly CheckedMatch[]
  readonly prefer: readonly number[]
}

export function checkClasses(classes: readonly TrafficClass[]): CheckedClass[] {
  if (classes.length > MAX_CLASSES) throw new EngineError(`more than ${MAX_CLASSES} traffic classes`)
  const matches = classes.reduce((sum, { matches }) => sum + matches.length, 0)
  if (matches > MAX_CLASS_MATCHES) throw new EngineError(`more than ${MAX_CLASS_MATCHES} matches in traffic classes`)
  return classes.map(({ matches, prefer }) => {
    for (const tunnel of prefer) checkHandle('tunnel', tunnel, MAX_TUNNELS)
    if (new Set(prefer).size < prefer.length) throw new EngineError('a traffic class prefers a tunnel twice')
    return { matches: matches.map(checkMatch), prefer: [...prefer] }
  })
}

function checkMatch({ source, destination, protocol, sourcePorts, destinationPorts, dscp }: ClassMatch): CheckedMatch {
  if (source !== undefined && destination !== undefined && familyOf(source) !== familyOf(destination)) {
    throw new EngineError('a traffic class goes from one address family to the other')
  }
  if (protocol !== undefined && !integerIn(protocol, 0, 255)) throw new EngineError(`no protocol ${protocol}`)
  if (dscp !== undefined && !integerIn(dscp, 0, 63)) throw new EngineError(`a DSCP is from 0 to 63, not ${dscp}`)
  const either = source ?? destination
  const ports = sourcePorts !== undefined || destinationPorts !== undefined
  return {
    version: either === undefined ? 0 : familyOf(either),
    source: matchPrefix(source),
    destination: matchPrefix(destination),
    protocol,
    dscp,
    ports: ports ? { source: checkRange(sourcePorts), destination: checkRange(destinationPorts) } : undefined,
  }
}

function matchPrefix(prefix: Prefix | undefined): MatchPrefix | undefined {
  if (prefix === undefined) return undefined
  const { address, bits } = splitPrefix(prefix)
  return { address, bits }
}

function checkRange(range: PortRange | undefined): PortRange {
  if (range === undefined) return { start: 0, end: 0xffff }
  const { start, end } = range
  if (!integerIn(start, 0, 0xffff) || !integerIn(end, start, 0xffff)) {
    throw new EngineError(`no port range ${start} to ${end}`)
  }
  return { start, end }
}

/** The first address of each family. */
export function checkOwnAddresses(addresses: readonly Address[]): Uint8Array[] {
  const all = addresses.map(addressBytes)
  return [4, 16].flatMap((length) => all.find((bytes) => bytes.length === length) ?? [])
}
