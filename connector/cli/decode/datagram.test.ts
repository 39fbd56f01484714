import { describe, expect, it } from 'vitest'
import { join, vectorDatagrams } from '../../../test/fuzz/ike-captures.ts'
import { classifyBare } from './datagram.ts'
import { NO_KEYS } from './keys.ts'

const message = vectorDatagrams('gcm')[0]!.bytes
const esp = vectorDatagrams('gcm').find(({ ports, bytes }) => ports.includes(4500) && bytes[0] !== 0)!.bytes
const marker = new Uint8Array(4)

function changed(at: number, value: number): Uint8Array {
  const copy = message.slice()
  copy[at] = value
  return copy
}

describe('a line of hex without ports', () => {
  it.each([
    ['a message', message, 'ike'],
    ['a message with a marker', join(marker, message), 'ike'],
    ['a message cut off in its payloads', message.subarray(0, 100), 'ike'],
    ['a message cut off in its header', message.subarray(0, 20), 'ike'],
    ['a message cut off behind the marker', join(marker, message.subarray(0, 20)), 'ike'],
    ['IKEv1', changed(17, 0x10), 'ike'],
    ['an unknown exchange', changed(18, 240), 'ike'],
    ['ESP', esp, 'esp'],
    ['a keepalive', Uint8Array.of(0xff), 'keepalive'],
  ])('%s', (_name, bytes, kind) => {
    expect(classifyBare(bytes, NO_KEYS).kind).toBe(kind)
  })
})
