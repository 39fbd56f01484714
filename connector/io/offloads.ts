/** Which offloads of the kernel the packet path asks for, and which it got. */
import type { ConnectorStatus } from '../../protocol/status.ts'
import type { WireSocket } from '../data/commands.ts'
import { EXIT, StartFailure } from '../handle.ts'
import type { TunDevice } from './tun.ts'

/** What may be used where the kernel has it. */
export interface OffloadChoice {
  /** Super-packets of TCP and partial checksums between the kernel and the TUN device. */
  readonly tso: boolean
  /** Runs of UDP datagrams as well; needs `tso`. */
  readonly uso: boolean
  /** UDP_SEGMENT: one message for many ESP packets. */
  readonly gso: boolean
  /** UDP_GRO: many ESP packets in one message. */
  readonly gro: boolean
}

const NAMES = ['tso', 'uso', 'gso', 'gro'] as const

/** Reads `ISTHMUS_OFFLOADS`: `all`, which is the default, `none`, or some of tso, uso, gso and gro with commas between. */
export function offloadChoice(text: string | undefined): OffloadChoice {
  const all = text === undefined || text === '' || text === 'all'
  const wanted = all ? [...NAMES] : text === 'none' ? [] : text.split(',')
  const unknown = wanted.find((name) => !(NAMES as readonly string[]).includes(name))
  if (unknown !== undefined) {
    throw new StartFailure(
      'offloads',
      `ISTHMUS_OFFLOADS names "${unknown}", which is no offload.`,
      `Set it to all, none, or some of ${NAMES.join(', ')} with commas between.`,
      EXIT.badConfig,
    )
  }
  const has = (name: string): boolean => wanted.includes(name)
  return { tso: has('tso'), uso: has('tso') && has('uso'), gso: has('gso'), gro: has('gro') }
}

/** What is in use. `refused` counts messages that the kernel would not cut, after which their path sends one by one. */
export function offloadsInUse(
  choice: OffloadChoice,
  tun: Pick<TunDevice, 'offload'>,
  sockets: readonly Pick<WireSocket, 'kind' | 'segments' | 'runs'>[],
  refused: number,
): ConnectorStatus['offloads'] & {} {
  const udp = sockets.filter(({ kind }) => kind === 'udp')
  const sends = refused === 0 && udp.some(({ segments }) => segments)
  const receives = udp.some(({ runs }) => runs)
  const why: string[] = []
  const explain = (name: string, used: boolean, wanted: boolean, lacking: string): void => {
    if (!used) why.push(`${name}: ${wanted ? lacking : 'switched off'}`)
  }
  explain('TUN', tun.offload.step === 'tso+uso', choice.uso, tun.offload.why)
  explain('UDP_SEGMENT', sends, choice.gso, refused === 0 ? 'not in this kernel' : 'refused for a path')
  explain('UDP_GRO', receives, choice.gro, 'not in this kernel')
  return {
    tun: tun.offload.step,
    udpSend: sends ? 'gso' : 'single',
    udpReceive: receives ? 'gro' : 'single',
    why: why.length === 0 ? 'this kernel has all of them' : why.join('; '),
  }
}
