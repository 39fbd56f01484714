/**
 * Probes of a path: ESP packets with next header 59, which a peer of another make discards (RFC 4303 section 2.6), with
 * content that begins with PROBE_MAGIC and zeros up to the size asked for.
 */
import { MAX_PROBES, MAX_TUNNELS, PROBE_MAGIC } from '../abi'
import { clearJobs } from './aead-jobs'
import { CONTROL_PROBE, PROBES_COUNT, PROBES_LENGTH, PROBES_OFFSET, PROBES_TOS, PROBES_TUNNEL } from './arena'
import { finishSeal, NEXT_NONE, sealEsp, wireText } from './esp'
import { Sa } from './sa'
import { admit, beginSeal, countSealed } from './seal'
import { endpointOverhead, ESP_OVERHEAD, innerMtuOf, tunnelAt, tunnelSa } from './tunnel'

/** The first SA of a tunnel that carries anything, or null. */
function probeSa(number: u32): Sa | null {
  if (number >= <u32>MAX_TUNNELS) return null
  const tunnel = tunnelAt(number)
  for (let i: u32 = 0; i < tunnel.saCount; i++) {
    const sa = tunnelSa(tunnel, i)
    if (!sa.stopped && innerMtuOf(sa, tunnel) != 0) return sa
  }
  return null
}

/** Seals the `payload` bytes at CONTROL_PROBE, with zeros behind them to `size`. Returns false where no SA takes them. */
export function sealProbeOf(number: u32, payload: u32, size: u32, time: f64): bool {
  beginSeal(time, false)
  clearJobs()
  const sa = probeSa(number)
  if (sa == null || admit(sa, 1) <= 0) return false
  const text = wireText()
  memory.copy(text, CONTROL_PROBE, payload)
  memory.fill(text + payload, 0, size - payload)
  sealEsp(sa, text, size, NEXT_NONE, 0)
  countSealed(sa, 0)
  finishSeal()
  return true
}

/** Bytes of the packet, outer headers included, that carries a probe of `size`; 0 where no SA does. */
export function outerLengthOf(number: u32, size: u32): u32 {
  const sa = probeSa(number)
  return sa == null ? 0 : endpointOverhead(sa.endpoint) + ESP_OVERHEAD + ((size + 5) & ~3)
}

export function forgetProbes(): void {
  store<u32>(PROBES_COUNT, 0)
}

/** Whether the content of a dummy packet is a probe. */
export function isProbe(start: usize, length: u32): bool {
  return length >= 4 && load<u32>(start) == bswap<u32>(PROBE_MAGIC)
}

/** Lists a probe that was opened. Returns false when the list is full. */
export function listProbe(tunnel: u32, start: usize, length: u32, tos: u32): bool {
  const count = load<u32>(PROBES_COUNT)
  if (count == MAX_PROBES) return false
  store<u32>(PROBES_TUNNEL + (count << 2), tunnel)
  store<u32>(PROBES_OFFSET + (count << 2), <u32>start)
  store<u32>(PROBES_LENGTH + (count << 2), length)
  store<u8>(PROBES_TOS + count, <u8>tos)
  store<u32>(PROBES_COUNT, count + 1)
  return true
}
