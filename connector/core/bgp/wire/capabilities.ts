/** Capabilities (RFC 5492) of an OPEN. */
import { concat, putU8, putU16, putU32, u16, u32 } from '../../ike/wire/bytes.ts'
import { CAPABILITY } from './constants.ts'
import type { AfiSafi, Capability, GracefulRestartCapability } from './types.ts'

const RESTARTING = 0x8000
const NOTIFICATION = 0x4000
const FORWARDING = 0x80

/** The capabilities of one optional parameter, or what is wrong with them: one that is known must be whole. */
export function decodeCapabilities(value: Uint8Array): Capability[] | string {
  const found: Capability[] = []
  let at = 0
  while (at < value.length) {
    const end = at + 2 + (value[at + 1] ?? value.length)
    if (end > value.length) return `capability ${value[at]} ends behind its parameter`
    const capability = decodeCapability(value[at]!, value.slice(at + 2, end))
    if (typeof capability === 'string') return capability
    found.push(capability)
    at = end
  }
  return found
}

function decodeCapability(code: number, value: Uint8Array): Capability | string {
  const wrong = `capability ${code} cannot have ${value.length} octets`
  switch (code) {
    case CAPABILITY.multiprotocol:
      return value.length === 4 ? { type: 'multiprotocol', ...afiSafi(value, 0, 3) } : wrong
    case CAPABILITY['four-octet-as']:
      return value.length === 4 ? { type: 'four-octet-as', asn: u32(value, 0) } : wrong
    case CAPABILITY.role:
      return value.length === 1 ? { type: 'role', role: value[0]! } : wrong
    case CAPABILITY['graceful-restart']:
      return value.length >= 2 && value.length % 4 === 2 ? decodeGracefulRestart(value) : wrong
    case CAPABILITY['route-refresh']:
      if (value.length === 0) return { type: 'route-refresh' }
      break
    case CAPABILITY['enhanced-route-refresh']:
      if (value.length === 0) return { type: 'enhanced-route-refresh' }
      break
    case CAPABILITY['extended-message']:
      if (value.length === 0) return { type: 'extended-message' }
      break
  }
  return { type: 'unknown', code, value }
}

function afiSafi(value: Uint8Array, afi: number, safi: number): AfiSafi {
  return { afi: u16(value, afi), safi: value[safi]! }
}

function decodeGracefulRestart(value: Uint8Array): GracefulRestartCapability {
  const head = u16(value, 0)
  const families = []
  for (let at = 2; at < value.length; at += 4) {
    families.push({ ...afiSafi(value, at, at + 2), forwarding: (value[at + 3]! & FORWARDING) !== 0 })
  }
  return {
    type: 'graceful-restart',
    restarting: (head & RESTARTING) !== 0,
    notification: (head & NOTIFICATION) !== 0,
    restartTime: head & 0x0fff,
    families,
  }
}

/** Code, length and value. Throws a RangeError for a field out of range. */
export function encodeCapability(capability: Capability): Uint8Array {
  const value = capabilityValue(capability)
  const code = capability.type === 'unknown' ? capability.code : CAPABILITY[capability.type]
  const head = new Uint8Array(2)
  putU8(head, 0, code)
  putU8(head, 1, value.length)
  return concat([head, value])
}

function capabilityValue(capability: Capability): Uint8Array {
  switch (capability.type) {
    case 'multiprotocol':
      return packed(capability, 0)
    case 'four-octet-as': {
      const value = new Uint8Array(4)
      putU32(value, 0, capability.asn)
      return value
    }
    case 'role': {
      const value = new Uint8Array(1)
      putU8(value, 0, capability.role)
      return value
    }
    case 'graceful-restart':
      return encodeGracefulRestart(capability)
    case 'unknown':
      return capability.value
    case 'route-refresh':
    case 'enhanced-route-refresh':
    case 'extended-message':
      return new Uint8Array(0)
    default:
      return capability satisfies never
  }
}

/** AFI, a reserved octet, SAFI. */
function packed({ afi, safi }: AfiSafi, reserved: number): Uint8Array {
  const value = new Uint8Array(4)
  putU16(value, 0, afi)
  value[2] = reserved
  putU8(value, 3, safi)
  return value
}

function encodeGracefulRestart(capability: GracefulRestartCapability): Uint8Array {
  const { restarting, notification, restartTime, families } = capability
  if (!(restartTime >= 0 && restartTime <= 0x0fff)) throw new RangeError('a restart time has 12 bits')
  const value = new Uint8Array(2 + 4 * families.length)
  putU16(value, 0, (restarting ? RESTARTING : 0) | (notification ? NOTIFICATION : 0) | restartTime)
  for (const [index, { afi, safi, forwarding }] of families.entries()) {
    putU16(value, 2 + 4 * index, afi)
    putU8(value, 4 + 4 * index, safi)
    value[5 + 4 * index] = forwarding ? FORWARDING : 0
  }
  return value
}
