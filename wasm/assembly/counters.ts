/** Drop counters: one per reason for the engine, and one per reason for each SA. */
import { DROP_REASONS } from '../abi'
import { GLOBAL_DROPS } from './arena'
import { SA_DROPS_BYTES, SA_RECORD_BYTES } from './reserve'
import { Sa } from './sa'

export function countDrop(reason: i32): void {
  const counter = GLOBAL_DROPS + ((<usize>reason) << 3)
  store<u64>(counter, load<u64>(counter) + 1)
}

export function countSaDrop(sa: Sa, reason: i32): void {
  countDrop(reason)
  const counter = changetype<usize>(sa) + SA_RECORD_BYTES + ((<usize>reason) << 3)
  store<u64>(counter, load<u64>(counter) + 1)
}

export function globalDrops(reason: u32): f64 {
  return reason < <u32>DROP_REASONS ? <f64>load<u64>(GLOBAL_DROPS + (reason << 3)) : 0
}

export function dropsOf(sa: Sa, reason: u32): f64 {
  return reason < SA_DROPS_BYTES >> 3 ? <f64>load<u64>(changetype<usize>(sa) + SA_RECORD_BYTES + (reason << 3)) : 0
}

export function dropMaskOf(sa: Sa): u32 {
  let mask: u32 = 0
  for (let reason: u32 = 0; reason < SA_DROPS_BYTES >> 3; reason++) {
    mask |= <u32>(load<u64>(changetype<usize>(sa) + SA_RECORD_BYTES + (reason << 3)) != 0) << reason
  }
  return mask
}
