/** What the demo shows: every hop of it was seen to carry the order. */
export const FUNCTION_PATH = 'function > relay > hq > tunnel > branch'

/** What `npm start -- --once --json` prints, and how it reads for people. */
export interface DemoResult {
  ok: boolean
  /** Milliseconds from the first IKE datagram to the Child SA. */
  establishMs: number | null
  suite: string | null
  /** `rttMs` is null when nothing came back. */
  ping: { sent: number; received: number; rttMs: { p50: number; p99: number } | null } | null
  download: { bytes: number; sha256Match: boolean; mbps: number } | null
  /** Rekeys of Child and IKE SAs made while pings ran, and the pings lost meanwhile. */
  rekey: { count: number; lostPackets: number } | null
  /**
   * Rotations of the tunnel's pre-shared key while pings ran; the packets that were lost, by the pings or by the signed
   * evidence, whichever has more; whether that evidence is genuine.
   */
  rotation: { count: number; lostPackets: number; evidence: 'verified' | 'refused' } | null
  /** Pings, and rekeys among them, while the control plane was stopped. */
  withoutControl: { sent: number; received: number; rekeys: number } | null
  /**
   * An order that a function in workerd fetched from the ERP of branch, which only the tunnel leads to: HTTP status,
   * milliseconds of its first request, and where it has passed.
   */
  function: { status: number; ms: number; path: string } | null
  /** BGP sessions between two sites, over two ways through the internet, and the prefixes that they exchanged. */
  bgp: { established: number; prefixes: number } | null
  /** One of the two ways ends without a word while pings run: how long they had no answer, and how many never got one. */
  failover: { ms: number; lostPackets: number } | null
  /** One sentence of cause and one of remedy, when not ok. */
  error?: { cause: string; remedy: string }
}

export function emptyResult(): DemoResult {
  return {
    ok: false,
    establishMs: null,
    suite: null,
    ping: null,
    download: null,
    rekey: null,
    rotation: null,
    withoutControl: null,
    function: null,
    bgp: null,
    failover: null,
  }
}

/** Every condition under which the demo calls itself successful, each with the words for its failure. */
export function faultsOf(result: DemoResult): string[] {
  const { ping, download, rekey } = result
  const faults: string[] = []
  if (result.establishMs === null) faults.push('the tunnel did not come up')
  if (ping === null || ping.received !== ping.sent) {
    faults.push(`${ping === null ? 'all' : ping.sent - ping.received} pings were lost`)
  }
  if (download === null || !download.sha256Match) faults.push('the download did not arrive intact')
  if (rekey === null || rekey.lostPackets > 0) faults.push(`${rekey?.lostPackets ?? 'all'} packets were lost at rekeys`)
  else if (rekey.count === 0) faults.push('no rekey took place')
  if (result.function?.status !== 200)
    faults.push(`the function got no order (${result.function?.status ?? 'no answer'})`)
  else if (result.function.path !== FUNCTION_PATH) faults.push(`the function's order came by ${result.function.path}`)
  return [...faults, ...controlFaults(result), ...routingFaults(result)]
}

function controlFaults({ rotation, withoutControl }: DemoResult): string[] {
  const faults: string[] = []
  if (rotation === null || rotation.count === 0) faults.push('the key was not rotated')
  else if (rotation.lostPackets > 0) faults.push(`${rotation.lostPackets} packets were lost at the rotation of the key`)
  if (rotation?.evidence === 'refused') faults.push('the evidence of the rotation does not verify')
  if (withoutControl === null || withoutControl.received !== withoutControl.sent) {
    faults.push('packets were lost while the control plane was stopped')
  } else if (withoutControl.rekeys === 0) faults.push('no rekey took place while the control plane was stopped')
  return faults
}

/** More than BFD needs to notice and BGP to tell; probes are faster. */
const FAILOVER_MS = 1500

function routingFaults({ bgp, failover }: DemoResult): string[] {
  const faults: string[] = []
  if (bgp === null || bgp.established < 2 || bgp.prefixes === 0) faults.push('BGP exchanged no routes')
  if (failover === null) faults.push('no way was cut')
  else if (failover.ms === 0) faults.push('the way that was cut carried nothing')
  else if (failover.ms > FAILOVER_MS) faults.push(`traffic took ${failover.ms} ms to move to the other tunnel`)
  return faults
}
