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
  /** One sentence of cause and one of remedy, when not ok. */
  error?: { cause: string; remedy: string }
}

export function emptyResult(): DemoResult {
  return { ok: false, establishMs: null, suite: null, ping: null, download: null, rekey: null }
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
  return faults
}
