/** Inbound SAs by SPI: open addressing with linear probing, at most half full. */
import { MAX_WORKERS } from '../abi'
import { mix } from './hash'
import { SPI_TABLE, SPI_TABLE_ENTRIES } from './arena'

/** Whose SPIs are this engine's: see `setShare` of packet-engine.ts. */
let self: u32 = 0
let workers: u32 = 1

export function setShare(worker: u32, count: u32): void {
  self = worker
  workers = count
}

/** Whether another worker has the SPI. */
// @ts-ignore: decorator
@inline
export function isElsewhere(spi: u32): bool {
  return workerOf(spi) != self
}

// @ts-ignore: decorator
@inline
export function workerOf(spi: u32): u32 {
  const bits = spi & (MAX_WORKERS - 1)
  return bits < workers ? bits : 0
}

// @ts-ignore: decorator
@inline
function home(spi: u32): u32 {
  return <u32>mix(spi) & (SPI_TABLE_ENTRIES - 1)
}

// @ts-ignore: decorator
@inline
function entry(position: u32): usize {
  return SPI_TABLE + (position << 3)
}

/** Index of the SA, or -1. */
export function spiLookup(spi: u32): i32 {
  let position = home(spi)
  while (true) {
    const value = load<u32>(entry(position), 4)
    if (value == 0) return -1
    if (load<u32>(entry(position)) == spi) return <i32>value - 1
    position = (position + 1) & (SPI_TABLE_ENTRIES - 1)
  }
}

/** `spi` must not be in the table yet. */
export function spiInsert(spi: u32, index: u32): void {
  let position = home(spi)
  while (load<u32>(entry(position), 4) != 0) position = (position + 1) & (SPI_TABLE_ENTRIES - 1)
  store<u32>(entry(position), spi)
  store<u32>(entry(position), index + 1, 4)
}

/** Closes the gap by moving later entries of the run back, so that no tombstones pile up. */
export function spiRemove(spi: u32): void {
  let gap = home(spi)
  while (true) {
    if (load<u32>(entry(gap), 4) == 0) return
    if (load<u32>(entry(gap)) == spi) break
    gap = (gap + 1) & (SPI_TABLE_ENTRIES - 1)
  }
  let position = gap
  while (true) {
    position = (position + 1) & (SPI_TABLE_ENTRIES - 1)
    if (load<u32>(entry(position), 4) == 0) break
    const distance = (position - home(load<u32>(entry(position)))) & (SPI_TABLE_ENTRIES - 1)
    if (distance < ((position - gap) & (SPI_TABLE_ENTRIES - 1))) continue
    store<u64>(entry(gap), load<u64>(entry(position)))
    gap = position
  }
  store<u64>(entry(gap), 0)
}
