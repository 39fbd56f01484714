import { describe, expect, test } from 'vitest'
import { address } from '../../../protocol/net.ts'
import { Path } from './path.ts'

const local = { address: address('192.0.2.1'), port: 4500 }
const remote = { address: address('192.0.2.2'), port: 4500 }
const moved = { ...remote, port: 5000 }

function path(localBehindNat: boolean, remoteBehindNat: boolean, forced = false, supported = true): Path {
  const made = new Path(local, remote, forced)
  made.nat = { supported, localBehindNat, remoteBehindNat }
  return made
}

describe('encapsulation', () => {
  test('UDP with a NAT on either side, or by force', () => {
    expect(path(false, false).encapsulation).toBe('esp')
    expect(path(true, false).encapsulation).toBe('udp')
    expect(path(false, true).encapsulation).toBe('udp')
    expect(path(false, false, true).encapsulation).toBe('udp')
  })

  test('never with a peer that does not do NAT traversal', () => {
    expect(path(false, false, true, false).encapsulation).toBe('esp')
  })
})

describe('following the peer', () => {
  test('only when the NAT is on its side alone', () => {
    expect(path(false, true).mayFollow(local, moved)).toBe(true)
    expect(path(true, true).mayFollow(local, moved)).toBe(false)
    expect(path(false, false).mayFollow(local, moved)).toBe(false)
  })

  test('not to where it already is, nor to another address of ours', () => {
    expect(path(false, true).mayFollow(local, { ...remote })).toBe(false)
    expect(path(false, true).mayFollow({ ...local, address: address('192.0.2.9') }, moved)).toBe(false)
  })
})
