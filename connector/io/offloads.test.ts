import { describe, expect, it } from 'vitest'
import { offloadChoice, offloadsInUse } from './offloads.ts'

const ALL = { tso: true, uso: true, gso: true, gro: true }
const socket = { kind: 'udp' as const, segments: true, runs: true }
const tun = (step: 'tso+uso' | 'tso' | 'none', why = '') => ({ offload: { step, why } })

describe('the choice of offloads', () => {
  it('is all of them, none, or those that are named', () => {
    for (const text of [undefined, '', 'all']) expect(offloadChoice(text)).toEqual(ALL)
    expect(offloadChoice('none')).toEqual({ tso: false, uso: false, gso: false, gro: false })
    expect(offloadChoice('gso,tso')).toEqual({ tso: true, uso: false, gso: true, gro: false })
    expect(offloadChoice('uso').uso).toBe(false)
    expect(() => offloadChoice('tso,lro')).toThrow('lro')
  })
})

describe('the offloads in use', () => {
  it('are all, without complaint', () => {
    expect(offloadsInUse(ALL, tun('tso+uso'), [socket], 0)).toEqual({
      tun: 'tso+uso',
      udpSend: 'gso',
      udpReceive: 'gro',
      why: 'this kernel has all of them',
    })
  })

  it('say what is missing, and whose wish it was', () => {
    const old = offloadsInUse(
      ALL,
      tun('tso', 'UDP runs need Linux 6.2'),
      [{ kind: 'udp', segments: false, runs: false }],
      0,
    )
    expect(old).toMatchObject({ tun: 'tso', udpSend: 'single', udpReceive: 'single' })
    expect(old.why).toBe('TUN: UDP runs need Linux 6.2; UDP_SEGMENT: not in this kernel; UDP_GRO: not in this kernel')
    const none = offloadsInUse(offloadChoice('none'), tun('none'), [{ kind: 'udp' }], 0)
    expect(none.why).toBe('TUN: switched off; UDP_SEGMENT: switched off; UDP_GRO: switched off')
  })

  it('tell when the kernel would not cut a message', () => {
    expect(offloadsInUse(ALL, tun('tso+uso'), [socket], 1)).toMatchObject({
      udpSend: 'single',
      why: 'UDP_SEGMENT: refused for a path',
    })
  })
})
