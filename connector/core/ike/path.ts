/** Where the messages of one peer come from and go to, and what stands in between (RFC 7296 section 2.23). */
import { type SocketAddress, sameSocketAddress } from '../../../protocol/net.ts'
import type { NatFinding } from './nat.ts'

/** Shared by all IKE SAs of one session: a rekey does not change the path. */
export class Path {
  local: SocketAddress
  remote: SocketAddress
  /** We make the peer believe in a NAT, so that ESP goes in UDP. */
  readonly forced: boolean
  nat: NatFinding = { supported: false, localBehindNat: false, remoteBehindNat: false }

  constructor(local: SocketAddress, remote: SocketAddress, forced: boolean) {
    this.local = local
    this.remote = remote
    this.forced = forced
  }

  get natDetected(): boolean {
    return this.nat.localBehindNat || this.nat.remoteBehindNat
  }

  get encapsulation(): 'udp' | 'esp' {
    return this.nat.supported && (this.natDetected || this.forced) ? 'udp' : 'esp'
  }

  /** Only the side that is not behind a NAT follows a peer that is: else anyone who forges addresses could move it. */
  mayFollow(local: SocketAddress, remote: SocketAddress): boolean {
    if (!this.nat.remoteBehindNat || this.nat.localBehindNat) return false
    return local.address === this.local.address && !sameSocketAddress(remote, this.remote)
  }
}
