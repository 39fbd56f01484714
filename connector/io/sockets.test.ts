import { describe, expect, it } from 'vitest'
import { address } from '../../protocol/net.ts'
import { EXIT } from '../handle.ts'
import { socketFailure, socketsFor } from './sockets.ts'
import { createFailure, openFailure } from './tun.ts'

const one = address('192.0.2.1')
const six = address('2001:db8::1')

describe('the sockets of a plan', () => {
  it('are two for each local address, and a raw one where plain ESP may be used', () => {
    const ports = { port: 500, natPort: 4500 }
    const wanted = socketsFor(
      [
        { localAddress: one, encapsulation: 'udp' },
        { localAddress: one, encapsulation: 'auto' },
        { localAddress: six, encapsulation: 'udp' },
      ],
      ports,
    )
    expect(wanted.map(({ kind, local }) => `${kind} ${local.address} ${local.port}`)).toEqual([
      'ike 192.0.2.1 500',
      'udp 192.0.2.1 4500',
      'esp 192.0.2.1 0',
      'ike 2001:db8::1 500',
      'udp 2001:db8::1 4500',
    ])
  })
})

describe('what stands in the way', () => {
  const udp = { kind: 'udp', local: { address: one, port: 4500 } } as const
  const esp = { kind: 'esp', local: { address: six, port: 0 } } as const

  it('of a socket: who holds it, which capability, which address', () => {
    expect(socketFailure(udp, 'EADDRINUSE', () => 'charon (pid 7)')).toMatchObject({
      code: 'port-busy',
      message: 'UDP 192.0.2.1:4500 is in use by charon (pid 7).',
      exitCode: EXIT.portBusy,
    })
    expect(socketFailure(udp, 'EADDRINUSE', () => undefined).message).toBe('UDP 192.0.2.1:4500 is in use.')
    expect(socketFailure(udp, 'EACCES').remedy).toContain('CAP_NET_BIND_SERVICE')
    expect(socketFailure(esp, 'EPERM').remedy).toContain('CAP_NET_RAW')
    expect(socketFailure(udp, 'EADDRNOTAVAIL')).toMatchObject({ code: 'address-missing', exitCode: EXIT.badConfig })
    expect(socketFailure(esp, 'EPROTONOSUPPORT').message).toContain('EPROTONOSUPPORT')
  })

  it('of the TUN device: missing, forbidden, or taken', () => {
    expect(openFailure('ENOENT')).toMatchObject({ code: 'tun-missing', exitCode: EXIT.noTun })
    expect(openFailure('ENODEV').remedy).toContain('modprobe tun')
    expect(openFailure('EACCES')).toMatchObject({ code: 'tun-permission', exitCode: EXIT.permission })
    expect(createFailure('isthmus0', 'EPERM').message).toContain('CAP_NET_ADMIN')
    expect(createFailure('isthmus0', 'EBUSY')).toMatchObject({ code: 'tun-busy', exitCode: EXIT.noTun })
    expect(createFailure('isthmus0', 'EINVAL').message).toContain('EINVAL')
  })
})
